"""The DICOM objects of one slice of a predicted series: that with the largest area of lesions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lexiseg.clinic.image import image_of
from lexiseg.clinic.orientation import NO_TURN
from lexiseg.clinic.presentation_state import build_presentation_state
from lexiseg.clinic.secondary_capture import build_capture
from lexiseg.clinic.series_segmentation import slice_dataset
from lexiseg.clinic.verification import verify_capture, verify_presentation_state
from lexiseg.data.volumes.series_slices import ACQUIRED_AXIS, SeriesVolume
from lexiseg.inference.volumes.pictures import place_of, slice_picture
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.volumes.series_content import SeriesResult


def save_capture(
    result: SeriesResult, volume: SeriesVolume, prediction: VolumePrediction, path: Path
) -> None:
    """Write a picture of the slice, in the usual display, and compare it.

    Args:
        result: The prediction.
        volume: The series.
        prediction: The prediction of its slices.
        path: The file.

    Raises:
        DataError: The slice lacks what is needed, or a check fails.
    """
    image = prediction.shown.image
    if prediction.axis != ACQUIRED_AXIS:
        image = volume.slices(ACQUIRED_AXIS).read(result.content.shown)
    facts = result.content.result.facts
    place = place_of(
        volume.grid.plane(ACQUIRED_AXIS),
        result.content.shown + 1,
        len(result.slices),
        axis=ACQUIRED_AXIS,
        lesion=bool(result.labels.any()),
    )
    picture = slice_picture(image, result.labels[:, :, result.content.shown].T, place)
    # The picture is turned already; it states the directions in which it is displayed.
    shown = dataclasses.replace(facts, directions=facts.turn.directions(facts.directions), turn=NO_TURN)
    content = dataclasses.replace(result.content.result, facts=shown)
    source, pixels = slice_dataset(result.shown), np.asarray(picture)
    written = build_capture(source, result.shown.path, content, pixels)
    written.save_as(path, enforce_file_format=True)
    verify_capture(path, source, content, pixels)


def save_presentation_state(result: SeriesResult, volume: SeriesVolume, path: Path) -> None:
    """Write a presentation state of the slice and compare its outlines.

    Args:
        result: The prediction.
        volume: The series.
        path: The file.

    Raises:
        DataError: The slice lacks what is needed, or a check fails.
    """
    source, content = slice_dataset(result.shown), result.content.result
    shown = image_of(source, result.shown.path, result.shown.frame, volume.view).chosen
    written = build_presentation_state(source, result.shown.path, content, shown)
    written.save_as(path, enforce_file_format=True)
    verify_presentation_state(path, source, content)
