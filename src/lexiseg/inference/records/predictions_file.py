"""The lines of `predictions.jsonl`: one record per image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from lexiseg.clinic.facts import ImageFacts, SpacingOrigin
from lexiseg.inference.records.not_written import NotWritten, StoredReason
from lexiseg.inference.reliability.training_images import Aspect
from lexiseg.inference.result import Findings, Prediction, RetrievedWord
from lexiseg.json_records import FileRecord, Record
from lexiseg.words.description import ShownSide

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

    @classmethod
    def of(cls, word: RetrievedWord) -> WordRecord:
        """Return the record of a retrieved phrase, with rounded probabilities."""
        return cls(
            factor=word.factor,
            phrase=word.phrase,
            confidence=round(word.confidence, _DECIMALS),
            runners_up=tuple((phrase, round(p, _DECIMALS)) for phrase, p in word.runners_up),
        )


class DicomRecord(Record):
    """What the prediction of a DICOM file is based on.

    Attributes:
        modality: Modality of the image, such as "CR"; empty where the file states none.
        frame: Number of the frame, from 1.
        patient_orientation: Directions of the stored rows and columns, such as ["L", "F"]; None if unknown.
        turned: How the stored image was turned to the usual display for the network.
        spacing_mm: Height and width of a pixel in millimetres, at the place that `spacing_origin` names; None
            if not known.
        spacing_origin: Where the spacing holds: "body", "detector", "calibrated", or "none".
        no_mm_reason: Why there are no areas in mm2; empty where the file allows them.
        shown: How grey values were shown to the network.
        assumptions: What was assumed, a sentence per kind; empty also in files of versions that did not write
            it here.
    """

    modality: str
    frame: int
    patient_orientation: tuple[str, str] | None
    turned: str
    spacing_mm: tuple[float, float] | None
    spacing_origin: SpacingOrigin
    no_mm_reason: str
    shown: str
    assumptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: ImageFacts) -> DicomRecord:
        """Return the record of what a file says about its image."""
        found = facts.directions
        return cls(
            modality=facts.modality,
            frame=facts.frame,
            patient_orientation=None if found is None else (found.row, found.column),
            turned=facts.turn.words,
            spacing_mm=facts.spacing.mm,
            spacing_origin=facts.spacing.origin,
            no_mm_reason=facts.spacing.reason,
            shown=facts.shown,
            assumptions=facts.assumptions,
        )


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
        side: Whose left is meant in every word: the image's in its usual display, or the patient's;
            "unknown" for a DICOM file that does not say where the patient's left is, and for sentences of a
            sheet whose side nothing states.
        words: One retrieved phrase per factor; empty if the model names no words.
        measured: Phrase per factor that the mask itself measures, None where nothing is known; None without
            words.
        agreement: Share of factors on which retrieved and measured words agree, 0..1; None without words.
        flagged: Whether a person should look at the prediction.
        reasons: Why, in words.
        expected_dice: Dice that is expected of the mask, 0..1; None for a run that is not calibrated, and for
            an image that is unlike the training images.
        dicom: What the prediction of a DICOM file is based on; None for other files.
        not_written: Why an output of the batch was not written, by format; empty if all were.
        engine: What computed the (first) network; None in files of versions that had torch only.
        unlike_training_images: The aspects in which the image is unlike the training images; empty if in
            none; None where the run does not hold what its training images look like.
        archive: The tar archive that holds its outputs, from the folder of the file; None without one.
    """

    image: str
    name: str
    mask: str | None
    size: tuple[int, int]
    exif_orientation: int = 1
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    side: ShownSide
    words: tuple[WordRecord, ...]
    measured: dict[str, str | None] | None
    agreement: float | None
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None
    dicom: DicomRecord | None = None
    not_written: dict[str, StoredReason] = Field(default={})
    engine: str | None = None
    unlike_training_images: tuple[Aspect, ...] | None = None
    archive: str | None = None

    @classmethod
    def of(
        cls,
        prediction: Prediction,
        *,
        image: str | Path,
        name: str,
        mask: str | None,
        not_written: Mapping[str, NotWritten] | None = None,
        archive: str | None = None,
    ) -> PredictionRecord:
        """Return the record of a prediction.

        Args:
            prediction: The prediction.
            image: The image file, as results call it.
            name: Name of its outputs, without suffix.
            mask: Path of its mask, from the folder of `predictions.jsonl`; None without one.
            not_written: Why an output was not written, by format.
            archive: The tar archive that holds its outputs, from the folder of `predictions.jsonl`.
        """
        facts = prediction.facts
        return cls(
            image=str(image),
            name=name,
            mask=mask,
            size=(prediction.mask.shape[0], prediction.mask.shape[1]),
            exif_orientation=prediction.exif_orientation,
            side=prediction.shown_side,
            words=tuple(map(WordRecord.of, prediction.words)),
            measured=None if prediction.measured is None else prediction.measured.phrases,
            **written_findings(prediction),
            dicom=None if facts is None else DicomRecord.of(facts),
            not_written=dict(not_written or {}),
            engine=prediction.engine,
            unlike_training_images=prediction.unlike_training_images,
            archive=archive,
        )

    def in_folder(self, folder: str) -> PredictionRecord:
        """Return the record for a list of results in the folder above: its outputs are named from there.

        Args:
            folder: Name of the folder of the record.
        """
        outputs = {"mask": self.mask, "archive": self.archive}
        return self.model_copy(
            update={field: None if path is None else f"{folder}/{path}" for field, path in outputs.items()}
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


def written_findings(found: Findings) -> dict[str, Any]:
    """Return the findings of a mask by name, as records hold them: figures with at most four decimals."""
    expected = found.expected_dice
    return found.findings | {
        "area_mm2": rounded_sizes(found.area_mm2),
        "expected_dice": None if expected is None else round(expected, _DECIMALS),
    }


def rounded_sizes(sizes: dict[str, float] | None) -> dict[str, float] | None:
    """Return areas or volumes as records hold them: with at most four decimals."""
    return None if sizes is None else {name: round(size, _DECIMALS) for name, size in sizes.items()}
