"""Opening of DICOM files: the data set is read, and everything that is no image is refused with its kind."""

from __future__ import annotations

import io
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import config, dcmread, uid
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

from lexiseg.clinic.detection import HEAD_BYTES, has_preamble
from lexiseg.errors import DataError

# Values that break the standard are common and mostly without effect; what matters is checked at its use.
warnings.filterwarnings("ignore", module=r"pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
config.settings.reading_validation_mode = config.IGNORE

#: What pydicom and the decoders raise on damaged files.
BROKEN = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

#: What is raised where an object is built from a source that lacks an attribute, or holds an impossible one.
LACKING = (AttributeError, KeyError, ValueError)

_UID = re.compile(r"\d+(?:\.\d+){4,}")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DOCUMENT = "1.2.840.10008.5.1.4.1.1.104."
_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11."
_REPORT = "1.2.840.10008.5.1.4.1.1.88."
_RADIOTHERAPY = "1.2.840.10008.5.1.4.1.1.481."
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"

# Values from this size on stay on the disk where only the other ones are needed.
_LARGE_BYTES = 1 << 16


def read_dataset(content: bytes, path: Path) -> Dataset:
    """Read a DICOM file of any kind.

    Args:
        content: The file.
        path: Its name, for messages.

    Raises:
        DataError: The file is damaged.
    """
    return _read(io.BytesIO(content), path, is_bare=not has_preamble(content))


def read_without_large_values(file: BinaryIO, path: Path) -> Dataset:
    """Read a DICOM file of any kind; large values, such as pixels, stay on the disk.

    So memory does not grow with the number of frames. Whether the pixels are complete is not known.

    Args:
        file: The opened file, at its start.
        path: Its name, for messages.

    Raises:
        DataError: The file is damaged.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return _read(file, path, is_bare=not has_preamble(head), defer_size=_LARGE_BYTES)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on damage into an error that names the file.

    Elements are decoded when they are first used, so everything that uses elements of a file from outside is
    done in this context.

    Args:
        path: Name of the file, for the message.

    Raises:
        DataError: The file is damaged.
    """
    try:
        yield
    except BROKEN as error:
        raise DataError(
            f"{path} is a damaged DICOM file: {_first_line(error)}. Export it again.", code="LEX-DATA-940"
        ) from error


def state_syntax(dataset: Dataset) -> None:
    """Let a file that states no transfer syntax state what pydicom found when it read the elements."""
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    implicit, little = dataset.original_encoding
    explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def without_undecodable(dataset: Dataset) -> Dataset:
    """Remove the elements that cannot be decoded from a data set, and return it.

    Only for a file that has been read as an image: what its pixels and directions need can be decoded.
    """
    for tag in list(dataset.keys()):
        try:
            dataset[tag]
        except BROKEN:
            del dataset[tag]
    return dataset


def read_image_dataset(content: bytes, path: Path) -> Dataset:
    """Read a DICOM file that holds an image.

    Raises:
        DataError: The file is damaged, or holds a document, a presentation state, a report, an object of
            radiotherapy, a segmentation, an index or something else without pixels.
    """
    dataset = read_dataset(content, path)
    refuse_other_kinds(dataset, path)
    return dataset


def frame_items(dataset: Dataset, keyword: str, frame: int) -> Iterator[Dataset]:
    """Yield the places where an attribute of a frame may stand: its functional groups, then the file itself.

    Args:
        dataset: The file.
        keyword: The sequence of the functional group, such as "PixelMeasuresSequence".
        frame: Number of the frame, from 0.
    """
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        yield from (group.get(keyword) or [])[:1]
    yield dataset


def first_value(dataset: Dataset, group: str, keyword: str, frame: int) -> Any:
    """Return an attribute of a frame from the first of `frame_items` that states it; None if none does."""
    for item in frame_items(dataset, group, frame):
        value = item.get(keyword)
        if value is not None and value != "":
            return value
    return None


def numbers(value: Any) -> list[float]:
    """Return a value of one or more numbers as a list; empty where it is missing or not all are finite."""
    if value is None or isinstance(value, str):
        return []
    try:
        found = [float(part) for part in (value if hasattr(value, "__iter__") else [value])]
    except (TypeError, ValueError, OverflowError):
        return []
    return found if all(map(math.isfinite, found)) else []


def lack_named(error: Exception) -> str:
    """Return what a source lacks, for a message, such as "no SliceThickness".

    Args:
        error: One of `LACKING` or `BROKEN`.
    """
    said = str(error).rstrip(".")
    if isinstance(error, AttributeError) and error.name and tag_for_keyword(error.name) is not None:
        return f"no {error.name}"
    if isinstance(error, KeyError) and error.args:
        said = str(error.args[0]).rstrip(".")
        if isinstance(error.args[0], BaseTag):
            return f"no {keyword_for_tag(error.args[0]) or said}"
        # The library has tables of classes, without those that are retired.
        named = _UID.search(said)
        if named is not None:
            known = uid.UID(named.group())
            name = "" if known.name == known else f" ({known.name})"
            return f"a known class; {known}{name} is retired, private or new"
    return said


def all_items(dataset: Dataset) -> list[Dataset]:
    """Return a data set and all items of its sequences, at any depth."""
    found = [dataset]
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                found += all_items(item)
    return found


def is_quadruped(dataset: Dataset) -> bool:
    """Return whether a file shows an animal on four feet: its axes and directions are not those of humans."""
    return str(dataset.get("AnatomicalOrientationType") or "").strip().upper() == "QUADRUPED"


def number_of_frames(dataset: Dataset) -> int:
    """Return how many frames the file declares, at least 1."""
    found = numbers(dataset.get("NumberOfFrames"))
    return max(1, int(found[0])) if found else 1


def refuse_other_kinds(dataset: Dataset, path: Path) -> None:
    """Refuse a file without image by its kind.

    Args:
        dataset: The file.
        path: Its name, for messages.

    Raises:
        DataError: It is a document, a presentation state, a report, an object of radiotherapy, a
            segmentation, an index or something else without pixels, or it is damaged.
    """
    with damage_named(path):
        _refuse_other_kinds(dataset, path)


def _read(file: BinaryIO, path: Path, *, is_bare: bool, defer_size: int | None = None) -> Dataset:
    """Read a file whose large values stay on the disk if `defer_size` is given."""
    with damage_named(path):
        dataset = dcmread(file, defer_size=defer_size, force=is_bare)
        dataset.get("SOPClassUID")
        state_syntax(dataset)
    return dataset


def _refuse_other_kinds(dataset: Dataset, path: Path) -> None:
    kind = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if kind.startswith(_DOCUMENT):
        raise DataError(
            f"{path} is a document inside a DICOM file ({_name(kind)}), not an image. Leave it out.",
            code="LEX-DATA-941",
        )
    if kind.startswith(_PRESENTATION_STATE):
        raise DataError(
            f"{path} is a presentation state: it says how another image is displayed and holds no pixels. "
            "Give the image itself.",
            code="LEX-DATA-942",
        )
    if kind.startswith(_REPORT):
        raise DataError(
            f"{path} is a structured report ({_name(kind)}), not an image. Leave it out.", code="LEX-DATA-943"
        )
    if kind.startswith(_RADIOTHERAPY):
        # Doses and images of the treatment beam hold pixels too.
        raise DataError(
            f"{path} is an object of radiotherapy ({_name(kind)}), not a diagnostic image. Leave it out.",
            code="LEX-DATA-1813",
        )
    if kind in _SEGMENTATIONS:
        raise DataError(
            f"{path} is a segmentation, not an image. Segmentations can be masks of a data set; give images "
            "to predict.",
            code="LEX-DATA-944",
        )
    if kind == _MEDIA_DIRECTORY:
        raise DataError(
            f"{path} is the index of a disc (DICOMDIR), not an image. Give the folder that holds it; its "
            "images are found there.",
            code="LEX-DATA-945",
        )
    if not any(name in dataset for name in _PIXELS):
        if not _is_recognised(dataset):
            raise DataError(
                f"{path} is not a readable DICOM file: no known element is in it.", code="LEX-DATA-946"
            )
        raise DataError(
            f"{path} is a DICOM file without pixels ({_name(kind) or 'of unknown kind'}). Give files with "
            "images.",
            code="LEX-DATA-947",
        )


def _is_recognised(dataset: Dataset) -> bool:
    return "SOPClassUID" in dataset or "StudyInstanceUID" in dataset or "Modality" in dataset


def _name(kind: str) -> str:
    return uid.UID(kind).name if kind else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
