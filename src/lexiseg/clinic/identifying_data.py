"""Signs of identifying data in a DICOM header and in the path of a file; nothing is removed.

A sign names the attribute or the place, never the value. The attributes are all names of people, all dates,
and those of patients, staff and institutions that the Basic Application Level Confidentiality Profile of
DICOM (PS3.15, table E.1-1) removes or replaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from lexiseg.clinic.patient_words import patient_in_path, patient_pattern

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

#: Where a sign is: an attribute of patient, staff or institution; a date; private attributes; the attribute
#: BurnedInAnnotation; text in the pixels; the path.
SignKind = Literal["attribute", "date", "private", "burned-in", "pixels", "path"]

_NAMES_AND_IDS = ("PatientName", "PatientID")
_ATTRIBUTES = (
    *_NAMES_AND_IDS,
    "AccessionNumber",
    "AdditionalPatientHistory",
    "AdmissionID",
    "CountryOfResidence",
    "CurrentPatientLocation",
    "DeviceSerialNumber",
    "EthnicGroup",
    "ImageComments",
    "InstitutionAddress",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "InsurancePlanIdentification",
    "IssuerOfPatientID",
    "MedicalRecordLocator",
    "MilitaryRank",
    "NameOfPhysiciansReadingStudy",
    "Occupation",
    "OperatorsName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientBirthName",
    "PatientComments",
    "PatientInstitutionResidence",
    "PatientMotherBirthName",
    "PatientReligiousPreference",
    "PatientTelephoneNumbers",
    "PerformingPhysicianName",
    "PersonName",
    "PhysiciansOfRecord",
    "ReferringPhysicianAddress",
    "ReferringPhysicianName",
    "ReferringPhysicianTelephoneNumbers",
    "RegionOfResidence",
    "RequestingPhysician",
    "RequestingService",
    "ResponsibleOrganization",
    "ResponsiblePerson",
    "ScheduledPerformingPhysicianName",
    "StationName",
    "VerifyingObserverName",
)
_NAME_VR, _DATE_VRS = "PN", ("DA", "DT")
_TEXT_VRS = ("LO", "LT", "SH", "ST", "UC", "UT")
#: Dates of code lists, and codes, which say nothing of a patient.
_OF_CODES = frozenset(
    {
        "CodeValue",
        "CodingSchemeVersion",
        "ContextGroupLocalVersion",
        "ContextGroupVersion",
        "LongCodeValue",
        "MappingResourceUID",
    }
)

#: Texts that a person or a machine composes of parts with a caret, such as "Head^Routine", or of units.
_WITH_CARETS = re.compile(r"Description|Protocol|Procedure|Sequence|Meaning|Explanation|Unit")

# Dates also in folders, "2023/04/17", and with the month before the day, "04/17/2023". Before a year, one
# sign separates all three numbers: "12/25_2001.png" is an image in a numbered folder.
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATE_IN_PATH = re.compile(
    rf"(?<!\d)(?:{_YEAR}(?:[-_.]?{_MONTH}[-_.]?|/{_MONTH}/){_DAY}"
    rf"|(?:{_MONTH}([-_./]){_DAY}\1|{_DAY}([-_./]){_MONTH}\2){_YEAR})(?!\d)"
)
_UID_IN_PATH = re.compile(r"2\.25\.\d+|\d+(?:\.\d+){4,}")
_LONG_NUMBER = re.compile(r"\d{7,}")
_NAME_SEPARATOR = re.compile(r"\w\^\w|\w, ?[A-Z]\w")
_CARET = re.compile(r"\w\^\w")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w")


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One sign of identifying data.

    Attributes:
        kind: Where it is.
        detail: The attribute, or what the place looks like; never the value.
    """

    kind: SignKind
    detail: str


def header_signs(dataset: Dataset) -> tuple[Sign, ...]:
    """Return the signs in a DICOM header, items of sequences included.

    A file that states that the identity was removed (PatientIdentityRemoved) may keep a pseudonym as name and
    id, and in other texts.

    Args:
        dataset: The file.
    """
    # Paths are checked without pydicom, which this import needs.
    from lexiseg.clinic.dataset import all_items

    removed = _is_removed(dataset)
    found: dict[Sign, None] = {}
    patient = None if removed else patient_pattern(dataset)
    private = False
    for item in all_items(dataset):
        for element in item:
            private = private or element.tag.is_private
            sign = None if element.tag.is_private else _element_sign(element, patient)
            if sign is not None and not (removed and sign.detail in _NAMES_AND_IDS):
                found[sign] = None
    if private:
        found[Sign(kind="private", detail="private attributes")] = None
    if str(dataset.get("BurnedInAnnotation") or "").upper() == "YES":
        found[Sign(kind="burned-in", detail="BurnedInAnnotation is YES")] = None
    return tuple(found)


def _element_sign(element: DataElement, patient: re.Pattern[str] | None) -> Sign | None:
    """Return the sign of an element: one of a person or an institution, a date, or a text that names one.

    Args:
        element: The element.
        patient: What the name and the id of the patient look like in texts; None where they are not known.
    """
    keyword, vr = element.keyword, element.VR
    if keyword in _OF_CODES or vr not in (_NAME_VR, *_DATE_VRS, *_TEXT_VRS):
        return None
    text = str(element.value or "").strip()
    if not text:
        return None
    shown = keyword or str(element.tag)
    if vr in _DATE_VRS:
        return Sign(kind="date", detail=shown)
    if vr == _NAME_VR or keyword in _ATTRIBUTES:
        return Sign(kind="attribute", detail=shown)
    if patient is not None and patient.search(text):
        return Sign(kind="attribute", detail=f"{shown} with the name or the id of the patient")
    if _is_of_person(keyword, text):
        return Sign(kind="attribute", detail=f"{shown} with a name, a date or an address")
    return None


def _is_of_person(keyword: str, text: str) -> bool:
    """Return whether a text holds an address, a date or a name with a caret."""
    if _ADDRESS.search(text):
        return True
    if "Version" not in keyword and _DATE_IN_PATH.search(_UID_IN_PATH.sub("", text)):
        return True
    return _WITH_CARETS.search(keyword) is None and _CARET.search(text) is not None


def _is_removed(dataset: Dataset) -> bool:
    """Return whether a file states that the identity of the patient was removed."""
    return str(dataset.get("PatientIdentityRemoved") or "").upper() == "YES"


def path_signs(path: PurePath, dataset: Dataset | None = None) -> tuple[Sign, ...]:
    """Return the signs in the path of a file.

    Args:
        path: The path, from the folder that is given away.
        dataset: The file, if it is a DICOM file: its name and its id are looked for in the path, unless it
            states that they are pseudonyms (PatientIdentityRemoved).
    """
    text = path.as_posix()
    found = list(patient_in_path(path, dataset)) if dataset is not None and not _is_removed(dataset) else []
    without_uids = _UID_IN_PATH.sub("", text)
    if _DATE_IN_PATH.search(without_uids):
        found.append("a date")
    if _LONG_NUMBER.search(_DATE_IN_PATH.sub("", without_uids)):
        found.append("a number of 7 digits or more")
    if _NAME_SEPARATOR.search(text):
        found.append("a name with ^ or a comma")
    if _ADDRESS.search(text):
        found.append("an e-mail address")
    return tuple(Sign(kind="path", detail=detail) for detail in found)
