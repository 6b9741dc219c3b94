"""A prediction whose words a person changed, as writers of DICOM objects take it."""

from __future__ import annotations

from dataclasses import dataclass

from lexiseg.inference.reliability.review import WordOrigin
from lexiseg.inference.result import Prediction, RetrievedWord


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrectedWord(RetrievedWord):
    """One word of a corrected prediction.

    Attributes:
        origin: The model retrieved it, a person stated it, or it follows from what the person stated.
        model_index: Position of the phrase that the model retrieved; None where it has none in the factor.
    """

    origin: WordOrigin
    model_index: int | None

    @property
    def said_by(self) -> WordOrigin:
        """Who said it."""
        return self.origin


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrectedPrediction(Prediction):
    """A mask that follows from what a person said, with its words, areas and flag; no output of a model.

    Attributes:
        who: Who said it; empty where that is not known.
    """

    who: str
