"""The file of a refinement: what was said, by whom each word is, and where both masks are."""

from __future__ import annotations

from lexiseg.inference.records.predictions_file import written_findings
from lexiseg.inference.reliability.review import WordOrigin
from lexiseg.json_records import FileRecord, Record
from lexiseg.refinement.refine import Refinement
from lexiseg.refinement.volume_slice import RefinedImage, VoxelAxis
from lexiseg.words.description import ShownSide

# Figures between 0 and 1 are written with this many decimals.
_DECIMALS = 4


class RefinedWordRecord(Record):
    """One word of a refined prediction.

    Attributes:
        factor: Name of the factor.
        phrase: The phrase.
        said_by: The model retrieved it, a person stated it, or it follows from what the person stated.
        retrieved: The phrase that the model retrieved.
        confidence: The model's probability of `phrase` among the factor's phrases, 0..1.
    """

    factor: str
    phrase: str
    said_by: WordOrigin
    retrieved: str
    confidence: float


class RefinementRecord(FileRecord):
    """A refinement without its pixels.

    Attributes:
        schema_version: Version of this schema.
        image: The image file, or the volume file.
        pixels_sha256: SHA-256 of the picture that was refined: of its shape, such as "(512, 512, 3)", and its
            pixels (uint8) as they are stored, or as a slice of a volume is displayed.
        run: Name of the run.
        said: What the person said, as it was written.
        unread: What could not be read of it, one sentence each.
        words: One word per factor.
        side: Whose left is meant in every word: the image's or the patient's; "unknown" for a DICOM file that
            does not say where the left is, and for sentences of a sheet whose side nothing states.
        mask: File name of the refined mask, in the folder of this file.
        model_mask: File name of the mask of the model, in the folder of this file.
        overlap: Dice of the two masks, 0..1.
        measured: Phrase per factor that the refined mask itself measures; None where nothing is known.
        agreement: Share of factors on which words and measurement agree, 0..1; None without any.
        flagged: Whether a person should look at it again.
        reasons: Why, in words.
        expected_dice: Dice that is expected of the refined mask, 0..1; None where none can be expected.
        model_expected_dice: The same of the mask of the model.
        area_px: Pixels per foreground class name, of the refined mask.
        model_area_px: The same of the mask of the model.
        area_mm2: Square millimetres per foreground class name; None if the spacing is not known.
        engine: What computed the network; None in files of early versions.
        frame: Number of the frame of a DICOM file, from 1; None for other files.
        axis: The voxel axis along which the slices of a volume are counted; None for an image.
        slice: Number of the slice of a volume, from 1; its masks lie as the slice is displayed. None for an
            image.
    """

    image: str
    pixels_sha256: str
    run: str
    said: tuple[str, ...]
    unread: tuple[str, ...]
    words: tuple[RefinedWordRecord, ...]
    side: ShownSide
    mask: str
    model_mask: str
    overlap: float
    measured: dict[str, str | None]
    agreement: float | None
    flagged: bool
    reasons: tuple[str, ...]
    expected_dice: float | None
    model_expected_dice: float | None
    area_px: dict[str, int]
    model_area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    engine: str | None = None
    frame: int | None = None
    axis: VoxelAxis | None = None
    slice: int | None = None

    @classmethod
    def of(
        cls,
        refinement: Refinement,
        source: RefinedImage,
        *,
        run: str,
        mask: str,
        model_mask: str,
    ) -> RefinementRecord:
        """Return the record of a refinement.

        Args:
            refinement: The refinement.
            source: The image that was refined.
            run: Name of the run.
            mask: File name of the refined mask.
            model_mask: File name of the mask of the model.
        """
        found = refinement.prediction
        return cls(
            image=str(source.path),
            pixels_sha256=source.pixels_sha256,
            run=run,
            said=refinement.statement.texts,
            unread=refinement.statement.problems,
            words=tuple(
                RefinedWordRecord(
                    factor=word.factor,
                    phrase=word.phrase,
                    said_by=word.said_by,
                    retrieved=word.retrieved,
                    confidence=round(word.confidence, _DECIMALS),
                )
                for word in refinement.words
            ),
            side=found.shown_side,
            mask=mask,
            model_mask=model_mask,
            overlap=round(refinement.overlap, _DECIMALS),
            measured=refinement.measured.phrases,
            **written_findings(refinement),
            model_expected_dice=written_findings(found)["expected_dice"],
            model_area_px=found.area_px,
            engine=found.engine,
            frame=source.frame,
            axis=source.axis,
            slice=source.slice,
        )
