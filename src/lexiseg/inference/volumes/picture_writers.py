"""Overlay and card of a volume: of its slice with the largest area, and on the card of other slices too."""

from __future__ import annotations

from pathlib import Path

from lexiseg.inference.explanation.card import CardSheet, build_card
from lexiseg.inference.explanation.explain import check_explainable, explain_decoded
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.contact_sheet import contact_sheet, pictured_slices
from lexiseg.inference.volumes.pictures import place_of, slice_picture
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter
from lexiseg.inference.writers.overlay import save_overlay

# Longer side of a slice on the sheet of a card, in pixels.
_SIDE_ON_CARD = 288

_SMOOTHED = "The labels of the volume are smoothed between slices; the mask here is that of the slice alone."
_SIDES = "The patient's left is on the right of the pictures."
_OUTLINED = "The labels of the volume, outlined in orange."
_NONE_FOUND = "No lesion found: the label volume is empty."
_NO_SIDES = "Where the patient's left is, is not known, or does not lie in the slice."


class OverlayVolumeWriter(VolumeWriter):
    """Writes `overlays/NAME.png`: the slice with the largest area, with the outline of its labels."""

    name, folder, suffix = file_place("overlay")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the picture, which says which slice it shows."""
        shown = predicted.prediction.shown
        save_overlay(slice_picture(shown.image, shown.mask, _place(predicted.prediction)), path)


class CardVolumeWriter(VolumeWriter):
    """Writes `cards/NAME.html`: the card of the slice with the largest area, with a sheet of slices."""

    name, folder, suffix = file_place("card")

    def check(self, predictor: Predictor) -> None:
        """Refuse a predictor whose predictions cannot be explained.

        Raises:
            UsageError: Its engine is not torch.
        """
        check_explainable(predictor)

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Explain the prediction of the slice and write its card, which says which slice it shows."""
        predictor, prediction = predicted.predictor, predicted.prediction
        image = prediction.shown.image
        explained = explain_decoded(predictor, image, prediction=prediction.shown.prediction)
        page = build_card(
            image.displayed,
            explained,
            name=str(predicted.name),
            run=predictor.run.name,
            notes=_notes(prediction),
            sheet=_sheet(prediction),
        )
        path.write_text(page, encoding="utf-8", errors="backslashreplace")


def _sheet(prediction: VolumePrediction) -> CardSheet | None:
    """Return several slices of a volume; None where one slice is all there is to show."""
    axis, count = prediction.axis, len(prediction.slices)
    pictured = pictured_slices(prediction.labels, axis, prediction.images)
    if len(pictured) == 1:
        return None
    numbers = ", ".join(str(found.index + 1) for found in pictured)
    return CardSheet(
        picture=contact_sheet(pictured, prediction.plane, count, axis=axis, side=_SIDE_ON_CARD),
        alt=f"Slices {numbers} of {count} with the outlines of the labels.",
        caption=_OUTLINED if any(prediction.voxels.values()) else _NONE_FOUND,
    )


def _place(prediction: VolumePrediction) -> str:
    return place_of(
        prediction.plane,
        prediction.shown.number,
        len(prediction.slices),
        axis=prediction.axis,
        lesion=any(prediction.voxels.values()),
    )


def _notes(prediction: VolumePrediction) -> tuple[str, ...]:
    """Return what the card of a slice says about the volume."""
    sizes = []
    for name, count in prediction.voxels.items():
        mm3 = "" if prediction.volume_mm3 is None else f", {prediction.volume_mm3[name]:,.1f} mm3"
        sizes.append(f"{name}: {count:,} voxels{mm3}")
    said = [
        f"{_place(prediction)}. Words, areas, the expected Dice and the flag on this card are "
        "those of this slice.",
        f"The whole volume: {'; '.join(sizes)}.",
    ]
    facts = prediction.shown.image.facts
    assert facts is not None
    said.append(_SIDES if facts.knows_sides else _NO_SIDES)
    if prediction.words:
        words = "; ".join(f"{word.title}: {word.phrase}" for word in prediction.words)
        said.append(f"Words of the volume: {words}.")
    flagged = sum(found.flagged for found in prediction.slices)
    said.append(f"{flagged} of {len(prediction.slices)} slices are flagged.")
    said.append(f"The expected Dice of the whole volume is unknown: {prediction.no_expected_dice}.")
    return (*said, _SMOOTHED) if prediction.smoothed else tuple(said)
