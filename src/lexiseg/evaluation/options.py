"""The options of evaluations: one object that travels, and the same options as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from lexiseg.data.sample import Split
from lexiseg.engines.engine import EngineChoice, PrecisionChoice
from lexiseg.evaluation.scores.metrics import DEFAULT_TOLERANCE
from lexiseg.inference.options import PredictionOptions
from lexiseg.runs.run import Run
from lexiseg.validation import check_keywords

#: Called after each case with the number of cases done and the number in all.
Progress = Callable[[int, int], None]


class PredictionKeywords(TypedDict, total=False):
    """The fields of `PredictionOptions` that calibration takes, as keyword arguments."""

    batch_size: int
    device: str
    engine: EngineChoice
    precision: PrecisionChoice
    flip_average: bool


def prediction_options(keywords: PredictionKeywords) -> PredictionOptions:
    """Return the options of predictions from keyword arguments.

    Args:
        keywords: The keyword arguments of a function that takes `PredictionKeywords`.

    Raises:
        UsageError: An option is not possible, or one of them is another field of `PredictionOptions`, such as
            `average_with`: what is fitted or checked is one run.
    """
    check_keywords(keywords, PredictionKeywords)
    return PredictionOptions(**keywords)


class ComparisonKeywords(PredictionKeywords, total=False):
    """The fields of `EvaluationOptions` that a comparison of two runs takes, as keyword arguments."""

    split: Split
    tolerance: float
    seed: int
    allow_leak: bool


class EvaluationKeywords(ComparisonKeywords, total=False):
    """The fields of `EvaluationOptions` that an evaluation takes, as keyword arguments."""

    average_with: Run | str | Path | None


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(PredictionOptions):
    """How runs are evaluated: how images are predicted (see `PredictionOptions`), and how scored.

    Attributes:
        average_with: A second run whose answers are averaged with those of the first; None: there is none.
        split: The split that is scored: "train", "val" or "test".
        tolerance: Boundary error that surface Dice forgives, in millimetres where the spacing of every image
            is known, else in pixels; at least 0.
        seed: Seed of the bootstrap intervals.
        allow_leak: Whether to score a split that shares images or patients with the splits before it; the
            results then say so.
    """

    average_with: Run | None = None
    split: Split = "test"
    tolerance: float = DEFAULT_TOLERANCE
    seed: int = 0
    allow_leak: bool = False

    @classmethod
    def of(
        cls, *, average_with: Run | str | Path | None = None, **keywords: Unpack[ComparisonKeywords]
    ) -> EvaluationOptions:
        """Return options from keyword arguments.

        Args:
            average_with: The second run, or its folder or name; it is opened.
            **keywords: The other fields.

        Raises:
            RunError: The second run cannot be used.
            UsageError: There is no such field, or an option is not possible.
        """
        check_keywords(keywords, EvaluationKeywords)
        return cls(average_with=None if average_with is None else Run.of(average_with), **keywords)

    def members(self, run: Run) -> tuple[Run, ...]:
        """Return the runs whose answers are averaged when `run` is evaluated."""
        return (run,) if self.average_with is None else (run, self.average_with)
