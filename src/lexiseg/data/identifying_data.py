"""The check for identifying data of a folder, before it is given to others: it warns and removes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.burned_in_text import text_regions
from lexiseg.clinic.detection import DICOMDIR, HEAD_BYTES, has_preamble, is_dicom, require_dicom
from lexiseg.clinic.identifying_data import Sign, header_signs, path_signs
from lexiseg.clinic.view import View
from lexiseg.data.content import read_content
from lexiseg.data.decode import is_image_file
from lexiseg.data.image_metadata import metadata_signs
from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import DataError
from lexiseg.json_records import FileRecord, Record
from lexiseg.open_files import open_errors
from lexiseg.printable import counted

#: What the check cannot see.
LIMITS = (
    "The check reads headers of DICOM files, EXIF, TIFF and PNG metadata, paths, and the pixels of images; "
    "of a file with several frames, it looks at the pixels of the first. It does not see faces, handwriting, "
    "all text in pixels, times of day, colour profiles, names in free text of headers such as "
    "StudyDescription, what tables and documents say, and the headers of volumes (NIfTI, MetaImage, NRRD). "
    "It removes nothing."
)

_FIRST_FRAME = View(frame=1)
_NAMED = 5


class IdentifyingSign(Record):
    """One kind of sign, with the files that show it.

    Attributes:
        kind: Where it is: "attribute", "date", "private", "burned-in", "pixels" or "path".
        detail: The attribute, or what the place looks like; never the value.
        files: The files, from the folder.
    """

    kind: str
    detail: str
    files: tuple[str, ...]


class IdentifyingReport(FileRecord):
    """What a check for identifying data found.

    Attributes:
        schema_version: Version of this schema.
        images: Number of images whose pixels were looked at.
        others: Number of files of which only the path was looked at, and the header of an index (DICOMDIR).
        unread: Files whose pixels could not be read, with the reason; the signs of DICOM headers are in
            `signs` even so.
        signs: The signs, by kind and detail.
    """

    images: int
    others: int
    unread: dict[str, str]
    signs: tuple[IdentifyingSign, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence per sign, with the number of files and the first of them."""
        return tuple(
            f"{sign.kind}: {sign.detail} ({_counted(sign.files)}: {', '.join(sign.files[:_NAMED])}"
            f"{', ...' if len(sign.files) > _NAMED else ''})"
            for sign in self.signs
        )


@dataclass(frozen=True)
class _FileSigns:
    signs: tuple[tuple[str, str], ...]
    is_image: bool
    unread: str | None


def check_identifying(
    folder: str | Path,
    *,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> IdentifyingReport:
    """Look for identifying data in the files of a folder.

    Args:
        folder: The folder that is given to others.
        strict: Whether a sign, or an image that cannot be read, is an error.
        progress: Called with the number of files that were looked at and of all files.

    Returns:
        The signs; they name attributes and places, never values.

    Raises:
        DataError: The folder does not exist; or with `strict` there is a sign or an unreadable image.
        UsageError: There are DICOM files, and pydicom is not installed.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"The folder {root} does not exist.", code="LEX-DATA-1260")
    files = sorted(file for file in root.rglob("*") if file.is_file())
    found: dict[tuple[str, str], list[str]] = {}
    unread: dict[str, str] = {}
    images = 0
    for number, file in enumerate(files, start=1):
        name = file.relative_to(root).as_posix()
        looked = _look_at(file, root)
        images += looked.is_image
        for sign in looked.signs:
            found.setdefault(sign, []).append(name)
        if looked.unread is not None:
            unread[name] = looked.unread
        if progress is not None:
            progress(number, len(files))
    report = IdentifyingReport(
        images=images,
        others=len(files) - images - len(unread),
        unread=unread,
        signs=tuple(
            IdentifyingSign(kind=kind, detail=detail, files=tuple(names))
            for (kind, detail), names in sorted(found.items())
        ),
    )
    if strict:
        _refuse(root, report)
    return report


def _look_at(file: Path, root: Path) -> _FileSigns:
    """Return the signs of one file; those of the header stay where the pixels cannot be read."""
    name = file.relative_to(root)
    is_image = is_image_file(file)
    signs = _pairs(path_signs(name))
    if not is_image and not _has_dicom_preamble(file):
        return _FileSigns(signs, is_image=False, unread=None)
    try:
        content = read_content(file)
        of_dicom = is_dicom(content)
        if of_dicom:
            signs = _signs_of_dicom(content, file, name)
        else:
            signs = (*signs, *_pairs(metadata_signs(content, file)))
        if not is_image and file.name.upper() == DICOMDIR:
            return _FileSigns(signs, is_image=False, unread=None)
        pixels = read_image_with_facts(file, _FIRST_FRAME if of_dicom else View()).pixels
    except DataError as error:
        return _FileSigns(signs, is_image=False, unread=f"{error} [{error.code}]")
    if text_regions(pixels):
        signs = (*signs, ("pixels", "a region that looks like text"))
    return _FileSigns(signs, is_image=True, unread=None)


def _signs_of_dicom(content: bytes, file: Path, name: Path) -> tuple[tuple[str, str], ...]:
    """Return the signs in the header and in the path of a DICOM file of any kind.

    Raises:
        DataError: It is damaged.
        UsageError: pydicom is not installed.
    """
    require_dicom(file)
    from lexiseg.clinic.dataset import damage_named, read_dataset

    dataset = read_dataset(content, file)
    with damage_named(file):
        return _pairs((*header_signs(dataset), *path_signs(name, dataset)))


def _has_dicom_preamble(file: Path) -> bool:
    """Return whether a file that is not named like an image is a DICOM file, such as an index (DICOMDIR)."""
    try:
        with open_errors(file), file.open("rb") as opened:
            return has_preamble(opened.read(HEAD_BYTES))
    except OSError:
        return False


def _pairs(signs: Iterable[Sign]) -> tuple[tuple[str, str], ...]:
    return tuple((sign.kind, sign.detail) for sign in signs)


def _refuse(root: Path, report: IdentifyingReport) -> None:
    """Refuse a folder with signs.

    Raises:
        DataError: There is one, or an image that could not be read.
    """
    if report.signs:
        raise DataError(
            f"{root} shows signs of identifying data: {'; '.join(report.sentences)}. Remove them with a tool "
            "for de-identification, or look at the files and give them away without --strict.",
            code="LEX-DATA-1261",
        )
    if report.unread:
        raise DataError(
            f"{root}: {_counted(tuple(report.unread))} could not be read, so nothing is known of "
            f"what they show: {'; '.join(list(report.unread.values())[:_NAMED])}",
            code="LEX-DATA-1262",
        )


def _counted(files: tuple[str, ...]) -> str:
    return counted(len(files), "file")
