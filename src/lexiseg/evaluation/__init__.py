"""Evaluation: scores per case, their statistics, and the report.

A run on one split: `evaluate` puts it together; `metrics` scores a case, `cases` holds it, `statistics` and
`summary` take cases together, `retrieval` and `reliability` score words and probabilities. `metrics_file`
is what is written, and `report` the page, with `figures`, `case_figures` and the modules named
`report_...`.

Two runs: `compare`, `comparison_file`, `comparison_page`. Several runs: `run_table`. Errors of a data set:
`suspicions` and the modules named `suspicion_...`. What a run gets after its training: `fit_calibration`
and `fit_training_images`.

Names of files and of their fields are part of the interface; see `lexiseg.schemas`.
"""

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
