"""Paired differences between arms: intervals over patients and seeds, signed ranks, Holm.

A difference has two sources of chance: which patients were in the test split, and which seed the trainings
had. An interval over patients alone is too narrow: it says how these trained models differ, not how the arms
do. Patients are many, so they are drawn with replacement (bootstrap). Seeds are few, and drawing three of
three seeds would call a difference of pure chance real in one of four audits. So the spread between seeds is
estimated from the table of mean Dice by arm and seed of one model, as in an analysis of variance with seeds
as blocks, and drawn from Student's distribution:

    difference = mean over drawn patients + sqrt(2 MS / S) t,   t ~ Student((A - 1)(S - 1))

with A arms, S seeds and MS the mean square of what is left of the A x S table without its row and column
means. It is assumed that trainings of one model spread alike in all arms. MS holds some of the noise of the
cases too, so the interval errs on the wide side.

References:
    Cochran and Cox, *Experimental designs*, 1957 (randomised blocks).
    Bouthillier et al., *Accounting for variance in machine learning benchmarks*, MLSys 2021.
    Wilcoxon, *Individual comparisons by ranking methods*, 1945; Kerby, *The simple difference formula*, 2014
    (rank-biserial correlation).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

from lexiseg.evaluation.scores.case_table import ALL
from lexiseg.evaluation.scores.metrics_file import Interval
from lexiseg.evaluation.scores.statistics import (
    RESAMPLES,
    bootstrap_means,
    cluster_means,
    holm,
    paired_difference,
    percentile_interval,
)
from lexiseg.studies.audit_file import ArmComparison, Unit

FloatArray = npt.NDArray[np.float64]


def compare_arms(
    dice: Mapping[str, FloatArray],
    pairs: Sequence[tuple[str, str]],
    groups: Mapping[str, npt.NDArray[np.bool_]],
    clusters: Sequence[Hashable | None],
    *,
    model: str,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[ArmComparison]:
    """Compare the arms of one model; p-values are not yet adjusted, see `adjusted`.

    Args:
        dice: Dice per arm, `(seeds, cases)`; the same seeds and cases in each.
        pairs: Which arms are compared: (arm, against).
        groups: Groups of cases, `(cases,)` booleans each.
        clusters: Patient per case; cases with None stand alone.
        model: Name of the model.
        seed: Seed of the draws.
        resamples: Number of draws.
    """
    found = []
    for group, members in groups.items():
        part = {arm: values[:, members] for arm, values in dice.items()}
        inside = [cluster for cluster, member in zip(clusters, members, strict=True) if member]
        spread = seed_spread(np.stack([values.mean(axis=1) for values in part.values()]))
        for arm, against in pairs:
            difference = part[arm] - part[against]
            interval = nested_interval(difference, inside, spread, seed=seed, resamples=resamples)
            names = {"model": model, "arm": arm, "against": against, "group": group}
            found.append(_comparison(names, difference, inside, interval, seed, resamples))
    return found


def _comparison(
    names: dict[str, str],
    difference: FloatArray,
    clusters: Sequence[Hashable | None],
    interval: Interval | None,
    seed: int,
    resamples: int,
) -> ArmComparison:
    """Return the comparison that the differences `(seeds, cases)` of one group of cases give."""
    per_case = difference.mean(axis=0)
    trained = paired_difference(per_case, np.zeros_like(per_case), clusters, seed, resamples)
    return ArmComparison(
        **names,
        over=unit_of(clusters),
        n=per_case.size,
        mean=trained.mean,
        ci95=interval,
        ci95_trained=trained.ci95,
        by_seed=tuple(float(mean) for mean in difference.mean(axis=1)),
        p_value=trained.p_value,
        p_holm=trained.p_value,
        ranks=rank_biserial(cluster_means(per_case, clusters)),
        better=trained.better,
        worse=trained.worse,
    )


def unit_of(clusters: Sequence[Hashable | None]) -> Unit:
    """Return what intervals and tests are over: patients if any is known, else images."""
    return "patients" if any(cluster is not None for cluster in clusters) else "images"


def adjusted(comparisons: Sequence[ArmComparison]) -> list[ArmComparison]:
    """Return the comparisons with p-values adjusted by Holm, in two families: all cases, and strata."""
    families: dict[bool, list[int]] = {}
    for position, comparison in enumerate(comparisons):
        families.setdefault(comparison.group == ALL, []).append(position)
    found = list(comparisons)
    for positions in families.values():
        for position, p in zip(positions, holm([found[i].p_value for i in positions]), strict=True):
            found[position] = found[position].model_copy(update={"p_holm": p})
    return found


def seed_spread(means: FloatArray) -> tuple[float, int]:
    """Return the mean square between trainings, and its degrees of freedom.

    Args:
        means: Mean Dice `(arms, seeds)`.

    Returns:
        Mean square of the table without its row and column means, and `(arms - 1) * (seeds - 1)`; 0 and 0 for
        one seed.
    """
    arms, seeds = means.shape
    freedom = (arms - 1) * (seeds - 1)
    if freedom == 0:
        return 0.0, 0
    rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    return float((rest**2).sum() / freedom), freedom


def nested_interval(
    difference: FloatArray,
    clusters: Sequence[Hashable | None],
    spread: tuple[float, int],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """Return the 95 % interval of a mean difference over patients and seeds.

    Args:
        difference: Difference `(seeds, cases)`.
        clusters: Patient per case.
        spread: As `seed_spread` returns it.
        seed: Seed of the draws.
        resamples: Number of draws.

    Returns:
        (low, high); None if nothing is known about the spread between seeds, or between patients: there is
        one seed, or one patient.
    """
    square, freedom = spread
    per_case = difference.mean(axis=0)
    if freedom == 0 or cluster_means(per_case, clusters).size < 2:
        return None
    draws = bootstrap_means(per_case, clusters, seed, resamples)
    # Evenly spaced quantiles in random order: the same distribution with less noise than random draws.
    quantiles = t.ppf((np.arange(resamples) + 0.5) / resamples, freedom)
    shuffled = np.random.default_rng((seed, 1)).permutation(quantiles)
    return percentile_interval(draws + np.sqrt(2 * square / difference.shape[0]) * shuffled)


def rank_biserial(differences: FloatArray) -> float:
    """Return the share of the signed ranks that are positive minus the share that are negative, -1..1."""
    kept = differences[differences != 0]
    if not kept.size:
        return 0.0
    ranks = rankdata(np.abs(kept))
    return float((ranks * np.sign(kept)).sum() / ranks.sum())
