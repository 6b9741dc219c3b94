"""The name and the id of the patient of a DICOM file, as they are looked for in other texts."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Words that stand in names of phantoms and pseudonyms, and in usual descriptions: alone, they name nobody.
_USUAL_WORDS = (
    "abdomen abdominal adult anonym anonymised anonymized anonymous arm axial baseline body brain breast "
    "calibration cardiac case chest child coronal covid data dataset demo female foot hand head heart hip "
    "image knee left leg liver lung lungs male mammo mammography mri neck nodule none normal patient pelvis "
    "phantom prostate pseudonym quality research right routine sample scan screening series shoulder site "
    "spine study subject supine test thorax training trial tumor unknown volunteer water "
    "anonymisiert fall kopf lunge patientin phantom proband probe testpatient unbekannt"
)
_USUAL = frozenset(_USUAL_WORDS.split())
_LEAST_WHOLE, _LEAST_WORD, _LEAST_IN_PATH, _LEAST_ID = 3, 4, 3, 4


def patient_pattern(dataset: Dataset) -> re.Pattern[str] | None:
    """Return what matches the name and the id of the patient in a text; None without both.

    A name matches as a whole, in either order, and by each of its words of at least four letters. Usual words
    of descriptions do not count alone.

    Args:
        dataset: The file.
    """
    parts = re.findall(r"[^\W_]+", str(dataset.get("PatientName") or ""))
    wanted = [re.escape(part) for part in parts if part.isalpha() and _counts(part, _LEAST_WORD)]
    if sum(map(len, parts)) >= _LEAST_WHOLE and not all(part.lower() in _USUAL for part in parts):
        wanted += [r"[\W_]+".join(map(re.escape, order)) for order in (parts, parts[::-1])]
    id = _patient_id(dataset)
    wanted += [re.escape(id)] if id else []
    if not wanted:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(wanted)})(?!\w)", re.IGNORECASE)


def patient_in_path(path: PurePath, dataset: Dataset) -> tuple[str, ...]:
    """Return what of the patient a path holds, in words.

    Args:
        path: The path.
        dataset: The file.
    """
    lower = path.as_posix().lower()
    words = re.findall(r"[^\W\d_]+", str(dataset.get("PatientName") or ""))
    found = []
    if any(_counts(word, _LEAST_IN_PATH) and word.lower() in lower for word in words):
        found.append("the name of the patient")
    id = _patient_id(dataset)
    if id and id.lower() in lower:
        found.append("the id of the patient")
    return tuple(found)


def _patient_id(dataset: Dataset) -> str:
    """Return the id of the patient; an empty text for one that is too short, or a usual word."""
    id = str(dataset.get("PatientID") or "").strip()
    return id if _counts(id, _LEAST_ID) else ""


def _counts(word: str, least: int) -> bool:
    return len(word) >= least and word.lower() not in _USUAL
