"""The benchmark of `data check --with`: the errors that it puts into a data set."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexiseg.data import Sample
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.words.vocabulary import load_vocabulary

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
CHEST = load_vocabulary("chest")
REFERENCES = References(kind="reports", vocabulary=CHEST, side="image", data_side="image")


@pytest.fixture
def wrong_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("wrong_data")


def cases_of(wrong_data: Any, patients: list[str | None], counts: list[int]) -> list[Any]:
    """Return cases with an empty mask; their reports differ in the number of areas alone."""
    nothing: Any = None
    return [
        wrong_data.Case(
            sample=Sample(id=str(n), image=Path(f"{n}.png"), mask=None, split="val", patient=patient),
            image=nothing, given=np.zeros((8, 8), np.uint8), told=(0, count, 0, 0), measured=(0, count, 0, 0),
            expectation=nothing,
        )
        for n, (patient, count) in enumerate(zip(patients, counts, strict=True))
    ]  # fmt: skip


def injected(wrong_data: Any, cases: list[Any], kind: str, share: float = 0.5) -> tuple[list[Any], Any]:
    return wrong_data.inject(cases, kind, share, np.random.default_rng(0), REFERENCES)


def test_reports_are_exchanged_where_patients_are_not_known(wrong_data: Any) -> None:
    cases = cases_of(wrong_data, [None] * 10, list(range(5)) * 2)
    changed, wrong = injected(wrong_data, cases, "other report")
    assert wrong.sum() == 5
    for before, after, is_wrong in zip(cases, changed, wrong, strict=True):
        assert (after.told != before.told) == is_wrong
        assert after.told in [case.told for case in cases]


def test_a_report_is_not_exchanged_for_one_of_the_same_patient(wrong_data: Any) -> None:
    cases = cases_of(wrong_data, ["p"] * 5 + [None], list(range(6)))
    for before in cases[:5]:
        for other in cases[:5]:
            assert (
                wrong_data._wrong(before, other, "other report", np.random.default_rng(0), REFERENCES) is None
            )
        assert wrong_data._wrong(before, cases[5], "other report", None, REFERENCES).told == cases[5].told
    unknown = cases[5]
    twin = dataclasses.replace(unknown, told=cases[0].told)
    assert wrong_data._wrong(unknown, unknown, "other report", None, REFERENCES) is None
    assert wrong_data._wrong(unknown, twin, "other report", None, REFERENCES).told == twin.told


@pytest.mark.parametrize(
    ("kind", "counts", "patients", "needed"),
    [
        ("missing lesion", [0, 1], [None, None], "needs a lesion"),
        ("other report", [1, 1], [None, None], "different things"),
        ("other report", [1, 2], ["p", "p"], "different patients"),
    ],
)
def test_nothing_that_can_be_made_wrong_is_said(
    wrong_data: Any, kind: str, counts: list[int], patients: list[str | None], needed: str
) -> None:
    with pytest.raises(SystemExit, match=f"{kind}: 0 of 2 cases could be made wrong.*{needed}"):
        injected(wrong_data, cases_of(wrong_data, patients, counts), kind)


def test_at_least_one_case_is_made_wrong_and_one_stays_right(wrong_data: Any) -> None:
    cases = cases_of(wrong_data, [None] * 2, [0, 1])
    with pytest.raises(SystemExit, match=r"0 of 2 cases .* share of 0\.1"):
        injected(wrong_data, cases, "other report", share=0.1)
    sided = [dataclasses.replace(case, told=(0, 0, 2, 3)) for case in cases]
    with pytest.raises(SystemExit, match=r"2 of 2 cases .* share of 1"):
        injected(wrong_data, sided, "swapped sides", share=1.0)
