"""The output formats by name. The names and folders are known without loading any writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from lexiseg.errors import UsageError
from lexiseg.extras import install_hint

if TYPE_CHECKING:
    from lexiseg.inference.writers.base import Writer


@dataclass(frozen=True, kw_only=True)
class Format:
    """An output format.

    Attributes:
        name: Its name, as in `--write`.
        folder: Folder of its files below the output folder; None where it writes one file for all images.
        suffix: Ending of its files.
        mark: What the first bytes of its files hold, by which files of version 0.1.0 are known; empty for
            masks, which the lines of a batch name.
        are_images: Whether its files could be taken for images to predict.
        writer: Module and class of its writer.
        extra: The extra that installs what its writer needs; None where nothing more is needed.
    """

    name: str
    folder: str | None
    suffix: str
    mark: bytes
    are_images: bool
    writer: tuple[str, str]
    extra: str | None = None


#: What each extra adds, as far as writers need it.
_PACKAGES = {"dicom": ("pydicom", "highdicom"), "volumes": ("nibabel",), "parquet": ("pyarrow",)}

_PACKAGE = "lexiseg.inference.writers"

#: The output formats. A new one is a module with its writer, and a line here.
FORMATS = (
    Format(
        name="mask",
        folder="masks",
        suffix=".png",
        mark=b"",
        are_images=True,
        writer=(f"{_PACKAGE}.mask", "MaskWriter"),
    ),
    Format(
        name="overlay",
        folder="overlays",
        suffix=".png",
        mark=b"Software\0Lexiseg overlay",
        are_images=True,
        writer=(f"{_PACKAGE}.overlay", "OverlayWriter"),
    ),
    Format(
        name="card",
        folder="cards",
        suffix=".html",
        mark=b"<title>Lexiseg card",
        are_images=False,
        writer=(f"{_PACKAGE}.card", "CardWriter"),
    ),
    Format(
        name="probability",
        folder="probabilities",
        suffix=".tif",
        mark=b"Lexiseg probability map",
        are_images=True,
        writer=(f"{_PACKAGE}.probability", "ProbabilityWriter"),
    ),
    Format(
        name="seg",
        folder="seg",
        suffix=".dcm",
        mark=b"Lexiseg segmentation",
        are_images=True,
        writer=(f"{_PACKAGE}.seg", "SegmentationWriter"),
        extra="dicom",
    ),
    Format(
        name="labelmap",
        folder="labelmap",
        suffix=".dcm",
        mark=b"Lexiseg segmentation",
        are_images=True,
        writer=(f"{_PACKAGE}.seg", "LabelmapWriter"),
        extra="dicom",
    ),
    Format(
        name="sr",
        folder="sr",
        suffix=".dcm",
        mark=b"Lexiseg report",
        are_images=True,
        writer=(f"{_PACKAGE}.sr", "ReportWriter"),
        extra="dicom",
    ),
    Format(
        name="sc",
        folder="sc",
        suffix=".dcm",
        mark=b"Lexiseg overlay. ",
        are_images=True,
        writer=(f"{_PACKAGE}.sc", "CaptureWriter"),
        extra="dicom",
    ),
    Format(
        name="gsps",
        folder="gsps",
        suffix=".dcm",
        mark=b"Lexiseg outline. ",
        are_images=True,
        writer=(f"{_PACKAGE}.gsps", "PresentationStateWriter"),
        extra="dicom",
    ),
    Format(
        name="nifti",
        folder="nifti",
        suffix=".nii.gz",
        mark=b"Lexiseg NIfTI mask",
        are_images=True,
        writer=(f"{_PACKAGE}.nifti", "NiftiWriter"),
        extra="volumes",
    ),
    Format(
        name="records",
        folder=None,
        suffix=".jsonl",
        mark=b"",
        are_images=False,
        writer=(f"{_PACKAGE}.records", "RecordsWriter"),
    ),
    Format(
        name="parquet",
        folder=None,
        suffix=".parquet",
        mark=b"",
        are_images=False,
        writer=(f"{_PACKAGE}.parquet", "ParquetWriter"),
        extra="parquet",
    ),
)

_BY_NAME = {known.name: known for known in FORMATS}


def format_names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(_BY_NAME)


def image_formats() -> tuple[Format, ...]:
    """Return the formats that write one file per image."""
    return tuple(known for known in FORMATS if known.folder is not None)


def result_files() -> tuple[str, ...]:
    """Return the files, in an output folder, that hold the results of all images."""
    return tuple(f"predictions{known.suffix}" for known in FORMATS if known.folder is None)


def image_folders() -> tuple[str, ...]:
    """Return the folders, below an output folder, whose files could be taken for images to predict."""
    return tuple(known.folder for known in FORMATS if known.are_images and known.folder is not None)


def check_formats(names: Sequence[str]) -> None:
    """Refuse names that no format has.

    Raises:
        UsageError: A name is unknown.
    """
    unknown = [name for name in names if name not in _BY_NAME]
    if unknown:
        raise UsageError(
            f"Unknown output format {', '.join(map(repr, unknown))}: expected some of {', '.join(_BY_NAME)}.",
            code="LEX-USE-571",
        )


def make_writers(formats: Sequence[str | Writer]) -> tuple[Writer, ...]:
    """Return one writer per format, each format once, in the order of its first mention.

    Args:
        formats: Names of formats, and writers as they are.

    Raises:
        UsageError: A name is unknown.
    """
    check_formats([given for given in formats if isinstance(given, str)])
    writers: dict[str, Writer] = {}
    for given in formats:
        writer = _load(_BY_NAME[given]) if isinstance(given, str) else given
        writers.setdefault(writer.name, writer)
    return tuple(writers.values())


def unwritten_formats(chosen: Sequence[Writer]) -> tuple[Writer, ...]:
    """Return one writer per format of files that is not chosen; it knows the files and writes none.

    Its writer is not loaded: it may need packages that are not installed.
    """
    from lexiseg.inference.writers.base import ImageWriter

    names = {writer.name for writer in chosen}
    found: list[Writer] = []
    for known in FORMATS:
        if known.name not in names and known.folder is not None:
            writer = ImageWriter()
            writer.name, writer.folder, writer.suffix = known.name, known.folder, known.suffix
            found.append(writer)
    return tuple(found)


def _load(known: Format) -> Writer:
    if known.extra is not None and any(find_spec(name) is None for name in _PACKAGES[known.extra]):
        raise UsageError(
            f"The output format {known.name} needs packages that are not installed. "
            f"{install_hint(known.extra)}",
            code="LEX-USE-943",
        )
    module, name = known.writer
    return cast("Writer", getattr(import_module(module), name)())
