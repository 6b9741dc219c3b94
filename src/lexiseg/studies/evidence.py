"""The cases behind an audit's means: paired differences, extremes, failures, and what one training shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lexiseg.evaluation.tables import most_different
from lexiseg.studies.analysis import FloatArray
from lexiseg.studies.arms import ARMS_FOLDER, BASELINE, WITHOUT_TRUE_WORDS
from lexiseg.studies.results import ArmResult

#: Cases named in each direction.
_SHOWN = 3
# As many digits as `cases.csv` has: more would only make `audit.json` longer.
_DIGITS = 6


def case_differences(dice: Mapping[str, Mapping[str, FloatArray]], cases: pd.DataFrame) -> dict[str, Any]:
    """Return how much true words changed the Dice of each case, against the arm without words.

    Args:
        dice: Dice per model and arm, `(seeds, cases)`.
        cases: The cases, in the order of the Dice.

    Returns:
        `ids`; `sizes`, the share of each image that is lesion; `pairs`, per model and arm with true words
        `values`, the difference of each case in the mean over seeds, and `most`, the cases that gained or
        lost most, as `most_different` returns them.
    """
    ids = [str(case) for case in cases.index]
    return {
        "ids": ids,
        "sizes": cases["truth_share"].tolist(),
        "pairs": [
            {"model": model, "arm": arm, "against": BASELINE, **_pair(of_model[arm], of_model[BASELINE], ids)}
            for model, of_model in dice.items()
            for arm in of_model
            if arm not in WITHOUT_TRUE_WORDS
        ],
    }


def _pair(ours: FloatArray, theirs: FloatArray, ids: Sequence[str]) -> dict[str, Any]:
    a, b = ours.mean(axis=0), theirs.mean(axis=0)
    return {
        "values": np.round(a - b, _DIGITS).tolist(),
        "most": most_different(
            dict(zip(ids, a.tolist(), strict=True)), dict(zip(ids, b.tolist(), strict=True)), shown=_SHOWN
        ),
    }


def failures(results: Sequence[ArmResult]) -> list[dict[str, str]]:
    """Return the cases that could not be scored, and why; the same cases in every arm (`same_cases`)."""
    found = {(str(f["id"]), str(f["error"])) for result in results for f in result.metrics["failed"]}
    return [{"id": case, "error": error} for case, error in sorted(found)]


def report_file(result: ArmResult) -> str:
    """Return where a training's own report is, from the audit's folder."""
    return f"{ARMS_FOLDER}/{result.arm.name}/{result.metrics['split']}/report.html"


def of_training(result: ArmResult) -> dict[str, Any]:
    """Return what is drawn of one training: its calibration, and what it retrieved for each reference phrase.

    Returns:
        `seed`; `side`, whose left "left" means; `calibration` as in `metrics.json`; `confusions`, per factor
        with a known reference its title, phrases and counts `confusion[reference][retrieved]`.
    """
    return {
        "seed": result.arm.seed,
        "side": result.metrics["side"],
        "calibration": result.metrics["calibration"],
        "confusions": {
            name: {key: scores[key] for key in ("title", "n", "phrases", "confusion")}
            for name, scores in result.metrics["retrieval"].items()
            if scores["n"]
        },
    }
