"""Prediction of one volume: its slices in their usual display, and the label volume on its own grid."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.chunks import chunks
from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.volume_geometry import AxisName, PlaneName, VolumeGrid, chosen_axis, slice_of
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.volumes.volume import Slices, Volume
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.reliability.review import share_of_agreement
from lexiseg.inference.result import Findings, Prediction, RetrievedWord
from lexiseg.inference.volumes.smoothing import smoothed_labels
from lexiseg.inference.volumes.volume_inputs import one_volume
from lexiseg.inference.volumes.words import VolumeWords
from lexiseg.inference.words.word_sides import reasons_of_other_side
from lexiseg.printable import brief, counted
from lexiseg.read_ahead import read_ahead
from lexiseg.runs.run import Run
from lexiseg.words.description import Description

#: Why the expected Dice of a volume is unknown, where its slices have one.
_OF_IMAGES = (
    "the calibration of the run is one of single images; how well a figure made from those of the slices "
    "fits whole volumes is not known"
)
_NO_SLICE = (
    "no slice has an expected Dice: the run is not calibrated, or the slices are unlike its training images"
)

#: Reasons for review that a volume names at most, the most frequent first.
_NAMED_REASONS = 5


@dataclass(frozen=True, kw_only=True)
class SliceResult(Findings):
    """One slice of a predicted volume.

    Attributes:
        number: Its number along the axis, from 1.
        words: One retrieved phrase per factor; empty without words.
        area_px: Pixels per foreground class name, after smoothing.
        area_mm2: Square millimetres per foreground class name; None if the voxel size is not known.
    """

    number: int
    words: tuple[RetrievedWord, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownSlice:
    """The slice that pictures of one slice show: that with the largest area, else the middle one.

    Attributes:
        number: Its number along the axis, from 1.
        image: Its pixels, and what the volume says about them.
        prediction: Its prediction, before smoothing, on the grid of the slice.
        mask: Its labels in the volume, `(H, W)`, after smoothing.
    """

    number: int
    image: DecodedImage
    prediction: Prediction
    mask: npt.NDArray[np.uint8]


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
        shown: The slice that pictures of one slice show.
        images: The slices, which can be read again as long as the volume is open.
        words: The words of the volume (`VolumeWords`); empty without words.
        measured: What the labels of the slices measure (`VolumeWords`); None without words.
        agreement: Share of factors on which both agree, 0..1; None without words, or where nothing can be
            measured.
        voxels: Voxels per foreground class name.
        volume_mm3: Cubic millimetres per foreground class name; None if the voxel size is not known.
        facts: What the volume says about its first slice.
        assumptions: What was assumed of any slice, one sentence each.
        side: Whose left is meant in words, "unknown" where nothing says it.
        flagged: Whether a person should look at it: any slice is flagged.
        reasons: The most frequent reasons of flagged slices, each with the number of slices.
        other_side_reasons: The same with words in the other side convention.
        engine: What computed the (first) network.
    """

    labels: npt.NDArray[np.uint8]
    grid: VolumeGrid
    axis: int
    plane: PlaneName
    smoothed: bool
    slices: tuple[SliceResult, ...]
    shown: ShownSlice
    images: Slices
    words: tuple[RetrievedWord, ...]
    measured: Description | None
    agreement: float | None
    voxels: dict[str, int]
    volume_mm3: dict[str, float] | None
    facts: ImageFacts
    assumptions: tuple[str, ...]
    side: str
    flagged: bool
    reasons: tuple[str, ...]
    other_side_reasons: tuple[str, ...]
    engine: str | None

    def __repr__(self) -> str:
        return brief(
            self,
            " x ".join(map(str, self.labels.shape)),
            counted(len(self.slices), f"{self.plane} slice"),
            *(f"{name} {counted(count, 'voxel')}" for name, count in self.voxels.items()),
            counted(len(self.words), "word"),
            "flagged" if self.flagged else "not flagged",
        )

    @property
    def no_expected_dice(self) -> str:
        """Why the expected Dice of the volume is unknown; slices may have their own."""
        known = any(found.expected_dice is not None for found in self.slices)
        return _OF_IMAGES if known else _NO_SLICE


