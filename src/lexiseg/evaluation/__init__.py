"""Evaluation: scores per case, their statistics, and the report.

`evaluate` scores a run on one split: it opens the data set (`evaluation_data`), refuses what cannot be scored
(`checks`), has the cases predicted (`options`, `predictor_protocol`), says where the scores come from
(`provenance`) and writes all into one folder (`result_folder`). `scores` are the numbers, `report` the page.

Around it: `comparison` of several runs, `suspicions` about a data set, and `fitting` of what a run gets after
its training.

Names of files and of their fields are part of the interface; see `lexiseg.schemas`.
"""

from lexiseg.evaluation.comparison.compare import compare, compare_on
from lexiseg.evaluation.comparison.run_table import evaluate_runs
from lexiseg.evaluation.evaluate import Evaluation, evaluate, evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.scores.case_table import patients_of, read_cases
from lexiseg.evaluation.scores.metrics import CaseScores, ClassScores, case_metrics
from lexiseg.evaluation.scores.statistics import (
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
    "patients_of",
    "pooled",
    "pooled_ci",
    "read_cases",
]
