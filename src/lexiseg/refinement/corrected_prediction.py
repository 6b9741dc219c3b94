"""A refinement as a prediction that the writers of outputs take."""

from __future__ import annotations

from dataclasses import fields

from lexiseg.inference.result import Prediction
from lexiseg.inference.words.corrected_prediction import CorrectedPrediction, CorrectedWord
from lexiseg.refinement.refine import Refinement


def corrected_prediction(refinement: Refinement, *, who: str = "") -> CorrectedPrediction:
    """Return the refined mask with its words, areas and flag, for the writers of DICOM objects.

    Args:
        refinement: The refinement.
        who: Who said the words; empty where that is not known.
    """
    found = refinement.prediction
    unchanged = {field.name: getattr(found, field.name) for field in fields(Prediction)}
    changed = {
        "mask": refinement.mask,
        "probability": refinement.probability,
        "words": tuple(
            CorrectedWord(
                factor=word.factor,
                title=word.title,
                index=word.index,
                phrase=word.phrase,
                confidence=word.confidence,
                runners_up=(),
                probabilities=retrieved.probabilities,
                origin=word.said_by,
                model_index=retrieved.index,
            )
            for word, retrieved in zip(refinement.words, found.words, strict=True)
        ),
        "measured": refinement.measured,
        **refinement.findings,
    }
    return CorrectedPrediction(**{**unchanged, **changed}, who=who)
