"""UIDs and dates of written objects, derived from source and algorithm: a repetition gives the same."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import all_items, numbers
from lexiseg.clinic.result_content import ResultContent

# The names of all objects begin with this; another value would give all of them new UIDs.
_NAMESPACE = uuid.UUID("a8a5bd34-6f0c-5d0e-9b4e-3f0a8f6b7c21")

#: The kinds of objects: an object of each kind has UIDs of its own.
ObjectKind = Literal["seg", "labelmap", "sr", "sc", "gsps"]

#: Series number of each kind of object: that of the source times 100, plus this.
_SERIES_OFFSETS: dict[ObjectKind, int] = {"seg": 1, "sr": 2, "sc": 3, "gsps": 4, "labelmap": 5}
_MOMENTS_OF_WRITING = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
    "TimezoneOffsetFromUTC",
)
_LARGEST_NUMBER = 2**31 - 1
_FALLBACK_SERIES = 9000

_DATES = (
    ("ContentDate", "ContentTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


@dataclass(frozen=True, kw_only=True)
class ObjectIdentity:
    """What identifies a written object.

    Attributes:
        series_uid: Its series; one per source series, algorithm and kind of object.
        instance_uid: The object.
        series_number: Number of the series.
        instance_number: Number of the object in its series.
        date: Its date, YYYYMMDD: that of the source.
        time: Its time, HHMMSS.
    """

    series_uid: str
    instance_uid: str
    series_number: int
    instance_number: int
    date: str
    time: str


def derived_uid(*parts: str) -> str:
    """Return a UID that is the same exactly for the same parts (PS3.5 B.2, a UUID of version 5)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(parts)).int}"


def identity_of(
    source: Dataset, content: ResultContent, kind: ObjectKind, *, refers_to: str = ""
) -> ObjectIdentity:
    """Return the identity of an object.

    Args:
        source: The source image.
        content: The prediction.
        kind: What is written.
        refers_to: UID of another written object that this one refers to; empty without one.
    """
    algorithm, frame = content.algorithm.identity, str(content.facts.frame)
    number = (numbers(source.get("SeriesNumber")) or [0])[0]
    series_number = int(number) * 100 + _SERIES_OFFSETS[kind]
    if not 0 < series_number <= _LARGEST_NUMBER:
        series_number = _FALLBACK_SERIES + _SERIES_OFFSETS[kind]
    instance = (numbers(source.get("InstanceNumber")) or [1])[0]
    date, time = _moment(source, content)
    return ObjectIdentity(
        series_uid=derived_uid("series", str(source.SeriesInstanceUID), algorithm, kind),
        instance_uid=derived_uid(
            "instance",
            str(source.SOPInstanceUID),
            frame,
            algorithm,
            kind,
            *([refers_to] if refers_to else []),
        ),
        series_number=series_number,
        instance_number=int(instance) if 0 < instance <= _LARGEST_NUMBER else 1,
        date=date,
        time=time,
    )


def fix_identity(written: Dataset, identity: ObjectIdentity, source: Dataset) -> None:
    """Replace moments and UIDs of the act of writing, so that a repetition gives the same bytes.

    A time without its zone is kept without one; a zone is stated only where the source states it.
    """
    for keyword in _MOMENTS_OF_WRITING:
        if keyword in written:
            delattr(written, keyword)
    for date, time in (("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime")):
        setattr(written, date, identity.date)
        setattr(written, time, identity.time)
    zone = source.get("TimezoneOffsetFromUTC")
    if zone:
        written.TimezoneOffsetFromUTC = zone

    for item in all_items(written):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = identity.date + identity.time
        if "DimensionOrganizationUID" in item:
            item.DimensionOrganizationUID = derived_uid("dimensions", identity.instance_uid)


def _moment(source: Dataset, content: ResultContent) -> tuple[str, str]:
    for date, time in _DATES:
        found = str(source.get(date) or "")
        if len(found) == 8 and found.isdigit():
            clock = str(source.get(time) or "").split(".")[0]
            return found, clock if len(clock) == 6 and clock.isdigit() else "000000"
    return content.fallback_date[:8], content.fallback_date[8:]
