"""The header of an image: what rules look at, and what identifies it."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from lexiseg.clinic.segmentation_object import MANUFACTURER

_DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName")


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
