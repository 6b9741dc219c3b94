"""Prediction of one volume: its slices in their usual display, and the label volume on its own grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.volume_geometry import AxisName, PlaneName, VolumeGrid, chosen_axis, slice_of
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.volumes.volume import Slices, Volume
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.read_ahead import read_ahead
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.inference.volumes.smoothing import smoothed_labels
from lexiseg.inference.volumes.words import VolumeWords
from lexiseg.printable import counted

#: Reasons for review that a volume names at most, the most frequent first.
_NAMED_REASONS = 5


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """One slice of a predicted volume.

    Attributes:
        number: Its number along the axis, from 1.
        area_px: Pixels per foreground class name, after smoothing.
        area_mm2: Square millimetres per foreground class name; None if the voxel size is not known.
        prediction: Its words, agreement, flag and reasons; its pixels are left out.
    """

    number: int
    area_px: dict[str, int]
    area_mm2: dict[str, float] | None
    words: tuple[RetrievedWord, ...]
    agreement: float | None
    expected_dice: float | None
    flagged: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumePrediction:
    """A label volume with the words of its slices.

    Attributes:
        labels: `(I, J, K)` uint8 on the grid of the volume, 0 = background.
        grid: The grid.
        axis: The voxel axis along which slices are counted, 0 to 2.
        plane: The plane of the body that is nearest to the slices.
        smoothed: Whether labels are smoothed between slices.
        slices: One per slice, in order.
        words: The words of the volume (`VolumeWords`); empty without words.
        voxels: Voxels per foreground class name.
        volume_mm3: Cubic millimetres per foreground class name; None if the voxel size is not known.
        facts: What the volume says about its first slice.
        assumptions: What was assumed of any slice, one sentence each.
        side: Whose left is meant in words, "unknown" where the volume does not say it.
        flagged: Whether a person should look at it: any slice is flagged.
        reasons: The most frequent reasons of flagged slices, each with the number of slices.
        engine: What computed the (first) network.
    """

    labels: npt.NDArray[np.uint8]
    grid: VolumeGrid
    axis: int
    plane: PlaneName
    smoothed: bool
    slices: tuple[SliceResult, ...]
    words: tuple[RetrievedWord, ...]
    voxels: dict[str, int]
    volume_mm3: dict[str, float] | None
    facts: ImageFacts
    assumptions: tuple[str, ...]
    side: str
    flagged: bool
    reasons: tuple[str, ...]
    engine: str | None


def predict_volume(
    predictor: Predictor,
    volume: Volume,
    *,
    axis: AxisName = "auto",
    smooth: bool = False,
    on_slice: Callable[[], None] | None = None,
) -> VolumePrediction:
    """Segment a volume slice by slice.

    Slices are read ahead in the background and leave the memory once they are predicted; only the labels of
    the whole volume are kept, one byte per voxel.

    Args:
        predictor: A loaded run.
        volume: The volume.
        axis: The slices: along which axis (`chosen_axis`).
        smooth: Whether to average each probability with those of the neighbouring slices.
        on_slice: Called after each slice, for progress.

    Raises:
        DataError: A slice cannot be read.
        UsageError: There is no such axis.
    """
    grid = volume.grid
    along = chosen_axis(grid, axis, volume.acquired_axis)
    slices = volume.slices(along)
    names = [name for label, name in enumerate(predictor.run.class_names) if label > 0]
    labels = np.zeros(grid.shape, np.uint8, order="F")
    words = VolumeWords(predictor.run.spoken_vocabulary)
    results: list[SliceResult] = []
    assumed: dict[str, None] = {}
    reasons: Counter[str] = Counter()
    first: Prediction | None = None
    for prediction, mask in _labelled(_predictions(predictor, slices), smooth=smooth):
        first = first or prediction
        slice_of(labels, along, len(results))[:] = mask
        counts = np.bincount(mask.ravel(), minlength=len(names) + 1)
        area_px = {name: int(counts[label]) for label, name in enumerate(names, 1)}
        words.add(prediction.words, int(counts[1:].sum()))
        assert prediction.facts is not None
        assumed |= dict.fromkeys(prediction.facts.assumptions)
        if prediction.flagged:
            reasons.update(prediction.reasons)
        results.append(_slice_result(len(results) + 1, prediction, area_px))
        if on_slice is not None:
            on_slice()
    assert first is not None
    assert first.facts is not None
    voxels = {name: sum(found.area_px[name] for found in results) for name in names}
    mm3 = grid.voxel_mm3
    return VolumePrediction(
        labels=labels,
        grid=grid,
        axis=along,
        plane=grid.plane(along),
        smoothed=smooth,
        slices=tuple(results),
        words=words.words(),
        voxels=voxels,
        volume_mm3=None if mm3 is None else {name: count * mm3 for name, count in voxels.items()},
        facts=first.facts,
        assumptions=tuple(assumed),
        side=first.shown_side,
        flagged=any(found.flagged for found in results),
        reasons=tuple(
            f"{count} of {counted(len(results), 'slice')}: {reason}"
            for reason, count in reasons.most_common(_NAMED_REASONS)
        ),
        engine=first.engine,
    )


def _predictions(predictor: Predictor, slices: Slices) -> Iterator[Prediction]:
    """Yield the prediction of each slice, batch by batch."""
    size = predictor.options.batch_size
    read = iter(read_ahead(range(len(slices)), slices.read, depth=2 * size))
    while batch := list[DecodedImage](islice(read, size)):
        yield from predictor.predict_decoded(batch)


def _labelled(
    predictions: Iterable[Prediction], *, smooth: bool
) -> Iterator[tuple[Prediction, npt.NDArray[np.uint8]]]:
    if smooth:
        yield from smoothed_labels(predictions)
    else:
        for prediction in predictions:
            yield prediction, prediction.mask


def _slice_result(number: int, prediction: Prediction, area_px: dict[str, int]) -> SliceResult:
    pixel_mm2 = prediction.pixel_mm2
    return SliceResult(
        number=number,
        area_px=area_px,
        area_mm2=None if pixel_mm2 is None else {name: count * pixel_mm2 for name, count in area_px.items()},
        words=prediction.words,
        agreement=prediction.agreement,
        expected_dice=prediction.expected_dice,
        flagged=prediction.flagged,
        reasons=prediction.reasons,
    )
