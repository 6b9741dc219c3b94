"""The header of a source image as written objects refer to it: one frame, valid values, no pixels."""

from __future__ import annotations

from pathlib import Path

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from lexiseg.clinic.dataset import BROKEN, first_value, number_of_frames, numbers
from lexiseg.errors import DataError

#: What an object of the same study repeats; an archive demands the attributes, but they may be empty.
_STUDY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_NUMBERS_AS_TEXT = ("DS", "IS")
_SEXES = ("M", "F", "O")
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

#: Where an attribute of a frame stands in a file of several frames.
_PER_FRAME = (
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices"),
)
_PLANE = ("ImageOrientationPatient", "ImagePositionPatient")

#: Kinds of images of several frames that state the place of each: enhanced CT, MR and PET, also converted
#: ones.
_ENHANCED = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("2.1", "2.2", "4.1", "4.3", "4.4", "128.1", "130")
)
#: The pixels of a file.
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def source_header(dataset: Dataset, path: Path, index: int) -> Dataset:
    """Return the header of one frame of a source image.

    Values that break the standard are left out, because they would break the objects that repeat them.

    Args:
        dataset: The source.
        path: Its name, for messages.
        index: The frame, from 0.

    Raises:
        DataError: An UID that identifies the image is missing.
    """
    header = Dataset()
    header.file_meta = dataset.file_meta
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.keyword in PIXELS or element.tag.is_private:
                continue
            if element.VR != "SQ":
                values = element.value if element.VM > 1 else [element.value]
                for value in values:
                    # Numbers that a file holds as text are checked as that text.
                    checked = str(value) if element.VR in _NUMBERS_AS_TEXT and value is not None else value
                    validate_value(element.VR, checked, config.RAISE)
            # A new element: a change of the header must not change the source.
            header.add(DataElement(element.tag, element.VR, element.value))
        except BROKEN:
            # The value breaks its type; the source keeps it, the new object does without.
            continue
    missing = [keyword for keyword in _IDENTITY if not header.get(keyword)]
    if missing:
        raise DataError(
            f"{path} lacks {', '.join(missing)}; without them no object can refer to it. Export it from the "
            "archive.",
            code="LEX-DATA-970",
        )
    for keyword in _STUDY:
        if keyword not in header:
            setattr(header, keyword, None if keyword.endswith("Name") else "")
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    _single_frame(header, dataset, index)
    return header


def frames_header(dataset: Dataset, path: Path) -> Dataset:
    """Return the header of a source of several frames, with the place of each frame.

    Its functional groups hold nothing else, so that other values cannot break the objects that repeat them.

    Args:
        dataset: The source.
        path: Its name, for messages.

    Raises:
        DataError: It is no enhanced image, or an UID that identifies it is missing.
    """
    if str(dataset.get("SOPClassUID", "")) not in _ENHANCED:
        raise DataError(
            f"{path} holds several frames, but is no enhanced CT, MR or PET image, so it gets no DICOM "
            "objects. Write its labels as NIfTI (format nifti).",
            code="LEX-DATA-1428",
        )
    header = source_header(dataset, path, 0)
    shared, frames = Dataset(), [Dataset() for _ in range(number_of_frames(dataset))]
    for group, keyword in _PER_FRAME:
        # All frames have the same orientation and pixel spacing, else they were no volume.
        for index, place in enumerate(frames if keyword == "ImagePositionPatient" else [shared]):
            value = first_value(dataset, group, keyword, index)
            if numbers(value):
                if group not in place:
                    setattr(place, group, [Dataset()])
                setattr(getattr(place, group)[0], keyword, value)
    for _, keyword in _PER_FRAME:
        if keyword in header:
            delattr(header, keyword)
    header.NumberOfFrames = len(frames)
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = frames
    return header


def _single_frame(header: Dataset, dataset: Dataset, index: int) -> None:
    """Move what functional groups say about one frame to where files of one frame state it."""
    for group, keyword in _PER_FRAME:
        value = first_value(dataset, group, keyword, index)
        if numbers(value):
            setattr(header, keyword, value)
        elif keyword in header:
            # Damaged numbers are read as text.
            delattr(header, keyword)
    for keyword in (
        "NumberOfFrames",
        "PerFrameFunctionalGroupsSequence",
        "SharedFunctionalGroupsSequence",
        "DimensionIndexSequence",
        "DimensionOrganizationSequence",
        "DimensionOrganizationType",
    ):
        if keyword in header:
            delattr(header, keyword)
    if not all(step > 0 for step in numbers(header.get("PixelSpacing"))) and "PixelSpacing" in header:
        del header.PixelSpacing
    # A plane in space needs all of its attributes; without one the image is a plain picture.
    if not header.get("FrameOfReferenceUID") or not all(keyword in header for keyword in _PLANE):
        for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", *_PLANE):
            if keyword in header:
                delattr(header, keyword)


def referenced_frame(dataset: Dataset, index: int) -> int | None:
    """Return the number of the frame that objects refer to; None for a file of one frame."""
    return index + 1 if number_of_frames(dataset) > 1 else None
