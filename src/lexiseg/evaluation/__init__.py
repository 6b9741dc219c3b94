"""Evaluation: scores per case, their statistics, and the report."""

from lexiseg.evaluation.compare import compare, compare_on
from lexiseg.evaluation.evaluate import Evaluation, evaluate, evaluate_on
from lexiseg.evaluation.metrics import CaseScores, ClassScores, case_metrics
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.run_table import evaluate_runs
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
    "EvaluationOptions",
    "PairedDifference",
    "case_metrics",
    "compare",
    "compare_on",
    "evaluate",
    "evaluate_on",
    "evaluate_runs",
    "holm",
    "mean_ci",
    "paired_difference",
    "pooled",
    "pooled_ci",
]
