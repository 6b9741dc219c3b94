"""The output formats by name. The names and folders are known without loading any writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lexiseg.errors import UsageError
from lexiseg.inference.formats.output_format import Content, Format

_IMAGES, _VOLUMES = "lexiseg.inference.writers", "lexiseg.inference.volumes"
_DICOM_PACKAGES = ("pydicom", "highdicom")

#: The format of the lines of a batch, which is always written.
RECORDS = "records"

#: The output formats. A new one is a module with its writer, and an entry here.
FORMATS: tuple[Format, ...] = (
    Format(
        name="mask",
        content=Content.LABELS,
        folder="masks",
        suffix=".png",
        mark=b"",
        writer=(f"{_IMAGES}.mask", "MaskWriter"),
        volume_format="nifti",
    ),
    Format(
        name="overlay",
        content=Content.PICTURE,
        folder="overlays",
        suffix=".png",
        mark=b"Software\0Lexiseg overlay",
        writer=(f"{_IMAGES}.overlay", "OverlayWriter"),
        volume_writer=(f"{_VOLUMES}.picture_writers", "OverlayVolumeWriter"),
    ),
    Format(
        name="card",
        content=Content.PICTURE,
        folder="cards",
        suffix=".html",
        mark=b"<title>Lexiseg card",
        are_images=False,
        writer=(f"{_IMAGES}.card", "CardWriter"),
        volume_writer=(f"{_VOLUMES}.picture_writers", "CardVolumeWriter"),
        needs_torch=True,
    ),
    Format(
        name="probability",
        content=Content.MAP,
        folder="probabilities",
        suffix=".tif",
        mark=b"Lexiseg probability map",
        writer=(f"{_IMAGES}.probability", "ProbabilityWriter"),
    ),
    Format(
        name="seg",
        content=Content.SEGMENTATION,
        folder="seg",
        suffix=".dcm",
        mark=b"Lexiseg segmentation",
        writer=(f"{_IMAGES}.seg", "SegmentationWriter"),
        volume_writer=(f"{_VOLUMES}.dicom_writers", "SegmentationVolumeWriter"),
        packages=_DICOM_PACKAGES,
        extra="dicom",
        says_correction=True,
    ),
    Format(
        name="labelmap",
        content=Content.SEGMENTATION,
        folder="labelmap",
        suffix=".dcm",
        mark=b"Lexiseg segmentation",
        writer=(f"{_IMAGES}.seg", "LabelmapWriter"),
        volume_writer=(f"{_VOLUMES}.dicom_writers", "LabelmapVolumeWriter"),
        packages=_DICOM_PACKAGES,
        extra="dicom",
        says_correction=True,
    ),
    Format(
        name="sr",
        content=Content.DICOM_OBJECT,
        folder="sr",
        suffix=".dcm",
        mark=b"Lexiseg report",
        writer=(f"{_IMAGES}.sr", "ReportWriter"),
        volume_writer=(f"{_VOLUMES}.dicom_writers", "ReportVolumeWriter"),
        packages=_DICOM_PACKAGES,
        extra="dicom",
        says_correction=True,
    ),
    Format(
        name="sc",
        content=Content.DICOM_OBJECT,
        folder="sc",
        suffix=".dcm",
        mark=b"Lexiseg overlay. ",
        writer=(f"{_IMAGES}.sc", "CaptureWriter"),
        volume_writer=(f"{_VOLUMES}.dicom_writers", "CaptureVolumeWriter"),
        packages=_DICOM_PACKAGES,
        extra="dicom",
    ),
    Format(
        name="gsps",
        content=Content.DICOM_OBJECT,
        folder="gsps",
        suffix=".dcm",
        mark=b"Lexiseg outline. ",
        writer=(f"{_IMAGES}.gsps", "PresentationStateWriter"),
        volume_writer=(f"{_VOLUMES}.dicom_writers", "PresentationStateVolumeWriter"),
        packages=_DICOM_PACKAGES,
        extra="dicom",
    ),
    Format(
        name="nifti",
        content=Content.LABELS,
        folder="nifti",
        suffix=".nii.gz",
        mark=b"Lexiseg NIfTI mask",
        writer=(f"{_IMAGES}.nifti", "NiftiWriter"),
        volume_writer=(f"{_VOLUMES}.nifti_writer", "NiftiVolumeWriter"),
        packages=("nibabel",),
        extra="volumes",
    ),
    Format(
        name=RECORDS,
        content=Content.TABLE,
        folder=None,
        suffix=".jsonl",
        are_images=False,
        writer=(f"{_IMAGES}.records", "RecordsWriter"),
    ),
    Format(
        name="parquet",
        content=Content.TABLE,
        folder=None,
        suffix=".parquet",
        are_images=False,
        writer=(f"{_IMAGES}.parquet", "ParquetWriter"),
        packages=("pyarrow",),
        extra="parquet",
        # A table of many images is for batches of many thousands, which no job is.
        is_served=False,
    ),
)


def format_names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(known.name for known in FORMATS)


def format_named(name: str) -> Format:
    """Return the format of a name, which `check_formats` has not refused."""
    return next(known for known in FORMATS if known.name == name)


def file_place(name: str) -> tuple[str, str, str]:
    """Return name, folder and suffix of a format of files, as the classes of its writers have them."""
    known = format_named(name)
    assert known.folder is not None
    return known.name, known.folder, known.suffix


def image_formats() -> tuple[Format, ...]:
    """Return the formats that write one file per image."""
    return tuple(known for known in FORMATS if known.folder is not None)


def result_files() -> tuple[str, ...]:
    """Return the files, in an output folder, that hold the results of all images."""
    return tuple(f"predictions{known.suffix}" for known in FORMATS if known.folder is None)


def image_folders() -> tuple[str, ...]:
    """Return the folders, below an output folder, whose files could be taken for images to predict."""
    return tuple(known.folder for known in FORMATS if known.are_images and known.folder is not None)


def volume_formats() -> tuple[Format, ...]:
    """Return the formats that volumes have, in the order in which they are written."""
    found = (known for known in FORMATS if known.volume_writer is not None)
    return tuple(sorted(found, key=lambda known: known.content))


def volume_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the formats that volumes get where some are asked for, each once.

    Args:
        names: Names that `check_formats` has not refused. A format that volumes do not have keeps its name;
            that of the lines is left out, as `volumes.jsonl` is always written.
    """
    others = (name for name in names if name != RECORDS)
    return tuple(dict.fromkeys(format_named(name).volume_format or name for name in others))


def dicom_names() -> tuple[str, ...]:
    """Return the names of the formats of DICOM objects."""
    return tuple(known.name for known in FORMATS if known.is_dicom)


def needs_torch(names: Iterable[object]) -> bool:
    """Return whether any of some formats looks into the network.

    Args:
        names: Names of formats; others, such as writers of a caller, do not count.
    """
    chosen = set(map(str, names))
    return any(known.needs_torch and known.name in chosen for known in FORMATS)


def check_formats(names: Sequence[str]) -> None:
    """Refuse names that no format has.

    Raises:
        UsageError: A name is unknown.
    """
    every = format_names()
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(
            f"Unknown output format {', '.join(map(repr, unknown))}: expected some of {', '.join(every)}.",
            code="LEX-USE-571",
        )
