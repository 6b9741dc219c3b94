"""Means with intervals, size strata, pooled scores, and paired comparisons.

All resampling is seeded and vectorised. Where patients are known, whole patients are drawn, not cases: two
images of one patient are not two independent observations.

References:
    Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993 (percentile interval).
    Field and Welsh, *Bootstrapping clustered data*, J. R. Stat. Soc. B 2007 (drawing whole clusters).
    Holm, *A simple sequentially rejective multiple test procedure*, Scand. J. Stat. 1979.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from lexiseg.errors import UsageError
from lexiseg.evaluation.scores.metrics import CaseScores, overlap
from lexiseg.evaluation.scores.metrics_file import MeanScore
from lexiseg.printable import counted

#: Number of bootstrap draws behind each 95 % interval.
RESAMPLES = 2000

#: Below this number of patients (or cases, if no patient is known) an interval is rough.
FEW_CASES = 30

# Draws are made in blocks, so that memory stays flat however many cases there are.
_BLOCK_ELEMENTS = 2_000_000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Case-by-case difference of two methods, `a - b`.

    Attributes:
        mean: Mean difference over the cases.
        ci95: Its 95 % bootstrap interval, (low, high); None for a single cluster.
        p_value: Two-sided Wilcoxon signed-rank test, over the clusters' means where those are known.
        better: Number of cases where `a` is larger.
        worse: Number of cases where `a` is smaller.
        equal: Number of cases without a difference.
    """

    mean: float
    ci95: tuple[float, float] | None
    p_value: float
    better: int
    worse: int
    equal: int


