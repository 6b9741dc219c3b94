"""The DICOM objects of single slices of a predicted series: pictures, and an outline over one slice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lexiseg.clinic.image import image_of
from lexiseg.clinic.orientation import NO_TURN
from lexiseg.clinic.presentation_state import build_presentation_state
from lexiseg.clinic.secondary_capture import build_capture
from lexiseg.clinic.verification import verify_capture, verify_presentation_state
from lexiseg.data.volumes.series_slices import ACQUIRED_AXIS, SeriesVolume
from lexiseg.inference.volumes.contact_sheet import contact_sheet, pictured_slices
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.volumes.series_content import SeriesResult


def save_capture(
    result: SeriesResult, volume: SeriesVolume, prediction: VolumePrediction, path: Path
) -> None:
    """Write a picture of acquired slices, in the usual display, and compare it.

    It shows the slice with the largest area of lesions first, see
    `lexiseg.inference.volumes.contact_sheet.pictured_indices`.

    Args:
        result: The prediction.
        volume: The series.
        prediction: The prediction of its slices.
        path: The file.

    Raises:
        DataError: The slice lacks what is needed, or a check fails.
    """
    acquired = prediction.axis == ACQUIRED_AXIS
    slices = prediction.images if acquired else volume.slices(ACQUIRED_AXIS)
    pictured = pictured_slices(result.labels, ACQUIRED_AXIS, slices)
    plane, count = volume.grid.plane(ACQUIRED_AXIS), len(result.slices)
    picture = contact_sheet(pictured, plane, count, axis=ACQUIRED_AXIS)
    facts = result.content.result.facts
    # The picture is turned already; it states the directions in which it is displayed.
    shown = dataclasses.replace(facts, directions=facts.turn.directions(facts.directions), turn=NO_TURN)
    content = dataclasses.replace(result.content.result, facts=shown)
    source, pixels = result.source, np.asarray(picture)
    others = [result.reference(found.index) for found in pictured[1:]]
    written = build_capture(source, result.shown.path, content, pixels, others)
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
    source, content = result.source, result.content.result
    shown = image_of(source, result.shown.path, result.shown.frame, volume.view).chosen
    written = build_presentation_state(source, result.shown.path, content, shown)
    written.save_as(path, enforce_file_format=True)
    verify_presentation_state(path, source, content)
