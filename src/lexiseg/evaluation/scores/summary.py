"""Scores of all cases together: means with intervals, pooled scores, strata, agreement, review flag."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lexiseg.evaluation.scores.cases import NO_LESION, TERCILES, ScoredCase, size_stratum, tercile_cuts
from lexiseg.evaluation.scores.metrics import METRICS
from lexiseg.evaluation.scores.metrics_file import (
    AgreementMetrics,
    ClassMeans,
    MeanScore,
    ReviewMetrics,
    ScoreSummary,
    SizeStratum,
    Stratum,
)
from lexiseg.evaluation.scores.statistics import few_cases, mean_ci, pooled, pooled_ci


def summarise(cases: Sequence[ScoredCase], *, class_names: Sequence[str], seed: int) -> ScoreSummary:
    """Return means with intervals, pooled scores, and results by lesion size, lesion count and image source.

    Args:
        cases: At least one scored case.
        class_names: Names of all labels, background first.
        seed: Seed of every bootstrap.
    """
    scores = [case.scores for case in cases]
    pooled_dice, pooled_iou = pooled(scores)
    clusters = [case.sample.patient for case in cases]
    dice_ci95, iou_ci95 = pooled_ci(scores, clusters, seed)
    patients = set(clusters) - {None}
    sources = sorted({case.sample.source for case in cases if case.sample.source is not None})
    return ScoreSummary(
        num_cases=len(cases),
        num_patients=len(patients) or None,
        interval_over="patients" if patients else "cases",
        **{name: _mean(cases, _values(cases, name), seed) for name in METRICS},
        pooled_dice=pooled_dice,
        pooled_dice_ci95=dice_ci95,
        pooled_iou=pooled_iou,
        pooled_iou_ci95=iou_ci95,
        few_cases=few_cases(clusters),
        one_sided_empty=sum(case.scores.one_sided_empty for case in cases),
        empty_predictions=sum(case.predicted_px == 0 for case in cases),
        by_size=_by_size(cases, seed),
        by_count=_strata(cases, _count_stratum, ("one", "several", NO_LESION), seed),
        by_class=_by_class(cases, class_names[1:], seed) if len(class_names) > 2 else None,
        sources=_strata(cases, lambda case: case.sample.source, sources, seed) if len(sources) > 1 else None,
        agreement=_agreement(cases, seed),
        review=_review(cases, seed),
    )


def _agreement(cases: Sequence[ScoredCase], seed: int) -> AgreementMetrics | None:
    known = [(case, case.agreement) for case in cases if case.agreement is not None]
    if not known:
        return None
    mean = _mean([case for case, _ in known], [share for _, share in known], seed)
    flagged = sum(case.flagged for case in cases) / len(cases)
    return AgreementMetrics(**dict(mean), flagged=flagged)


def _review(cases: Sequence[ScoredCase], seed: int) -> ReviewMetrics | None:
    """Return share and Dice of flagged cases and of the rest; None for a run that cannot flag cases."""
    if all(case.agreement is None and case.expected_dice is None and not case.unlike for case in cases):
        return None
    flagged = [case for case in cases if case.flagged]
    rest = [case for case in cases if not case.flagged]
    known = [case for case in cases if case.expected_dice is not None]
    compared = [case.unlike for case in cases if case.unlike is not None]
    return ReviewMetrics(
        flagged=len(flagged) / len(cases),
        n=len(flagged),
        dice_flagged=_mean(flagged, _values(flagged, "dice"), seed) if flagged else None,
        dice_rest=_mean(rest, _values(rest, "dice"), seed) if rest else None,
        expected_dice=_mean(known, [case.expected_dice or 0.0 for case in known], seed).mean
        if known
        else None,
        unlike_training_images=sum(compared) if compared else None,
    )


def _values(cases: Sequence[ScoredCase], metric: str) -> list[float]:
    return [getattr(case.scores, metric) for case in cases]


def _mean(cases: Sequence[ScoredCase], values: Sequence[float], seed: int) -> MeanScore:
    return mean_ci(values, [case.sample.patient for case in cases], seed)


def _means(cases: Sequence[ScoredCase], seed: int) -> dict[str, MeanScore | None]:
    if not cases:
        return dict.fromkeys(METRICS)
    return {name: _mean(cases, _values(cases, name), seed) for name in METRICS}


def _by_class(cases: Sequence[ScoredCase], names: Sequence[str], seed: int) -> dict[str, ClassMeans]:
    """Return the scores of each foreground class, by name."""
    found = {}
    for position, name in enumerate(names):
        scores = [case.scores.classes[position] for case in cases]
        means = {metric: _mean(cases, [getattr(s, metric) for s in scores], seed) for metric in METRICS}
        found[name] = ClassMeans(**means)
    return found


def _by_size(cases: Sequence[ScoredCase], seed: int) -> tuple[SizeStratum, ...]:
    """Return one stratum per tercile of the true lesions' sizes, small first; then cases without lesion."""
    cuts = tercile_cuts(cases)
    groups: dict[str, list[ScoredCase]] = {name: [] for name in (*TERCILES, NO_LESION)}
    for case in cases:
        groups[size_stratum(case, cuts)].append(case)
    low, high = cuts or (0.0, 0.0)
    ranges = {"small": (0.0, low), "medium": (low, high), "large": (high, 1.0), NO_LESION: (0.0, 0.0)}
    return tuple(
        SizeStratum(tercile=name, share=ranges[name], n=len(group), **_means(group, seed))
        for name, group in groups.items()
        if group or name != NO_LESION
    )


def _count_stratum(case: ScoredCase) -> str:
    return NO_LESION if case.lesions == 0 else "one" if case.lesions == 1 else "several"


def _strata(
    cases: Sequence[ScoredCase],
    name_of: Callable[[ScoredCase], str | None],
    names: Sequence[str],
    seed: int,
) -> dict[str, Stratum]:
    groups: dict[str, list[ScoredCase]] = {name: [] for name in names}
    for case in cases:
        name = name_of(case)
        if name is not None:
            groups[name].append(case)
    return {
        name: Stratum(n=len(group), **_means(group, seed))
        for name, group in groups.items()
        if group or name != NO_LESION
    }
