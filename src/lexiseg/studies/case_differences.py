"""The cases behind an audit's means: the difference of every case, the extremes, and the failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lexiseg.evaluation.comparison.comparison_file import ExtremeCases
from lexiseg.evaluation.comparison.extreme_cases import most_different
from lexiseg.studies.analysis import FloatArray
from lexiseg.studies.arms import BASELINE, Arms
from lexiseg.studies.audit_file import CaseDifferences, CaseError, PairDifferences
from lexiseg.studies.results import TrialResult

#: Cases named in each direction.
_SHOWN = 3
# `cases.csv` has as many digits; more would only make `audit.json` longer.
_DIGITS = 6


def case_differences(
    dice: Mapping[str, Mapping[str, FloatArray]], cases: pd.DataFrame, arms: Arms
) -> CaseDifferences:
    """Return how much true words changed the Dice of each case, against the arm without words.

    Args:
        dice: Dice per model and arm, `(seeds, cases)`.
        cases: The cases, in the order of the Dice.
        arms: All arms by name.
    """
    ids = tuple(str(case) for case in cases.index)
    return CaseDifferences(
        ids=ids,
        sizes=tuple(cases["truth_share"].tolist()),
        pairs=tuple(
            PairDifferences(
                model=model,
                arm=arm,
                against=BASELINE,
                values=tuple(_mean_difference(of_model[arm], of_model[BASELINE])),
                most=_most(of_model[arm], of_model[BASELINE], ids),
            )
            for model, of_model in dice.items()
            for arm in of_model
            if arms[arm].words == "own"
        ),
    )


def _mean_difference(ours: FloatArray, theirs: FloatArray) -> list[float]:
    difference: list[float] = np.round(ours.mean(axis=0) - theirs.mean(axis=0), _DIGITS).tolist()
    return difference


def _most(ours: FloatArray, theirs: FloatArray, ids: Sequence[str]) -> ExtremeCases:
    a, b = (dict(zip(ids, dice.mean(axis=0).tolist(), strict=True)) for dice in (ours, theirs))
    return most_different(a, b, shown=_SHOWN)


def case_errors(results: Sequence[TrialResult]) -> tuple[CaseError, ...]:
    """Return the cases that could not be scored, and why; they are the same in every arm (`same_cases`)."""
    found = {(case.id, case.error) for result in results for case in result.metrics.failed}
    return tuple(CaseError(id=case, error=error) for case, error in sorted(found))
