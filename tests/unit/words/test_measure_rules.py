"""Measuring rules are checked when a vocabulary is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from lexiseg.errors import DataError
from lexiseg.words.measure_rules import Bounds
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary


def vocabulary_with(measure: dict[str, Any], phrases: tuple[str, ...] = ("a", "b")) -> Vocabulary:
    factor = {"name": "thing", "title": "Thing", "phrases": phrases, "measure": measure}
    return Vocabulary.from_dict({
        "name": "own", "title": "Own", "keyword": {"singular": "spot", "plural": "spots"},
        "sentence": {"clauses": [{"parts": ["{thing}"]}]}, "factors": [factor],
    })  # fmt: skip


ZONES = {"kind": "zones", "half": "left", "absent": "b", "scores": {"bias": [0.0]}}

BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "guess"}, "factor 'thing'.*guess"),
    ({"kind": "count", "at_least": [1]}, r"measure\.at_least: expected one entry per phrase \(2\), got 1"),
    ({"kind": "count", "at_least": [2, 3]}, "rising numbers from 1"),
    ({"kind": "count", "at_least": [1, 2], "min_region": 2}, "min_region"),
    ({"kind": "count", "at_least": [1, 2], "speck": 2}, "speck: there is no such field"),
    ({"kind": "laterality", "halves": [2, 2]}, r"expected \[1, 2\] or \[2, 1\]"),
    ({"kind": "laterality", "halves": [2]}, "one entry per phrase"),
    ({"kind": "laterality", "halves": [2, 1], "min_part": 0.6}, "min_part"),
    (ZONES | {"absent": "none"}, "'none' is not a phrase of this factor"),
    (ZONES | {"scores": {"height": [0.0]}}, "no feature 'height'; the features are bias, top"),
    (ZONES | {"scores": {"top": [0.0, 1.0]}}, r"one weight for each phrase except 'b' \(1\), got 2"),
    (ZONES | {"scores": {}}, "scores"),
    (ZONES | {"half": "upper"}, "half"),
    ({"kind": "grid", "middle": 0.3}, "9 phrases, row by row, got 2"),
    ({"kind": "shape", "cases": [{"phrase": "c"}]}, "'c' is not a phrase"),
    (
        {"kind": "shape", "cases": [{"phrase": "a", "solidity": {"at_least": 0.5}}]},
        "without bounds",
    ),
    ({"kind": "size", "at_least": [0.1, 0.2]}, "rising numbers from 0"),
    ({"kind": "size", "at_least": [0, 0]}, "rising numbers from 0"),
    ({"kind": "size", "at_least": [0, 0.1, 0.2]}, "one entry per phrase"),
    ({"kind": "intensity", "at_least": [0.2, 0.4]}, "rising numbers from 0"),
    ({"kind": "color", "examples": {"a": [[0, 0, 0]]}}, "for phrase 'b', got none"),
    ({"kind": "color", "examples": {"a": [[0, 0, 0]], "b": []}}, "for phrase 'b', got none"),
    ({"kind": "color", "examples": {"c": [[0, 0, 0]]}}, "'c' is not a phrase"),
    ({"kind": "color", "examples": {"a": [[0, 0, 256]], "b": [[0, 0, 0]]}}, "256"),
]


@pytest.mark.parametrize(("measure", "message"), BAD)
def test_impossible_rules_are_refused(measure: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        vocabulary_with(measure)


@pytest.mark.parametrize("name", ["chest", "polyp"])
def test_rules_survive_the_run_folder(name: str) -> None:
    vocabulary = load_vocabulary(name)
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
    assert all(factor.measure is not None for factor in vocabulary.factors)


def test_both_lungs_share_their_scores() -> None:
    chest = load_vocabulary("chest")
    left, right = chest.factor("left").measure, chest.factor("right").measure
    assert left is not None
    assert right is not None
    assert left.model_dump(exclude={"half", "absent"}) == right.model_dump(exclude={"half", "absent"})


@pytest.mark.parametrize(
    ("value", "holds"), [(0.1, False), (0.2, True), (0.3, True), (0.5, True), (0.6, False)]
)
def test_bounds_are_included(value: float, holds: bool) -> None:
    assert Bounds(at_least=0.2, at_most=0.5).hold(value) == holds
    assert Bounds().hold(value)
