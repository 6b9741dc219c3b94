"""A predicted DICOM series as the content of DICOM objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.image import image_of
from lexiseg.clinic.laterality_guard import check_volume_sides
from lexiseg.clinic.result_content import ResultContent, SegmentContent, VolumeContent
from lexiseg.clinic.series import SliceHeader, has_frames
from lexiseg.clinic.series_segmentation import series_sources
from lexiseg.data.volumes.series_slices import ACQUIRED_AXIS, SeriesVolume
from lexiseg.data.volumes.volume import NO_SPACING
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.contact_sheet import pictured_indices
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.words.report_draft import report_draft
from lexiseg.inference.words.word_sides import words_of_other_side
from lexiseg.inference.writers.dicom_content import (
    algorithm_of,
    fallback_date,
    vocabulary_codes,
    word_contents,
    word_side,
)
from lexiseg.words.codes import Codes
from lexiseg.words.flips import flip


@dataclass(frozen=True, kw_only=True)
class SeriesResult:
    """What the DICOM objects of a predicted series share.

    Attributes:
        path: The folder of the series, or its file of several frames.
        slices: Its slices in order.
        first: The file of the first slice, without pixels.
        source: The file of the acquired slice with the largest area of lesions, without pixels; without any
            lesion, of the middle one.
        sources: Their headers (`lexiseg.clinic.series_segmentation.series_sources`).
        labels: `(I, J, K)`, the label of each voxel.
        content: What objects say.
    """

    path: Path
    slices: Sequence[SliceHeader]
    first: Dataset
    source: Dataset
    sources: Sequence[Dataset]
    labels: npt.NDArray[np.uint8]
    content: VolumeContent

    def reference(self, index: int) -> tuple[Dataset, int | None]:
        """Return the header of a slice, and the number of its frame in a file of several.

        Args:
            index: Number of the slice, from 0.
        """
        if has_frames(self.slices):
            return self.sources[0], self.slices[index].frame + 1
        return self.sources[index], None

    @property
    def shown(self) -> SliceHeader:
        """The acquired slice with the largest area of lesions; without any lesion, the middle one."""
        return self.slices[self.content.shown]


def series_result(prediction: VolumePrediction, volume: SeriesVolume, predictor: Predictor) -> SeriesResult:
    """Return what the DICOM objects of a series share.

    Args:
        prediction: The prediction.
        volume: The series.
        predictor: The predictor.

    Raises:
        DataError: A file of the series cannot be read any more, its frames cannot be referred to, or the
            words name another side than that of the labels.
    """
    slices = volume.series.slices
    source = volume.file_without_pixels(slices[shown_slice(prediction)].path)
    content = series_content(prediction, volume, predictor, source)
    check_volume_sides(content.result, prediction.labels, prediction.grid)
    return SeriesResult(
        path=volume.path,
        slices=slices,
        first=volume.file_without_pixels(slices[0].path),
        source=source,
        sources=series_sources(slices, volume.file_without_pixels),
        labels=prediction.labels,
        content=content,
    )


def shown_slice(prediction: VolumePrediction) -> int:
    """Return the acquired slice with the largest area of lesions, from 0; without any lesion, the middle one.

    Args:
        prediction: The prediction of a series.
    """
    return pictured_indices(prediction.labels, ACQUIRED_AXIS)[0]


def series_content(
    prediction: VolumePrediction, volume: SeriesVolume, predictor: Predictor, source: Dataset
) -> VolumeContent:
    """Return what DICOM objects say of a predicted series.

    Words and reasons are in the patient's left and right where left and right lie in the predicted slices,
    else in those of the picture.

    Args:
        prediction: The prediction.
        volume: The series.
        predictor: The predictor.
        source: The file of the slice that `shown_slice` returns.
    """
    run, slices = predictor.run, volume.series.slices
    names = [(label, name) for label, name in enumerate(run.class_names) if label > 0]
    shown = shown_slice(prediction)
    across = ("slices", "volume " + "ijk"[prediction.axis] + (", smoothed" if prediction.smoothed else ""))
    result = ResultContent(
        facts=image_of(source, slices[shown].path, slices[shown].frame, volume.view).facts,
        segments=_segments(prediction, predictor, shown),
        words=(),
        side="image",
        agreement=prediction.agreement,
        expected_dice=None,
        flagged=prediction.flagged,
        reasons=prediction.reasons,
        draft="",
        algorithm=algorithm_of(predictor, prediction.facts.shown, across),
        fallback_date=fallback_date(predictor),
        tracked=(slices[0].instance, slices[0].frame + 1),
    )
    mm3 = prediction.volume_mm3
    return VolumeContent(
        result=_with_words(result, prediction, predictor),
        shown=shown,
        voxels={label: prediction.voxels[name] for label, name in names},
        volume_mm3=None if mm3 is None else {label: mm3[name] for label, name in names},
        no_volume=NO_SPACING if mm3 is None else "",
        no_expected_dice=prediction.no_expected_dice,
    )


def _segments(prediction: VolumePrediction, predictor: Predictor, shown: int) -> tuple[SegmentContent, ...]:
    """Return the foreground classes as they lie in one acquired slice."""
    run = predictor.run
    vocabulary = run.spoken_vocabulary
    codes = Codes() if vocabulary is None else vocabulary_codes(vocabulary)
    labels = prediction.labels[:, :, shown].T
    pixel_mm = prediction.grid.pixel_mm(ACQUIRED_AXIS)
    found = []
    for number, name in enumerate(run.class_names):
        if number > 0:
            mask = np.ascontiguousarray(labels == number)
            area = None if pixel_mm is None else float(mask.sum()) * pixel_mm[0] * pixel_mm[1]
            code = codes.finding if len(run.class_names) == 2 else None
            found.append(SegmentContent(number=number, name=name, code=code, mask=mask, area_mm2=area))
    return tuple(found)


def _with_words(result: ResultContent, prediction: VolumePrediction, predictor: Predictor) -> ResultContent:
    """Return a content with the words of the volume, their side and the draft of a report sentence."""
    run, vocabulary = predictor.run, predictor.run.spoken_vocabulary
    side = word_side(run, prediction.facts)
    if vocabulary is None:
        return dataclasses.replace(result, side=side)
    words, reasons = prediction.words, prediction.reasons
    measured = None if prediction.measured is None else prediction.measured.indices
    if side not in ("unknown", run.side):
        words, reasons = words_of_other_side(words, vocabulary), prediction.other_side_reasons
        measured = None if measured is None else flip(vocabulary, measured, "horizontal")
    return dataclasses.replace(
        result,
        words=word_contents(words, vocabulary, vocabulary_codes(vocabulary)),
        side=side,
        reasons=reasons,
        draft=report_draft(words, measured, vocabulary),
    )
