"""What `metrics.json` says about all cases together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lexiseg.evaluation.cases import NO_LESION, TERCILES, Case, size_stratum, tercile_cuts
from lexiseg.evaluation.metrics import METRICS
from lexiseg.evaluation.statistics import Interval, mean_ci, pooled, pooled_ci


def summarise(cases: Sequence[Case], *, class_names: Sequence[str], seed: int) -> dict[str, Any]:
    """Return means with intervals, pooled scores, and results by lesion size, lesion count and image source.

    Args:
        cases: At least one evaluated case.
        class_names: Names of all labels, background first.
        seed: Seed of every bootstrap.

    Returns:
        JSON-able values. A stratum without cases has `n` 0 and scores None.
    """
    scores = [case.scores for case in cases]
    pooled_dice, pooled_iou = pooled(scores)
    dice_ci95, iou_ci95 = pooled_ci(scores, [case.sample.patient for case in cases], seed)
    patients = {case.sample.patient for case in cases} - {None}
    summary: dict[str, Any] = {
        "num_cases": len(cases),
        "num_patients": len(patients) or None,
        "interval_over": "patients" if patients else "cases",
        **_means(cases, seed),
        "pooled_dice": pooled_dice,
        "pooled_dice_ci95": list(dice_ci95),
        "pooled_iou": pooled_iou,
        "pooled_iou_ci95": list(iou_ci95),
        "one_sided_empty": sum(case.scores.one_sided_empty for case in cases),
        "empty_predictions": sum(case.predicted_px == 0 for case in cases),
        "by_size": _by_size(cases, seed),
        "by_count": _strata(cases, _count_stratum, ("one", "several", NO_LESION), seed),
    }
    if len(class_names) > 2:
        summary["by_class"] = {
            name: {
                metric: _interval(
                    cases, [getattr(case.scores.classes[position], metric) for case in cases], seed
                )
                for metric in METRICS
            }
            for position, name in enumerate(class_names[1:])
        }
    sources = sorted({case.sample.source for case in cases if case.sample.source is not None})
    if len(sources) > 1:
        summary["sources"] = _strata(cases, lambda case: case.sample.source, sources, seed)
    agreements = [case.agreement for case in cases if case.agreement is not None]
    summary["agreement"] = None
    if agreements:
        flagged = sum(case.flagged for case in cases) / len(cases)
        summary["agreement"] = {**_interval(cases, agreements, seed), "flagged": flagged}
    summary["review"] = _review(cases, seed)
    return summary


def _review(cases: Sequence[Case], seed: int) -> dict[str, Any] | None:
    """Return share and Dice of flagged cases and of the rest; None for a run that can flag nothing."""
    if all(case.agreement is None and case.expected_dice is None for case in cases):
        return None
    flagged = [case for case in cases if case.flagged]
    rest = [case for case in cases if not case.flagged]
    dice = {
        name: _interval(group, [case.scores.dice for case in group], seed) if group else None
        for name, group in (("dice_flagged", flagged), ("dice_rest", rest))
    }
    expected = [case.expected_dice for case in cases if case.expected_dice is not None]
    return {
        "flagged": len(flagged) / len(cases),
        "n": len(flagged),
        **dice,
        "expected_dice": _interval(cases, expected, seed)["mean"] if expected else None,
    }


def _interval(cases: Sequence[Case], values: Sequence[float], seed: int) -> Interval:
    return mean_ci(values, [case.sample.patient for case in cases], seed)


def _means(cases: Sequence[Case], seed: int) -> dict[str, Interval | None]:
    if not cases:
        return dict.fromkeys(METRICS)
    return {name: _interval(cases, [getattr(case.scores, name) for case in cases], seed) for name in METRICS}


def _by_size(cases: Sequence[Case], seed: int) -> list[dict[str, Any]]:
    """Return one entry per tercile of the true lesions' sizes, small first; then cases without lesion."""
    cuts = tercile_cuts(cases)
    groups: dict[str, list[Case]] = {name: [] for name in (*TERCILES, NO_LESION)}
    for case in cases:
        groups[size_stratum(case, cuts)].append(case)
    low, high = cuts or (0.0, 0.0)
    ranges = {"small": [0.0, low], "medium": [low, high], "large": [high, 1.0], NO_LESION: [0.0, 0.0]}
    return [
        {"tercile": name, "share": ranges[name], "n": len(group), **_means(group, seed)}
        for name, group in groups.items()
        if group or name != NO_LESION
    ]


def _count_stratum(case: Case) -> str:
    return NO_LESION if case.lesions == 0 else "one" if case.lesions == 1 else "several"


def _strata(
    cases: Sequence[Case], name_of: Callable[[Case], str | None], names: Sequence[str], seed: int
) -> dict[str, Any]:
    groups: dict[str, list[Case]] = {name: [] for name in names}
    for case in cases:
        name = name_of(case)
        if name is not None:
            groups[name].append(case)
    return {
        name: {"n": len(group), **_means(group, seed)}
        for name, group in groups.items()
        if group or name != NO_LESION
    }
