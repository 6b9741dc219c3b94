"""A predicted DICOM series as the content of DICOM objects."""

from __future__ import annotations

import numpy as np

from lexiseg.clinic.result_content import ResultContent, SegmentContent
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.writers.dicom_content import algorithm_of, fallback_date, vocabulary_codes
from lexiseg.words.codes import Codes


def series_content(prediction: VolumePrediction, predictor: Predictor) -> ResultContent:
    """Return what a segmentation says of a predicted series: its segments and the algorithm.

    The words of a volume are in `volumes.jsonl`; a segmentation holds none.

    Args:
        prediction: The prediction.
        predictor: The predictor.
    """
    run, vocabulary = predictor.run, predictor.run.spoken_vocabulary
    codes = Codes() if vocabulary is None else vocabulary_codes(vocabulary)
    across = ("slices", "volume " + "ijk"[prediction.axis] + (", smoothed" if prediction.smoothed else ""))
    return ResultContent(
        facts=prediction.facts,
        segments=tuple(
            SegmentContent(
                number=label,
                name=name,
                code=codes.finding if len(run.class_names) == 2 else None,
                mask=np.zeros((0, 0), np.bool_),
                area_mm2=None,
            )
            for label, name in enumerate(run.class_names)
            if label > 0
        ),
        words=(),
        side="patient",
        agreement=None,
        expected_dice=None,
        flagged=prediction.flagged,
        reasons=prediction.reasons,
        draft="",
        algorithm=algorithm_of(predictor, prediction.facts.shown, across),
        fallback_date=fallback_date(predictor),
    )
