"""Coded concepts of the written objects: standard codes where there are any, else those of Lexiseg."""

from __future__ import annotations

import hashlib

from highdicom.sr import CodedConcept

from lexiseg.clinic.orientation import PatientSide
from lexiseg.words.codes import Code

#: Scheme of concepts that no terminology has, such as the agreement of words and mask.
LOCAL_SCHEME = "99LEXISEG"

_LONGEST_MEANING = 64

ABNORMAL_STRUCTURE = CodedConcept("49755003", "SCT", "Morphologically abnormal structure")
ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")
LATERALITY = CodedConcept("272741003", "SCT", "Laterality")
LEFT = CodedConcept("7771000", "SCT", "Left")
RIGHT = CodedConcept("24028007", "SCT", "Right")
BOTH_SIDES = CodedConcept("51440002", "SCT", "Right and left")
NUMBER_OF_LESIONS = CodedConcept("246206008", "SCT", "Number of lesions")
AREA = CodedConcept("42798000", "SCT", "Area")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
COMMENT = CodedConcept("121106", "DCM", "Comment")
IMAGING_PROCEDURE = CodedConcept("363679005", "SCT", "Imaging procedure")
SOURCE_IMAGE = CodedConcept("121322", "DCM", "Source image for image processing operation")
YES = CodedConcept("373066001", "SCT", "Yes")
NO = CodedConcept("373067005", "SCT", "No")
SQUARE_MILLIMETRES = CodedConcept("mm2", "UCUM", "square millimeter")
CUBIC_MILLIMETRES = CodedConcept("mm3", "UCUM", "cubic millimeter")
PIXELS = CodedConcept("{pixels}", "UCUM", "pixels")
VOXELS = CodedConcept("{voxels}", "UCUM", "voxels")
PERCENT = CodedConcept("%", "UCUM", "percent")
RATIO = CodedConcept("1", "UCUM", "no units")

AGREEMENT = CodedConcept("agreement", LOCAL_SCHEME, "Agreement of words and mask")
EXPECTED_DICE = CodedConcept("expected-dice", LOCAL_SCHEME, "Expected Dice coefficient of the mask")
REVIEW = CodedConcept("review", LOCAL_SCHEME, "Review by a person recommended")
REASON = CodedConcept("reason", LOCAL_SCHEME, "Reason for doubt")
DRAFT = CodedConcept("draft", LOCAL_SCHEME, "Draft of a report sentence")
SIDE_OF_WORDS = CodedConcept("side-of-words", LOCAL_SCHEME, "Whose left and right the words mean")
NO_AREA = CodedConcept("no-area", LOCAL_SCHEME, "Reason why no area in mm2 is given")
CORRECTED = CodedConcept("corrected", LOCAL_SCHEME, "Words corrected by a person")
CORRECTED_BY = CodedConcept("corrected-by", LOCAL_SCHEME, "Who corrected the words")
WORD_ORIGIN = CodedConcept("word-origin", LOCAL_SCHEME, "Who said the word")
MODEL_PHRASE = CodedConcept("model-phrase", LOCAL_SCHEME, "Phrase that the model retrieved")
NO_VOLUME = CodedConcept("no-volume", LOCAL_SCHEME, "Reason why no volume in mm3 is given")
NO_EXPECTED_DICE = CodedConcept("no-expected-dice", LOCAL_SCHEME, "Reason why no Dice is expected")
SHOWN_SLICE = CodedConcept("shown-slice", LOCAL_SCHEME, "Slice whose outlines are given")


def concept(code: Code) -> CodedConcept:
    """Return a code of a vocabulary as DICOM writes it."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def factor_concept(name: str, title: str, code: Code | None) -> CodedConcept:
    """Return the concept of a factor: its code, or a local one."""
    return concept(code) if code is not None else local_concept(f"factor-{name}", title)


def local_concept(value: str, meaning: str) -> CodedConcept:
    """Return a concept of the local scheme; a value of more than 16 characters becomes a hash."""
    short = value if len(value) <= 16 else hashlib.sha256(value.encode()).hexdigest()[:16]
    return CodedConcept(short, LOCAL_SCHEME, meaning[:_LONGEST_MEANING])


def side_concept(sides: tuple[PatientSide, ...]) -> CodedConcept:
    """Return the concept of the patient's sides."""
    if len(set(sides)) == 2:
        return BOTH_SIDES
    return LEFT if sides[0] == "left" else RIGHT
