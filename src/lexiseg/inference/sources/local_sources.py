"""Sources of images as local folders: archives are unpacked, DICOMweb images copied to a private folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from lexiseg.clinic.detection import DICOMDIR, require_dicom
from lexiseg.data.archives import extract, is_archive
from lexiseg.data.decode import IMAGE_SUFFIXES
from lexiseg.errors import LexisegError
from lexiseg.extras import load_module
from lexiseg.inference.inputs.duplicate_targets import replaced_note
from lexiseg.inference.inputs.tar_archives import is_plain_tar, is_unpacked
from lexiseg.inference.remote.file_systems import is_url, is_web_address
from lexiseg.outputs.private_folder import PrivateFolder
from lexiseg.printable import counted

_PACKAGE = "lexiseg.inference.sources"


@dataclass(frozen=True, kw_only=True)
class LocalSources:
    """Files, folders and glob patterns that hold the images of all sources.

    Attributes:
        patterns: One per source, in their order.
        labels: What a private folder is called in results and messages: its archive or its address.
        notes: What is said of the sources, one sentence each.
    """

    patterns: tuple[str | Path, ...]
    labels: Mapping[Path, str]
    notes: tuple[str, ...]

    def named(self, message: str) -> str:
        """Return a message in which private folders are called by their archive or address."""
        for folder, label in self.labels.items():
            message = message.replace(str(folder), label)
        return message

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Let the messages of errors call private folders so too."""
        try:
            yield
        except LexisegError as error:
            raise type(error)(self.named(str(error)), code=error.code) from error


@contextmanager
def local_sources(sources: Sequence[str | Path]) -> Iterator[LocalSources]:
    """Make all sources local; private folders are removed in the end.

    - A .zip or .tar.gz archive is unpacked within limits (`lexiseg.data.archives`), and so is a .tar archive
      that holds volumes or DICOM files without an ending, and no other images.
    - An address of the web whose path has a part "studies" is asked as a DICOMweb service, unless the path
      ends like an image file or an archive.
    - Other URLs and other .tar archives stay as they are: `find_images` reads them image by image.
    - A DICOMDIR stands for the folder that holds it.
    - Files, folders and glob patterns stay as they are.

    Args:
        sources: Files, folders, glob patterns and addresses.

    Raises:
        DataError: An archive or index is damaged, or a service cannot be asked.
        UsageError: An address is wrong, or a package is missing.
        DiskError: There is no space.
    """
    patterns: list[str | Path] = []
    labels: dict[Path, str] = {}
    notes: list[str] = []
    with PrivateFolder("images") as private:
        for number, source in enumerate(sources):
            path = Path(source)
            if _is_service(str(source)):
                folder = private.path / str(number) / "dicomweb"
                load_module(f"{_PACKAGE}.dicomweb_source").copy_images(str(source), folder)
                labels[folder] = _studies(str(source))
                patterns.append(folder)
            elif is_url(str(source)):
                patterns.append(source)
            elif path.is_file() and is_archive(path) and (not is_plain_tar(str(path)) or is_unpacked(path)):
                folder = private.path / str(number) / (path.name.split(".")[0] or "archive")
                if replaced := extract(path, folder):
                    notes.append(replaced_note(path, replaced, "file"))
                labels[folder] = str(path)
                patterns.append(folder)
            elif path.name.upper() == DICOMDIR and path.is_file():
                require_dicom(path)
                missing = load_module(f"{_PACKAGE}.media_directory").missing_of_disc(path)
                if missing:
                    notes.append(
                        f"{path} names {counted(len(missing), 'file that is', 'files that are')} not there, "
                        f"such as {missing[0]}; the others are read."
                    )
                patterns.append(path.parent)
            else:
                patterns.append(source)
        yield LocalSources(patterns=tuple(patterns), labels=labels, notes=tuple(notes))


def _is_service(url: str) -> bool:
    """Return whether a URL is the address of studies, a series or an image of a DICOMweb service.

    Its path decides, as what follows "?" can be a search or a key.
    """
    if not is_web_address(url):
        return False
    path = PurePosixPath(urlsplit(url).path)
    is_file = path.suffix.lower() in IMAGE_SUFFIXES or is_archive(Path(path.name))
    return "studies" in path.parts and not is_file


def _studies(address: str) -> str:
    """Return an address up to its studies, which the names of copied files go on with."""
    path = address.partition("?")[0]
    return path[: path.rindex("/studies") + len("/studies")]
