"""Codes of terminologies for what a vocabulary names, as written into structured reports."""

from __future__ import annotations

from pydantic import Field

from lexiseg.words.grammar import VocabularyData


class Code(VocabularyData):
    """A concept of a terminology.

    Attributes:
        scheme: Its terminology as DICOM names it: SCT (SNOMED CT), DCM (DICOM), ...
        value: The code.
        meaning: Its meaning in words.
    """

    scheme: str = Field(min_length=1, max_length=16)
    value: str = Field(min_length=1, max_length=16)
    meaning: str = Field(min_length=1, max_length=64)


class Codes(VocabularyData):
    """The codes of a vocabulary. What has no code is written as text.

    Attributes:
        finding: What is segmented, such as an opacity; None without a code.
        factors: Codes of factors, by name: what is asked about the finding, such as its size.
        phrases: Codes of phrases, by phrase: the answer, such as "small".
    """

    finding: Code | None = None
    factors: dict[str, Code] = Field(default_factory=dict)
    phrases: dict[str, Code] = Field(default_factory=dict)
