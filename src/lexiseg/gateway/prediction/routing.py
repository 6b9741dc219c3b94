"""Routing: which rule an image follows, from its header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import regex
from pydicom.dataset import Dataset

from lexiseg.clinic.segmentation_object import MANUFACTURER
from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import Rule

_DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName")
_PATTERN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a rule looks at, and what identifies an image.

    Attributes:
        modality: Modality in upper case; empty where the file states none.
        body_part: BodyPartExamined in upper case; empty where the file states none.
        descriptions: The descriptions of study, series and protocol that the file states.
        patient_id: PatientID.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        sop_uid: SOPInstanceUID.
        is_own: Whether Lexiseg made it.
    """

    modality: str
    body_part: str
    descriptions: tuple[str, ...]
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    is_own: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Header:
        """Return the header of a DICOM file."""

        def text(keyword: str) -> str:
            return str(dataset.get(keyword) or "").strip()

        return cls(
            modality=text("Modality").upper(),
            body_part=text("BodyPartExamined").upper(),
            descriptions=tuple(filter(None, map(text, _DESCRIPTIONS))),
            patient_id=text("PatientID"),
            study_uid=text("StudyInstanceUID"),
            series_uid=text("SeriesInstanceUID"),
            sop_uid=text("SOPInstanceUID"),
            is_own=text("Manufacturer") == MANUFACTURER,
        )


def rule_for(header: Header, rules: Sequence[Rule]) -> Rule | None:
    """Return the first rule that fits an image; None if none does.

    Raises:
        UsageError: The regular expression of a rule takes too long.
    """
    return next((rule for rule in rules if _fits(header, rule)), None)


def _fits(header: Header, rule: Rule) -> bool:
    if rule.modality and header.modality not in rule.modality:
        return False
    if rule.body_part and header.body_part not in rule.body_part:
        return False
    if rule.description is None:
        return True
    try:
        return any(
            regex.search(rule.description, text, regex.IGNORECASE, timeout=_PATTERN_SECONDS)
            for text in header.descriptions
        )
    except TimeoutError as error:
        raise UsageError(
            f"The description {rule.description!r} of rule {rule.name!r} takes longer than "
            f"{_PATTERN_SECONDS:g} s to compare with a text. Write a simpler regular expression.",
            code="LEX-USE-1235",
        ) from error