def predict_volume(
    predictor: Predictor | Run | str | Path,
    volume: str | Path | VolumeTarget | Volume,
    *,
    axis: AxisName = "auto",
    smooth_slices: bool = False,
    on_slice: Callable[[], None] | None = None,
) -> VolumePrediction:
    """Segment a volume slice by slice.

    Slices are read ahead in the background and leave the memory once they are predicted; only the labels of
    the whole volume are kept, one byte per voxel, and the slice that pictures show.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options. The window is that of its options; the size of a pixel in them has no effect.
        volume: A NIfTI, MetaImage or NRRD file, a DICOM file of several frames, or a folder with one volume,
            such as one DICOM series, also in its subfolders. Images beside it are left out. A target of
            `find_volumes` and an opened volume are taken too.
        axis: The slices: "auto", "axial", "coronal", "sagittal", or a voxel axis "i", "j" or "k"
            (`lexiseg.clinic.volume_geometry.chosen_axis`).
        smooth_slices: Whether to average each probability with those of the neighbouring slices.
        on_slice: Called after each slice, for progress.

    Returns:
        The labels, `(I, J, K)` uint8 on the voxel grid of the volume, with the words, the volumes in mm3, and
        the result of each slice.

    Raises:
        DataError: The path names no volume or several, a slice cannot be read, or the volume does not state
            where the planes of the body are.
        UsageError: There is no such axis, the path is a URL, or a package that reads the volume is missing.
        RunError: The run cannot be loaded; also a `WeightsError`.

    Examples:
        >>> import lexiseg
        >>> found = lexiseg.predict_volume("runs/ct", "scan.nii.gz", axis="axial")  # doctest: +SKIP
        >>> found.labels.shape, found.volume_mm3  # doctest: +SKIP
        ((512, 512, 120), {'lesion': 5120.5})
    """
    predictor = predictor_of(predictor)
    if isinstance(volume, str | Path):
        volume = one_volume(volume, predictor.options.view)
    if isinstance(volume, VolumeTarget):
        volume = volume.open(predictor.options.view)
    return _predicted(of_volumes(predictor), volume, axis=axis, smooth=smooth_slices, on_slice=on_slice)


def _predicted(
    predictor: Predictor,
    volume: Volume,
    *,
    axis: AxisName,
    smooth: bool,
    on_slice: Callable[[], None] | None,
) -> VolumePrediction:
    """Segment an opened volume; see `predict_volume`."""
    grid = volume.grid
    along = chosen_axis(grid, axis, volume.acquired_axis, volume=volume.path)
    slices = volume.slices(along)
    labels = np.zeros(grid.shape, np.uint8, order="F")
    seen = _SeenSlices(predictor, len(slices))
    for prediction, mask in _labelled(_predictions(predictor, slices), smooth=smooth):
        slice_of(labels, along, len(seen.results))[:] = mask
        seen.add(prediction, mask)
        if on_slice is not None:
            on_slice()
    words, measured = seen.words.words(), seen.words.measured()
    voxels = {name: sum(found.area_px[name] for found in seen.results) for name in seen.names}
    mm3 = grid.voxel_mm3
    number, shown, mask = seen.shown
    return VolumePrediction(
        labels=labels,
        grid=grid,
        axis=along,
        plane=grid.plane(along),
        smoothed=smooth,
        slices=tuple(seen.results),
        shown=ShownSlice(number=number, image=slices.read(number - 1), prediction=shown, mask=mask),
        images=slices,
        words=words,
        measured=measured,
        agreement=_agreement(predictor, words, measured, lesion=any(voxels.values())),
        voxels=voxels,
        volume_mm3=None if mm3 is None else {name: count * mm3 for name, count in voxels.items()},
        facts=seen.facts,
        assumptions=tuple(seen.assumptions),
        side=seen.side,
        flagged=any(found.flagged for found in seen.results),
        reasons=_counted(seen.reasons, len(slices)),
        other_side_reasons=_counted(seen.other_side_reasons, len(slices)),
        engine=seen.engine,
    )


