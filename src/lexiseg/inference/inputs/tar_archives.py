"""The images in a tar archive, as WebDataset and others write it; its headers alone are read."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from lexiseg.clinic.detection import DICOMDIR, HEAD_BYTES, has_preamble, may_be_dicom
from lexiseg.data.archives import is_archive
from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.data.file_limits import TarStream
from lexiseg.data.volumes.volume_names import is_volume_file
from lexiseg.errors import DataError
from lexiseg.inference.inputs.image_sources import TarMember, opened_archive, whole_files_only
from lexiseg.inference.inputs.unread_files import LINKED, SPARSE, UnreadFiles, output_ending
from lexiseg.inference.remote.file_systems import is_web_address, shown_url


def is_plain_tar(path: str) -> bool:
    """Return whether a path or URL names a tar archive that is not compressed."""
    return (urlsplit(path).path if is_web_address(path) else path).lower().endswith(".tar")


def is_tar_copy(folder: Path, labels: Mapping[Path, str] | None) -> bool:
    """Return whether a folder is a private copy of a tar archive that is not compressed.

    Args:
        folder: The folder.
        labels: What folders of private copies are called.
    """
    label = (labels or {}).get(folder)
    return label is not None and is_plain_tar(label)


def is_unpacked(archive: Path) -> bool:
    """Return whether a tar archive of this computer is unpacked before it is read.

    It is where it holds volumes, DICOM files without an ending or archives, and no file with an ending of
    images. The search ends at the first such file. Outputs that Lexiseg wrote into an archive, such as
    "a.nifti.nii.gz", are no volumes.

    Args:
        archive: A tar archive that is not compressed.

    Raises:
        DataError: It cannot be read, is no tar archive, is compressed or cut.
    """
    found = False
    for member in _members(str(archive)):
        path = Path(member.name)
        if not member.isreg() or _is_hidden(member.name):
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return False
        if output_ending(member.name) is None:
            found = found or is_volume_file(path) or is_archive(path) or _is_dicom(archive, member)
    return found


def archive_images(archive: str, unread: UnreadFiles | None = None) -> Iterator[TarMember]:
    """Yield the images of an archive, in its order; hard links to images come last.

    Hidden members are left out. A hard link is the content of the member that it leads to; other links and
    devices are no images, and neither are the outputs that Lexiseg wrote into an archive, such as
    "a.mask.png".

    Args:
        archive: Path or URL of the archive.
        unread: Takes the files that are not read.

    Raises:
        DataError: It is no tar archive, is compressed or cut, its server sends whole files only, or an image
            has a name that leads out of the folder.
        UsageError: There are no credentials.
    """
    left, shown = UnreadFiles() if unread is None else unread, shown_url(archive)
    links: dict[str, int] = {}
    wanted: set[str] = set()
    for member in _members(archive):
        if _is_hidden(member.name) or not (member.isreg() or member.islnk() or member.issym()):
            continue
        is_image = not member.issym() and _is_image(shown, member.name)
        if member.islnk():
            wanted.add(posixpath.normpath(member.linkname))
        if member.issym() or (is_image and member.issparse()):
            left.leave_as(member.name, LINKED if member.issym() else SPARSE)
        elif not is_image:
            if not left.leave_written(member.name):
                left.leave(member.name)
        elif member.islnk():
            links[posixpath.normpath(member.name)] = member.offset
        else:
            # A later member of the name replaces the link, as `tar` unpacks it.
            links.pop(posixpath.normpath(member.name), None)
            yield TarMember(archive, member.name, member.offset_data, member.size)
    if links:
        yield from _linked_images(archive, frozenset(links.values()), wanted, left)


def _linked_images(
    archive: str, positions: frozenset[int], wanted: set[str], left: UnreadFiles
) -> Iterator[TarMember]:
    """Yield the images that hard links stand for.

    The archive is read a second time, because a list of all its members would grow with it.

    Args:
        archive: Path or URL of the archive.
        positions: Where the headers of the links begin.
        wanted: The names to which hard links lead.
        left: Takes the links that lead to no file.
    """
    contents: dict[str, tuple[int, int]] = {}
    for member in _members(archive):
        name = posixpath.normpath(member.name)
        found = (member.offset_data, member.size) if member.isreg() and not member.issparse() else None
        if member.islnk():
            found = contents.get(posixpath.normpath(member.linkname))
            if member.offset in positions and found is None:
                left.leave_as(member.name, LINKED)
            elif member.offset in positions and found is not None:
                yield TarMember(archive, member.name, *found)
        if found is not None and name in wanted:
            contents[name] = found


def _members(archive: str) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, of which the headers are read.

    Raises:
        DataError: It is no tar archive, is compressed or cut, or its server sends whole files only.
        UsageError: There are no credentials.
    """
    with opened_archive(archive) as file:
        try:
            length = file.seek(0, os.SEEK_END)
            if is_web_address(archive) and length:
                file.seek(length - 1)
                file.read(1)  # asks for a part, which not every web server sends
            file.seek(0)
            with tarfile.open(fileobj=TarStream(file), mode="r:") as members:
                for member in members:
                    # The list of all members would grow with the archive.
                    members.members = []  # type: ignore[attr-defined]
                    if member.offset_data + member.size > length:
                        raise tarfile.ReadError("unexpected end of data")
                    yield member
        except tarfile.TarError as error:
            raise DataError(
                f"{shown_url(archive)} cannot be read as a tar archive ({error}). Expected one that is whole "
                "and not compressed. Copy it again, or unpack it.",
                code="LEX-DATA-1291",
            ) from error
        except ValueError as error:
            if not is_web_address(archive):
                raise
            raise whole_files_only(archive) from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in PurePosixPath(name).parts)


def _is_dicom(archive: Path, member: tarfile.TarInfo) -> bool:
    """Return whether a member without a known ending is a DICOM file."""
    path = Path(member.name)
    if not may_be_dicom(path) or path.name.upper() == DICOMDIR or member.issparse():
        return False
    with opened_archive(str(archive)) as file:
        file.seek(member.offset_data)
        return has_preamble(file.read(min(HEAD_BYTES, member.size)))


def _is_image(archive: str, name: str) -> bool:
    """Return whether a member is read as an image, by its name.

    Raises:
        DataError: Its name leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise DataError(
            f"{archive} holds the member {name!r}, whose name leads out of the folder of results or holds "
            "':' or a backslash. Write the archive with plain relative names.",
            code="LEX-DATA-1292",
        )
    return output_ending(name) is None
