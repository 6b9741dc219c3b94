"""The result of a prediction: a mask with probabilities, the retrieved words, and a flag for review."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.facts import ImageFacts
from lexiseg.inference.reliability.training_images import Aspect
from lexiseg.printable import brief, counted
from lexiseg.words.description import Description, ShownSide, Side


@dataclass(frozen=True, kw_only=True)
class RetrievedWord:
    """One phrase that the model retrieved for an image.

    Attributes:
        factor: Name of the factor.
        title: Its title, for people.
        index: Position of the phrase in the factor's list.
        phrase: The phrase.
        confidence: Softmax probability among the factor's phrases, 0 to 1.
        runners_up: The next best phrases with their probabilities, best first.
        probabilities: The probability of every phrase, in the order of the factor's list.
    """

    factor: str
    title: str
    index: int
    phrase: str
    confidence: float
    runners_up: tuple[tuple[str, float], ...]
    probabilities: tuple[float, ...]

    def __repr__(self) -> str:
        return brief(self, f"{self.factor}: {self.phrase!r} {self.confidence:.2f}")

    @property
    def said_by(self) -> Literal["model", "person", "derived"]:
        """Who said it; a person may state words too (see `lexiseg.refinement`)."""
        return "model"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is said of a mask in every result: of an image, of a slice, and after a refinement.

    Attributes:
        agreement: Share of factors on which words and mask agree, 0 to 1; None without words, or where
            nothing can be measured.
        flagged: Whether a person should look at it.
        reasons: Sentences that say why a person should doubt it.
        expected_dice: Dice that is expected of the mask, 0 to 1; None where it is not known.
        area_px: Pixels per foreground class name.
        area_mm2: Square millimetres per foreground class name; None if the spacing is not known.
    """

    agreement: float | None
    flagged: bool
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    reasons: tuple[str, ...] = ()
    expected_dice: float | None = None

    @property
    def findings(self) -> dict[str, Any]:
        """These fields by name, for another result or a record that holds them."""
        return {field.name: getattr(self, field.name) for field in fields(Findings)}


@dataclass(frozen=True, kw_only=True)
class Prediction(Findings):
    """A mask with the words the model retrieved for it.

    Attributes:
        mask: Labels `(H, W)` uint8 on the input's own grid, 0 = background.
        probability: Per foreground class, `(C, H, W)` float32 in 0..1, on the input's own grid; calibrated if
            the run is.
        words: One retrieved phrase per factor; empty if the model was trained without text.
        measured: What the predicted mask itself measures, in the same vocabulary; None without text.
        side: Side convention of every word: "left" is the image's or the patient's left.
        agreement: Share of factors on which retrieved and measured words agree, 0 to 1; None without text,
            or where nothing can be measured.
        flagged: True if a person should look at it: the image is unlike the training images; mask and words
            disagree too much; or, for a calibrated run, the expected Dice is too low.
        reasons: Sentences that say why a person should doubt it: that the image is unlike the training
            images; where words and mask disagree, flagged or not; for another flagged prediction of a
            calibrated run also why its expected Dice is low.
        expected_dice: Dice that is expected of the mask, 0 to 1, computed from `signals`; None for a run that
            was not calibrated, and for an image that is unlike the training images.
        unlike_training_images: The aspects in which the image is unlike the training images: "content",
            "layout" (light, dark and contrast), "colour"; empty if in none; None where the run does not hold
            what its training images look like.
        signals: Measures of how sure the network is, by name (`lexiseg.inference.reliability.review`).
        engine: What computed the (first) network, such as "onnx 1.32.0, fp32 on cpu".
        area_px: Pixels per foreground class name.
        area_mm2: Square millimetres per foreground class name; None if the spacing is not known.
        facts: What a DICOM file says about its image; None for other files.
        pixel_mm2: Area of a pixel in square millimetres; None if the spacing is not known.
        exif_orientation: EXIF orientation of the image file, 1 to 8; it is not applied. 1 for other images.
        side_known: Whether it is known whose left the words mean. It is not for sentences of a sheet whose
            side no data set states; `side` is then an assumption.
    """

    mask: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float32]
    words: tuple[RetrievedWord, ...]
    measured: Description | None
    side: Side
    unlike_training_images: tuple[Aspect, ...] | None = None
    signals: dict[str, float] = field(default_factory=dict)
    facts: ImageFacts | None = None
    engine: str | None = None
    pixel_mm2: float | None = None
    exif_orientation: int = 1
    side_known: bool = True

    def __repr__(self) -> str:
        return brief(
            self,
            " x ".join(map(str, self.mask.shape)),
            *(f"{name} {count} px" for name, count in self.area_px.items()),
            counted(len(self.words), "word"),
            "flagged" if self.flagged else "not flagged",
            None if self.expected_dice is None else f"expected Dice {self.expected_dice:.2f}",
        )

    @property
    def words_side(self) -> ShownSide:
        """Whose left is meant in words, in the usual display of the image; "unknown" without `side_known`."""
        return self.side if self.side_known else "unknown"

    @property
    def shown_side(self) -> ShownSide:
        """The same; also "unknown" for a DICOM file that does not say where the left is."""
        return self.words_side if self.facts is None or self.facts.knows_sides else "unknown"
