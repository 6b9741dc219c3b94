"""Evaluation: per-case scores, honest statistics, and the report."""

from lexiseg.evaluation.compare import compare
from lexiseg.evaluation.evaluate import Evaluation, evaluate
from lexiseg.evaluation.metrics import CaseScores, ClassScores, case_metrics
from lexiseg.evaluation.several import evaluate_runs
from lexiseg.evaluation.statistics import (
    PairedDifference,
    holm,
    mean_ci,
    paired_difference,
    pooled,
    pooled_ci,
)

__all__ = [
    "CaseScores",
    "ClassScores",
    "Evaluation",
    "PairedDifference",
    "case_metrics",
    "compare",
    "evaluate",
    "evaluate_runs",
    "holm",
    "mean_ci",
    "paired_difference",
    "pooled",
    "pooled_ci",
]
