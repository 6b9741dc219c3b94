"""What the objects of one prediction hold: segments, words, agreement, the flag, and the algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.orientation import PatientSide
from lexiseg.words.codes import Code

#: Whose left the words mean: the patient's, or that of the image where the patient's is not known.
WordSide = Literal["patient", "image", "unknown"]

#: Who said a word.
WordOrigin = Literal["model", "person", "derived"]

#: Said in every object that is written.
NOT_FOR_DIAGNOSIS = "Research use only. Not for diagnosis."


@dataclass(frozen=True, kw_only=True)
class SegmentContent:
    """One foreground class.

    Attributes:
        number: Its label, from 1.
        name: Its name.
        code: Its code; None for "morphologically abnormal structure".
        mask: `(H, W)` bool on the stored grid.
        area_mm2: Its area; None where the size of a pixel in the body is not known.
    """

    number: int
    name: str
    code: Code | None
    mask: npt.NDArray[np.bool_]
    area_mm2: float | None

    @property
    def area_px(self) -> int:
        """Number of its pixels."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is said of the person who changed words of a prediction.

    Attributes:
        who: Who it is; empty where that is not known.
    """

    who: str


@dataclass(frozen=True, kw_only=True)
class WordContent:
    """One word.

    Attributes:
        factor: Name of the factor.
        title: Title of the factor.
        phrase: The phrase.
        confidence: Its softmax probability among the phrases of the factor, 0..1.
        factor_code: Code of the factor; None without one.
        phrase_code: Code of the phrase; None without one.
        sides: Sides on which it places a lesion; empty if it names none.
        said_by: The model retrieved it, a person stated it, or it follows from what the person stated.
        model_phrase: The phrase that the model retrieved, where a person changed it; else empty.
    """

    factor: str
    title: str
    phrase: str
    confidence: float
    factor_code: Code | None
    phrase_code: Code | None
    sides: tuple[PatientSide, ...]
    said_by: WordOrigin = "model"
    model_phrase: str = ""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What made a prediction.

    Attributes:
        name: Name of the model.
        version: Version of Lexiseg that trained it.
        software_version: Version of Lexiseg that predicts.
        parameters: What else decides the result, such as the hash of the weights and the options.
    """

    name: str
    version: str
    software_version: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def identity(self) -> str:
        """A text that is the same exactly for the same algorithm with the same options."""
        return "|".join(
            (
                self.name,
                self.version,
                self.software_version,
                *(f"{key}={value}" for key, value in self.parameters),
            )
        )


@dataclass(frozen=True, kw_only=True)
class ResultContent:
    """A prediction as it is written into DICOM objects.

    Attributes:
        facts: What the source says about its image.
        segments: One per foreground class, empty ones included.
        words: The words, in the convention of `side`.
        side: Whose left the words mean; "unknown" for sentences of a sheet whose side nothing states, which
            are given as they are.
        agreement: Share of the factors in which words and mask agree, 0..1; None if not known.
        expected_dice: Dice that is expected of the mask, 0..1; None for a run that is not calibrated.
        flagged: Whether a person should look at it.
        reasons: Why.
        draft: The words as the draft of a report sentence, which says that it is not for diagnosis; empty
            without words.
        algorithm: What made it.
        fallback_date: Date and time for objects of sources that state none, as YYYYMMDDHHMMSS.
        correction: Who changed words, where a person did; the mask and all figures follow from them.
        tracked: What its segments are tracked by in all objects: UID of an image and number of its frame;
            None for the source of the object.
    """

    facts: ImageFacts
    segments: tuple[SegmentContent, ...]
    words: tuple[WordContent, ...]
    side: WordSide
    agreement: float | None
    expected_dice: float | None
    flagged: bool
    reasons: tuple[str, ...]
    draft: str
    algorithm: Algorithm
    fallback_date: str
    correction: Correction | None = None
    tracked: tuple[str, int] | None = None

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """The label of each pixel, `(H, W)`, 0 for the background."""
        labels = np.zeros(self.segments[0].mask.shape, np.uint8)
        for segment in self.segments:
            labels[segment.mask] = segment.number
        return labels


@dataclass(frozen=True, kw_only=True)
class VolumeContent:
    """A prediction of a series as it is written into DICOM objects.

    Attributes:
        result: What objects say. Its facts and masks are those of the acquired slice with the largest area of
            lesions; without any lesion, of the middle slice.
        shown: Number of this slice in the series, from 0.
        voxels: Number of voxels by segment number.
        volume_mm3: Volume by segment number in cubic millimetres; None where the size of a voxel is not
            known.
        no_volume: Why there is no volume in mm3; empty where there is one.
        no_expected_dice: Why the expected Dice of the volume is unknown.
    """

    result: ResultContent
    shown: int
    voxels: dict[int, int]
    volume_mm3: dict[int, float] | None
    no_volume: str
    no_expected_dice: str
