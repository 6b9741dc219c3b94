"""Images of files in prediction: DICOM images are turned to the usual display, predictions turned back."""

from __future__ import annotations

import dataclasses

from lexiseg.clinic.facts import NO_AREA
from lexiseg.clinic.orientation import NO_TURN
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import UsageError
from lexiseg.inference.result import Prediction


def on_stored_grid(prediction: Prediction, image: DecodedImage, *, has_spacing: bool) -> Prediction:
    """Return the prediction of an image in its usual display on the grid of its file.

    Args:
        prediction: Of the image as the network got it.
        image: The image. Only DICOM files state facts; the predictions of others keep their grid.
        has_spacing: Whether areas in mm2 are known already, from a spacing that the user stated.
    """
    facts = image.facts
    if facts is None:
        if image.orientation == prediction.exif_orientation:
            return prediction
        return dataclasses.replace(prediction, exif_orientation=image.orientation)
    area_mm2, pixel_mm2, spacing = prediction.area_mm2, prediction.pixel_mm2, facts.spacing.body_mm
    if has_spacing:
        stated = tuple(said for said in facts.assumptions if not said.startswith(NO_AREA))
        facts = dataclasses.replace(facts, assumptions=stated)
    if not has_spacing and spacing is not None:
        pixel_mm2 = spacing[0] * spacing[1]
        area_mm2 = {name: count * spacing[0] * spacing[1] for name, count in prediction.area_px.items()}
    return dataclasses.replace(
        prediction,
        mask=facts.turn.undo(prediction.mask),
        probability=facts.turn.undo_maps(prediction.probability),
        area_mm2=area_mm2,
        pixel_mm2=pixel_mm2,
        facts=facts,
    )


def as_displayed(prediction: Prediction) -> Prediction:
    """Return a prediction on the grid of the usual display; the inverse of the turn of `on_stored_grid`.

    Its facts are those of the displayed image, so no one turns it again.
    """
    if prediction.facts is None:
        return prediction
    turn = prediction.facts.turn
    return dataclasses.replace(
        prediction,
        mask=turn.apply(prediction.mask),
        probability=turn.apply_maps(prediction.probability),
        facts=prediction.facts.displayed,
    )


def check_same_image(prediction: Prediction, image: DecodedImage) -> None:
    """Refuse a prediction of an image of another size, or of one that is displayed otherwise.

    In another display, its mask could lie on the other side.

    Raises:
        UsageError: The sizes differ; or one of the two is turned to the usual display, and the other is not,
            or in another way.
    """
    if prediction.mask.shape != image.pixels.shape[:2]:
        raise UsageError(
            f"The prediction is for an image of {prediction.mask.shape}, but this one is "
            f"{image.pixels.shape[:2]}.",
            code="LEX-USE-039",
        )
    turn = NO_TURN if prediction.facts is None else prediction.facts.turn
    if turn != image.turn:
        raise UsageError(
            f"For its display, the image of the prediction is {turn.words}, but this one is "
            f"{image.turn.words}. Give both as the DICOM file, or both as the same pixels.",
            code="LEX-USE-1806",
        )
