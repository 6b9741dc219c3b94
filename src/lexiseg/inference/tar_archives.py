"""The images in a tar archive, as WebDataset and others write it; its headers alone are read."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.data.file_limits import TarStream
from lexiseg.errors import DataError
from lexiseg.inference.file_systems import is_web_address, shown_url
from lexiseg.inference.image_sources import TarMember, opened_archive, whole_files_only
from lexiseg.inference.writers.registry import format_names


def is_plain_tar(path: str) -> bool:
    """Return whether a path or URL names a tar archive that is not compressed."""
    return (urlsplit(path).path if is_web_address(path) else path).lower().endswith(".tar")


def archive_images(archive: str) -> Iterator[TarMember]:
    """Yield the images of an archive, in its order.

    Hidden members are left out, and so are the outputs that Lexiseg wrote into an archive, such as
    "a.mask.png". Links and devices are no images.

    Args:
        archive: Path or URL of the archive.

    Raises:
        DataError: It is no tar archive, is compressed or cut, its server sends whole files only, or a member
            has a name that leads out of the folder.
        UsageError: There are no credentials.
    """
    shown = shown_url(archive)
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
                    if member.isreg() and not member.issparse() and _is_image(shown, member.name):
                        yield TarMember(archive, member.name, member.offset_data, member.size)
        except tarfile.TarError as error:
            raise DataError(
                f"{shown} cannot be read as a tar archive ({error}). Expected one that is whole and not "
                "compressed. Copy it again, or unpack it.",
                code="LEX-DATA-1291",
            ) from error
        except ValueError as error:
            if not is_web_address(archive):
                raise
            raise whole_files_only(archive) from error


def _is_image(archive: str, name: str) -> bool:
    """Return whether a member is read as an image.

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
    if any(part.startswith(".") for part in path.parts):
        return False
    return PurePosixPath(path.stem).suffix.removeprefix(".") not in format_names()