def mean_ci(
    values: Sequence[float] | FloatArray,
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> MeanScore:
    """Return the mean over cases and its 95 % percentile bootstrap interval.

    Args:
        values: One finite number per case.
        clusters: Patient per case; cases with None stand alone. Without it every case stands alone.
        seed: Seed of the draws: the same input and seed give the same interval.
        resamples: Number of draws.

    Returns:
        The mean with its interval; None as the interval of a single cluster, which says nothing of others.

    Raises:
        UsageError: No values, values that are not finite, or as many clusters as values were not given.
    """
    checked = _finite(values)
    sums, counts = _by_cluster(checked, clusters)
    interval = _bootstrap(sums, counts, seed, resamples) if sums.size > 1 else None
    return MeanScore(mean=float(checked.mean()), ci95=interval)


def few_cases(clusters: Sequence[Hashable | None]) -> str | None:
    """Return what is to be said of the intervals of few cases; None where there are enough.

    Args:
        clusters: Patient per case; cases with None stand alone.
    """
    _, drawn = _cluster_index(clusters, len(clusters))
    if drawn >= FEW_CASES:
        return None
    known = any(cluster is not None for cluster in clusters)
    what = (
        f"{counted(len(clusters), 'image')} of {counted(drawn, 'patient')}"
        if known
        else counted(drawn, "image")
    )
    if drawn < 2:
        return f"Few cases: {'one patient' if known else 'one image'}, so there is no 95 % interval."
    return f"Few cases: {what}. Their 95 % intervals are rough, and mostly too narrow."


def paired_difference(
    a: Sequence[float] | FloatArray,
    b: Sequence[float] | FloatArray,
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Compare two methods on the same cases, in the same order.

    Args:
        a: Score per case of the first method.
        b: Score per case of the second method.
        clusters: Patient per case, as for `mean_ci`.
        seed: Seed of the draws.
        resamples: Number of draws.

    Returns:
        The difference `a - b` with interval and test.

    Raises:
        UsageError: The two do not have one finite value per case each.
    """
    first, second = _finite(a), _finite(b)
    if first.shape != second.shape:
        raise UsageError(
            f"A paired comparison needs the same cases, got {first.size} and {second.size} values.",
            code="LEX-USE-090",
        )
    difference = first - second
    sums, counts = _by_cluster(difference, clusters)
    per_cluster = sums / counts
    p_value = float(wilcoxon(per_cluster).pvalue) if np.any(per_cluster) else 1.0
    return PairedDifference(
        mean=float(difference.mean()),
        ci95=_bootstrap(sums, counts, seed, resamples) if sums.size > 1 else None,
        p_value=p_value,
        better=int(np.count_nonzero(difference > 0)),
        worse=int(np.count_nonzero(difference < 0)),
        equal=int(np.count_nonzero(difference == 0)),
    )


def bootstrap_means(
    values: Sequence[float] | FloatArray,
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> FloatArray:
    """Return the bootstrap draws of the mean over cases that `mean_ci` takes its interval from.

    Args:
        values: One finite number per case.
        clusters: Patient per case, as for `mean_ci`.
        seed: Seed of the draws.
        resamples: Number of draws.

    Returns:
        `(resamples,)` means.

    Raises:
        UsageError: As for `mean_ci`.
    """
    return _draws(*_by_cluster(_finite(values), clusters), seed, resamples)


def percentile_interval(draws: FloatArray) -> tuple[float, float]:
    """Return the 95 % interval of bootstrap draws `(resamples,)`: their 2.5 % and 97.5 % quantiles."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def cluster_means(
    values: Sequence[float] | FloatArray, clusters: Sequence[Hashable | None] | None = None
) -> FloatArray:
    """Return the mean of the values of each cluster, `(K,)`; the observations of a test over patients.

    Args:
        values: One finite number per case.
        clusters: Patient per case, as for `mean_ci`.

    Raises:
        UsageError: As for `mean_ci`.
    """
    sums, counts = _by_cluster(_finite(values), clusters)
    return sums / counts


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given.

    Args:
        p_values: p-values in 0..1 of one family of tests.

    Returns:
        Adjusted values: reject those at most alpha, and the chance of any false rejection is at most alpha.

    Raises:
        UsageError: A value is not in 0..1.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.size and not np.all((raw >= 0) & (raw <= 1)):
        raise UsageError(f"p-values lie in 0..1, got {list(p_values)}.", code="LEX-USE-091")
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(raw.size, 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def size_terciles(shares: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Return the two cut points that split the lesions of a split into small, medium and large.

    Args:
        shares: Share of the image that is lesion per case, in 0..1; cases without lesion (0) are left out.

    Returns:
        The 1/3 and 2/3 quantiles. A case is small up to and including the first, medium up to and including
        the second.

    Raises:
        UsageError: No case has any foreground.
    """
    lesions = _finite(shares)
    lesions = lesions[lesions > 0]
    if not lesions.size:
        raise UsageError("Size terciles need at least one case with a lesion.", code="LEX-USE-092")
    low, high = np.quantile(lesions, [1 / 3, 2 / 3])
    return float(low), float(high)


def size_groups(shares: Sequence[float] | FloatArray, cuts: tuple[float, float]) -> npt.NDArray[np.intp]:
    """Return the size group of each case: 0 without lesion, 1 small, 2 medium, 3 large.

    Args:
        shares: Share of the image that is lesion per case, in 0..1.
        cuts: See `size_terciles`.
    """
    values = np.asarray(shares, dtype=np.float64)
    return np.where(values == 0, 0, 1 + np.searchsorted(cuts, values, side="left"))


def pooled(cases: Sequence[CaseScores]) -> tuple[float, float]:
    """Return pooled Dice and IoU: pixels of all cases are summed first, as if they were one large image.

    Large lesions weigh most, so on most data pooled scores are higher than means of cases. Several foreground
    classes are pooled one by one, then averaged.

    Raises:
        UsageError: No cases.
    """
    counts = _pixel_counts(cases).sum(axis=0)
    dice, iou = np.mean([overlap(*(int(n) for n in row)) for row in counts], axis=0)
    return float(dice), float(iou)


def pooled_ci(
    cases: Sequence[CaseScores],
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[tuple[float, float], tuple[float, float]] | tuple[None, None]:
    """Return the 95 % percentile bootstrap intervals of pooled Dice and pooled IoU.

    The pixels of the cases of each draw are summed before the score is taken, as in `pooled`. With the same
    seed, the draws are those of `mean_ci`.

    Args:
        cases: Scores of the cases.
        clusters: Patient per case, as for `mean_ci`.
        seed: Seed of the draws.
        resamples: Number of draws.

    Returns:
        `(low, high)` of the Dice, and of the IoU; None for both with a single cluster.

    Raises:
        UsageError: No cases, or as many clusters as cases were not given.
    """
    counts = _pixel_counts(cases)
    index, size = _cluster_index(clusters, len(cases))
    if size < 2:
        return None, None
    by_cluster = np.zeros((size, *counts.shape[1:]))
    np.add.at(by_cluster, index, counts)
    columns = np.ascontiguousarray(by_cluster.reshape(size, -1).T)  # one per class and kind of pixels
    scores = np.empty((resamples, 2))
    for start, drawn in _drawn_clusters(size, seed, resamples):
        # Column by column, so that memory stays flat however many classes there are.
        sums = np.stack([column[drawn].sum(axis=1) for column in columns], axis=1)
        both, predicted, truth = np.moveaxis(sums.reshape(len(drawn), *counts.shape[1:]), -1, 0)
        scores[start : start + len(drawn), 0] = _ratio(2 * both, predicted + truth).mean(axis=1)
        scores[start : start + len(drawn), 1] = _ratio(both, predicted + truth - both).mean(axis=1)
    low, high = np.quantile(scores, [0.025, 0.975], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _pixel_counts(cases: Sequence[CaseScores]) -> FloatArray:
    """Return `(cases, classes, 3)`: pixels in both masks, in the predicted one, in the true one."""
    if not cases:
        raise UsageError("Pooled scores need at least one case.", code="LEX-USE-093")
    return np.array(
        [[(c.intersection_px, c.predicted_px, c.truth_px) for c in case.classes] for case in cases],
        dtype=np.float64,  # holds whole numbers up to 2**53
    )


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Return part / whole; 1 where there is no pixel at all, as in `overlap`."""
    return np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)


def _finite(values: Sequence[float] | FloatArray) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.all(np.isfinite(array)):
        raise UsageError(
            f"Statistics need at least one finite number per case, got shape {array.shape}.",
            code="LEX-USE-094",
        )
    return array


def _by_cluster(
    values: FloatArray, clusters: Sequence[Hashable | None] | None
) -> tuple[FloatArray, FloatArray]:
    """Return the sum of the values and their number per cluster, two `(K,)` arrays."""
    index, size = _cluster_index(clusters, values.size)
    return (
        np.bincount(index, weights=values, minlength=size).astype(np.float64),
        np.bincount(index, minlength=size).astype(np.float64),
    )


def _cluster_index(clusters: Sequence[Hashable | None] | None, size: int) -> tuple[npt.NDArray[np.intp], int]:
    """Return the number of each of `size` values' cluster, in order of appearance, and how many there are."""
    if clusters is None:
        return np.arange(size), size
    if len(clusters) != size:
        raise UsageError(
            f"Expected one cluster per value, got {len(clusters)} for {size} values.", code="LEX-USE-095"
        )
    numbers: dict[object, int] = {}
    index = np.empty(size, dtype=np.intp)
    for position, cluster in enumerate(clusters):
        # A tuple of length one cannot equal any patient's id: cases without a patient stay alone.
        key: object = (position,) if cluster is None else (cluster, True)
        index[position] = numbers.setdefault(key, len(numbers))
    return index, len(numbers)


def _bootstrap(sums: FloatArray, counts: FloatArray, seed: int, resamples: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean over the cases of drawn clusters."""
    return percentile_interval(_draws(sums, counts, seed, resamples))


def _draws(sums: FloatArray, counts: FloatArray, seed: int, resamples: int) -> FloatArray:
    """Draw clusters with replacement; return the mean over their cases, `(resamples,)`."""
    means = np.empty(resamples)
    for start, drawn in _drawn_clusters(sums.size, seed, resamples):
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def _drawn_clusters(size: int, seed: int, resamples: int) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    """Yield draws of `size` clusters with replacement, `(draws, size)`, block by block with its start."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_ELEMENTS // size)
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        yield start, generator.integers(size, size=(stop - start, size), dtype=np.int32)
