"""What the segments of segmentations mean, and segmentations that disagree about a number.

The labels in DICOM segmentations are read here; those of other files are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.errors import DataError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

#: Property types that name no structure, in SNOMED CT and in the older SNOMED codes: tissue, anatomical
#: structure, morphologically abnormal structure. Programs write them where a person chooses no type.
_GENERIC_TYPES = frozenset({"85756007", "T-D0050", "91723000", "T-D0005", "49755003", "M-01000"})

#: Words of labels that name no structure.
_EMPTY_WORDS = frozenset(
    {"annotation", "class", "label", "labelmap", "manual", "mask", "region", "roi", "seg", "segment"}
    | {"segmentation", "structure", "unnamed"}
)
#: What follows a dash tells one segment from another, or who drew it.
_DASH = re.compile(r"\s[-\u2013\u2014]\s|[\u2013\u2014]")


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

    def differs(self, other: Meaning) -> bool:
        """Return whether it is another structure: by the types, or by the labels where these do not tell.

        Labels are free text of a person, so they count only where a type is missing or names no structure,
        or where the types are of two coding schemes.
        """
        one, two = self.kind, other.kind
        comparable = one is not None and two is not None and (one == two or _scheme(one) == _scheme(two))
        if comparable and one != two:
            return True
        if comparable and one is not None and one.value not in _GENERIC_TYPES:
            return False
        mine, yours = _words(self.label), _words(other.label)
        return bool(mine) and bool(yours) and not (mine <= yours or yours <= mine)


def other_meaning(meanings: Mapping[Path, Mapping[int, Meaning]]) -> str | None:
    """Return which number the segmentations of a data set give to different structures, and where.

    Args:
        meanings: What each number means, by file.

    Returns:
        The first difference, as "Segment 1 is ... in ..., but ... in ..."; None where the files agree.
    """
    known: dict[int, dict[object, tuple[Meaning, Path]]] = {}
    for file, of_file in sorted(meanings.items()):
        for number, meaning in of_file.items():
            of_number = known.setdefault(number, {})
            # Labels such as "Nodule 17" are one key, so that thousands of files are compared in no time.
            key = (meaning.kind, frozenset(_words(meaning.label)))
            if key in of_number:
                continue
            for before, first in of_number.values():
                if meaning.differs(before):
                    return f"Segment {number} is {before} in {first}, but {meaning} in {file}"
            of_number[key] = (meaning, file)
    return None


def several_meanings(found: str) -> DataError:
    """Return the error for segmentations of a data set that give one number to different structures.

    Args:
        found: The difference, from `other_meaning`.
    """
    return DataError(
        f"{found}; the segment number is the class. If both are one class, say so in dataset.yaml, as "
        "`classes: {0: background, 1: lesion}`, with all segment numbers. Otherwise give each structure "
        "one number in all segmentations; a file need not have all of them.",
        code="LEX-DATA-1892",
    )


def dicom_meanings(file: Path) -> Mapping[int, Meaning]:
    """Return the meaning of each segment of a DICOM file, by its number; empty for what is no segmentation.

    A file that cannot be read has none: reading it as a mask says why.
    """
    from pydicom import dcmread

    from lexiseg.clinic.dataset import BROKEN
    from lexiseg.clinic.segmentation_mask import is_segmentation

    try:
        dataset = dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SegmentSequence"])
        if not is_segmentation(dataset):
            return {}
        return {
            int(item.SegmentNumber): Meaning(kind=_kind(item), label=str(item.get("SegmentLabel") or ""))
            for item in dataset.get("SegmentSequence") or []
        }
    except BROKEN:
        return {}


def _kind(segment: Dataset) -> Code | None:
    from pydicom.sr.coding import Code

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
    """Return what a label names: its words in small letters up to a dash, in the singular, without digits."""
    whole = label.casefold().replace("our", "or")
    before_dash = _DASH.split(whole, maxsplit=1)[0]
    # "Segment - Liver" names nothing before its dash.
    words = _naming(before_dash) or _naming(whole)
    # "lungs" and "lung", "masses" and "mass", "metastases" and "metastasis" end alike without these letters.
    return frozenset(word.rstrip("eis") or word for word in words)


def _naming(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", text)) - _EMPTY_WORDS
