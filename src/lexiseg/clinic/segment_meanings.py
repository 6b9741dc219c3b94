"""What the segments of a DICOM segmentation mean, and segmentations that disagree about a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from lexiseg.clinic.dataset import BROKEN
from lexiseg.clinic.segmentation_mask import is_segmentation
from lexiseg.errors import DataError

#: Words of labels that name no structure.
_EMPTY_WORDS = frozenset(
    {"annotation", "class", "label", "labelmap", "manual", "mask", "region", "roi", "seg", "segment"}
    | {"segmentation", "structure", "unnamed"}
)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a segment is.

    Attributes:
        kind: The code of its property type; None where the file states none.
        label: Its label.
    """

    kind: Code | None
    label: str

    def __str__(self) -> str:
        code = "" if self.kind is None else f" ({self.kind.meaning or self.kind.value})"
        return f"{self.label!r}{code}"

    def differs(self, other: Meaning, *, labels: bool) -> bool:
        """Return whether it is another structure: by the types, or else by labels of other words.

        Args:
            other: The other meaning.
            labels: Whether labels count where the types do not tell.
        """
        one, two = self.kind, other.kind
        if one is not None and two is not None and one != two and _scheme(one) == _scheme(two):
            return True
        mine, yours = _words(self.label), _words(other.label)
        return labels and bool(mine) and bool(yours) and not (mine <= yours or yours <= mine)


def refuse_other_meanings(files: Sequence[Path], *, labels: bool) -> None:
    """Refuse segmentations of a data set that give one number to different structures.

    Args:
        files: DICOM files; those that are no segmentations, or cannot be read, are not looked at.
        labels: Whether the labels of segments count where their types are equal or missing.

    Raises:
        DataError: Two files differ.
    """
    known: dict[int, dict[Meaning, Path]] = {}
    for file in sorted(files):
        for number, meaning in _meanings(file).items():
            of_number = known.setdefault(number, {})
            if meaning in of_number:
                continue
            for before, first in of_number.items():
                if meaning.differs(before, labels=labels):
                    raise _differing(number, (before, first), (meaning, file))
            of_number[meaning] = file


def _differing(number: int, one: tuple[Meaning, Path], other: tuple[Meaning, Path]) -> DataError:
    return DataError(
        f"Segment {number} is {one[0]} in {one[1]}, but {other[0]} in {other[1]}; the segment number is the "
        "class. Give each structure one number in all segmentations; a file need not have all of them.",
        code="LEX-DATA-1892",
    )


def _meanings(file: Path) -> Mapping[int, Meaning]:
    """Return the meaning of each segment of a file, by its number."""
    try:
        dataset = dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SegmentSequence"])
        if not is_segmentation(dataset):
            return {}
        return {
            int(item.SegmentNumber): Meaning(kind=_kind(item), label=str(item.get("SegmentLabel") or ""))
            for item in dataset.get("SegmentSequence") or []
        }
    except BROKEN:
        return {}  # it is reported where the mask is read


def _kind(segment: Dataset) -> Code | None:
    for item in segment.get("SegmentedPropertyTypeCodeSequence") or []:
        value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
        if value:
            meaning = str(item.get("CodeMeaning") or "")
            return Code(str(value), str(item.get("CodingSchemeDesignator") or ""), meaning)
    return None


def _scheme(code: Code) -> str:
    """Return the coding scheme; the ones of SNOMED are compared as one."""
    scheme = code.scheme_designator
    return "SCT" if scheme in ("SRT", "SNM3", "99SDM") else scheme


def _words(label: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", label.casefold())) - _EMPTY_WORDS