def of_volumes(predictor: Predictor) -> Predictor:
    """Return a predictor that takes the size of a pixel from volumes, also where its options state one.

    A volume states the size of its voxels, so areas of another size would contradict its volume in mm3.
    """
    if predictor.options.spacing_mm is None:
        return predictor
    own = copy.copy(predictor)
    own.options = replace(predictor.options, spacing_mm=None)
    return own


class _SeenSlices:
    """What is kept of the slices of a volume, one after another.

    Args:
        predictor: The predictor.
        count: Number of slices.
    """

    def __init__(self, predictor: Predictor, count: int) -> None:
        self._vocabulary = predictor.run.spoken_vocabulary
        self._middle, self._largest = count // 2, 0
        self.names = [name for label, name in enumerate(predictor.run.class_names) if label > 0]
        self.words = VolumeWords(self._vocabulary)
        self.results: list[SliceResult] = []
        self.assumptions: dict[str, None] = {}
        self.reasons: Counter[str] = Counter()
        self.other_side_reasons: Counter[str] = Counter()
        self.facts: ImageFacts
        self.side: str
        self.engine: str | None
        #: Number from 1, prediction and labels of the slice that pictures show.
        self.shown: tuple[int, Prediction, npt.NDArray[np.uint8]]

    def add(self, prediction: Prediction, mask: npt.NDArray[np.uint8]) -> None:
        """Add the next slice.

        Args:
            prediction: Its prediction.
            mask: Its labels, `(H, W)`, after smoothing.
        """
        facts, index = prediction.facts, len(self.results)
        assert facts is not None
        if not self.results:
            self.facts, self.side, self.engine = facts, prediction.shown_side, prediction.engine
        counts = np.bincount(mask.ravel(), minlength=len(self.names) + 1)
        area = int(counts[1:].sum())
        if area > self._largest or (index == self._middle and not self._largest):
            self._largest, self.shown = area, (index + 1, prediction, mask)
        self.words.add(prediction.words, prediction.measured, area)
        self.assumptions |= dict.fromkeys(facts.assumptions)
        if prediction.flagged:
            self.reasons.update(prediction.reasons)
            if self._vocabulary is not None:
                self.other_side_reasons.update(reasons_of_other_side(prediction, self._vocabulary))
        area_px = {name: int(counts[label]) for label, name in enumerate(self.names, 1)}
        self.results.append(_slice_result(index + 1, prediction, area_px))


def _agreement(
    predictor: Predictor, words: tuple[RetrievedWord, ...], measured: Description | None, *, lesion: bool
) -> float | None:
    """Return the share of factors on which the words of a volume and its labels agree."""
    vocabulary = predictor.run.spoken_vocabulary
    if vocabulary is None or measured is None:
        return None
    return share_of_agreement(vocabulary, [word.index for word in words], measured, lesion=lesion)


def _counted(reasons: Counter[str], slices: int) -> tuple[str, ...]:
    """Return the most frequent reasons, each with the number of slices."""
    return tuple(
        f"{count} of {slices} slices: {reason}" for reason, count in reasons.most_common(_NAMED_REASONS)
    )


def _predictions(predictor: Predictor, slices: Slices) -> Iterator[Prediction]:
    """Yield the prediction of each slice, batch by batch."""
    size = predictor.options.batch_size
    read = read_ahead(range(len(slices)), slices.read, depth=2 * size)
    for batch in chunks(read, size):
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
    area_mm2 = None if pixel_mm2 is None else {name: count * pixel_mm2 for name, count in area_px.items()}
    found = prediction.findings | {"area_px": area_px, "area_mm2": area_mm2}
    return SliceResult(number=number, words=prediction.words, **found)
