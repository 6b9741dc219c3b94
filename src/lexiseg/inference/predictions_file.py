"""The lines of `predictions.jsonl`: one record per image."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.result import Prediction
from lexiseg.json_records import FileRecord, Record
from lexiseg.words.description import Side

#: The lines of a finished batch, in its output folder.
RESULTS_FILE = "predictions.jsonl"
#: The lines of a batch that is not finished.
PARTIAL_FILE = f"{RESULTS_FILE}.partial"

# Figures between 0 and 1 are written with this many decimals.
_DECIMALS = 4


class WordRecord(Record):
    """One phrase that the model retrieved.

    Attributes:
        factor: Name of the factor.
        phrase: The phrase.
        confidence: Softmax probability among the phrases of the factor, 0..1.
        runners_up: The next best phrases with their probabilities, best first.
    """

    factor: str
    phrase: str
    confidence: float
    runners_up: tuple[tuple[str, float], ...]


class PredictionRecord(FileRecord):
    """A prediction without its pixels: one line of `predictions.jsonl`.

    Attributes:
        schema_version: Version of this schema.
        image: The image file.
        name: Its outputs are `FOLDER/NAME` with the suffix of the format. It is the name of the image without
            its suffix, shortened where it is too long for a disk.
        mask: Its mask, from the folder of the file; None where the batch wrote no masks.
        size: Height and width of the image in pixels, as the file stores it.
        exif_orientation: The file's EXIF orientation, 1 to 8. With 2 to 8, viewers rotate or mirror the
            image; mask, size and side are those of the image as the file stores it.
        area_px: Pixels per foreground class name.
        area_mm2: Square millimetres per foreground class name; None if the spacing is not known.
        side: Whose left is meant in every word: the image's or the patient's.
        words: One retrieved phrase per factor; empty if the model names no words.
        measured: Phrase per factor that the mask itself measures, None where nothing is known; None without
            words.
        agreement: Share of factors on which retrieved and measured words agree, 0..1; None without words.
        flagged: Whether a person should look at the prediction.
        reasons: Why, in words.
        expected_dice: Dice that is expected of the mask, 0..1; None for a run that is not calibrated.
    """

    image: str
    name: str
    mask: str | None
    size: tuple[int, int]
    exif_orientation: int = 1
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    side: Side
    words: tuple[WordRecord, ...]
    measured: dict[str, str | None] | None
    agreement: float | None
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None

    @classmethod
    def of(
        cls, prediction: Prediction, *, image: Path, name: str, mask: str | None, exif_orientation: int = 1
    ) -> PredictionRecord:
        """Return the record of a prediction.

        Args:
            prediction: The prediction.
            image: The image file.
            name: Name of its outputs, without suffix.
            mask: Path of its mask, from the folder of `predictions.jsonl`; None without one.
            exif_orientation: The image file's EXIF orientation, 1 to 8.
        """
        expected = prediction.expected_dice
        return cls(
            image=str(image),
            name=name,
            mask=mask,
            size=(prediction.mask.shape[0], prediction.mask.shape[1]),
            exif_orientation=exif_orientation,
            area_px=prediction.area_px,
            area_mm2=prediction.area_mm2,
            side=prediction.side,
            words=tuple(
                WordRecord(
                    factor=word.factor,
                    phrase=word.phrase,
                    confidence=round(word.confidence, _DECIMALS),
                    runners_up=tuple((phrase, round(p, _DECIMALS)) for phrase, p in word.runners_up),
                )
                for word in prediction.words
            ),
            measured=None if prediction.measured is None else prediction.measured.phrases,
            agreement=prediction.agreement,
            flagged=prediction.flagged,
            reasons=prediction.reasons,
            expected_dice=None if expected is None else round(expected, _DECIMALS),
        )


class FailureRecord(FileRecord):
    """An image that could not be read: one line of `predictions.jsonl`.

    Attributes:
        schema_version: Version of this schema.
        image: The image file.
        error: The message of the error.
        code: The stable code of the error, such as "LEX-DATA-013".
    """

    image: str
    error: str
    code: str
