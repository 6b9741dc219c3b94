"""Fit the lung zone scores of vocabularies/chest.yaml on the training split, and print the block it holds.

Example: `python benchmarks/fit_chest_zones.py ../shared/data/COVID-Xray`. A multinomial logistic regression
says which zones of a lung the report names, from where the lesion lies in that half of the image and in the
other one. Both lungs share one table, the right one mirrored. Reads the training split only; the rates
printed are from cross-validation within it. Takes about half a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from chest_cases import Case, cases_of, open_reports
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lexiseg.words.description import UNKNOWN
from lexiseg.words.factor import Factor
from lexiseg.words.flips import flip
from lexiseg.words.lesion_regions import ROW_NAMES, LesionRegions, half_profile
from lexiseg.words.measure_rules import ZonesMeasure
from lexiseg.words.vocabulary import Vocabulary

Array = NDArray[np.float64]
FEATURES = (
    "bias", "top", "bottom", *ROW_NAMES, "outer", "inner", "area", "split",
    "other_present", "other_top", "other_row_95", "other_outer", "other_inner",
)  # fmt: skip
FOLDS = 5
SEED = 0
#: Weight of the squared standardised coefficients against the summed log likelihood: 0.02 to 2 rate the same.
PENALTY = 0.2
DECIMALS = 2


def zone_factors(vocabulary: Vocabulary) -> tuple[tuple[int, Factor, ZonesMeasure], ...]:
    found = [
        (i, f, f.measure) for i, f in enumerate(vocabulary.factors) if isinstance(f.measure, ZonesMeasure)
    ]
    return tuple(sorted(found, key=lambda entry: entry[2].half))


def half_features(case: Case, rules: tuple[ZonesMeasure, ZonesMeasure]) -> Array:
    """Return (2, F): features of the left and the right half, zero where a half holds no lesion."""
    lesion = case.mask != 0
    if not lesion.any():
        return np.zeros((2, len(FEATURES)))
    regions = LesionRegions(lesion)
    profiles = [
        half_profile(regions.half(r.half, min_region=r.min_region, min_part=r.min_part), lesion.size)
        for r in rules
    ]
    rows = [
        {"bias": own["present"], **own, **{f"other_{name}": value for name, value in other.items()}}
        for own, other in (profiles, profiles[::-1])
    ]
    return np.array([[row[name] for name in FEATURES] for row in rows])


def fit(features: Array, zones: NDArray[np.int64], count: int) -> Array:
    """Return (F, count) weights of a multinomial logistic regression; each row sums to zero."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    mean[0], scale[0] = 0.0, 1.0
    inputs, truth = (features - mean) / scale, np.eye(count)[zones]
    penalty = np.full((len(FEATURES), 1), PENALTY)
    penalty[0] = 0.0

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(-1, count)
        logits = inputs @ weights
        value = -(truth * log_softmax(logits, axis=1)).sum() + (penalty * weights**2).sum()
        return value, (inputs.T @ (softmax(logits, axis=1) - truth) + 2 * penalty * weights).ravel()

    start = np.zeros(len(FEATURES) * count)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "maxfun": 4000})
    weights: Array = found.x.reshape(-1, count) / scale[:, None]
    weights[0] -= mean @ weights
    rounded: Array = np.round(weights - weights.mean(axis=1, keepdims=True), DECIMALS)
    return rounded


def predict(features: Array, weights: Array, absent: int) -> NDArray[np.int64]:
    """Return phrase positions; `absent` is the last one by construction of `main`."""
    return np.where(features[..., 0] > 0, (features @ weights).argmax(axis=-1), absent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set folder with masks and reports")
    parser.add_argument("--vocabulary", help="vocabulary name or file (default: the data set's, else chest)")
    arguments = parser.parse_args()
    index, vocabulary = open_reports(arguments.data, arguments.vocabulary)
    (left_at, left, left_rule), (right_at, _, right_rule) = zone_factors(vocabulary)
    absent = len(left.phrases) - 1
    if left.phrases[absent] != left_rule.absent:
        parser.error(f"expected '{left_rule.absent}' to be the last phrase of factor '{left.name}'")
    cases = cases_of(index, "train", vocabulary)
    features = np.stack([half_features(case, (left_rule, right_rule)) for case in cases])
    # Phrases of the right lung as their mirrored counterparts of the left one: one list for both.
    zones = np.array([
        [case.reported[left_at], flip(vocabulary, case.reported, "horizontal")[left_at]] for case in cases
    ])  # fmt: skip
    report(features, zones, absent, (left.name, vocabulary.factors[right_at].name))


def report(features: Array, zones: NDArray[np.int64], absent: int, names: tuple[str, str]) -> None:
    """Print cross-validated rates, then the weights fitted on all cases as YAML."""
    known = zones != UNKNOWN
    usable = known & (zones != absent) & (features[..., 0] > 0)
    folds = np.random.default_rng(SEED).integers(0, FOLDS, len(zones))
    right = np.zeros_like(known)
    for fold in range(FOLDS):
        held = folds == fold
        train = usable & ~held[:, None]
        weights = fit(features[train], zones[train], absent)
        right[held] = predict(features[held], weights, absent) == zones[held]
    for column, name in enumerate(names):
        rate = right[known[:, column], column].mean()
        print(f"# {name}: {rate:.4f} exact in {FOLDS}-fold cross-validation, {known[:, column].sum()} cases")
    print_yaml(fit(features[usable], zones[usable], absent))


def print_yaml(weights: Array) -> None:
    print("      scores: &scores")
    for name, row in zip(FEATURES, weights, strict=True):
        print(f"        {name}: [{', '.join(f'{value:g}' for value in row + 0.0)}]")


if __name__ == "__main__":
    main()
