from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lexiseg.data import Sample
from lexiseg.evaluation.scores.case_table import patients_of, read_cases
from lexiseg.evaluation.scores.cases import (
    SIZE_GROUPS,
    ScoredCase,
    case_table,
    count_lesions,
    size_stratum,
    tercile_cuts,
)
from lexiseg.evaluation.scores.metrics import case_metrics
from lexiseg.evaluation.scores.statistics import size_groups
from lexiseg.evaluation.scores.summary import summarise


def case_of(truth_px: int, id: str = "a", patient: str | None = None) -> ScoredCase:
    truth = np.zeros((10, 10), np.uint8)
    truth.flat[:truth_px] = 1
    return ScoredCase(
        sample=Sample(id=id, image=Path("a.png"), mask=None, split="test", patient=patient),
        scores=case_metrics(np.zeros_like(truth), truth, num_classes=2),
        image_px=truth.size,
        lesions=count_lesions(truth),
        retrieved=(),
        confidence=(),
        reference=(),
        agreement=None,
        flagged=False,
    )


def test_lesions_that_touch_at_a_corner_are_one() -> None:
    labels = np.zeros((5, 5), np.uint8)
    labels[0, 0] = labels[1, 1] = 1
    assert count_lesions(labels) == 1
    labels[4, 4] = 2
    assert count_lesions(labels) == 2
    assert count_lesions(np.zeros((5, 5), np.uint8)) == 0


@pytest.mark.parametrize(
    ("truth_px", "stratum"),
    [
        (0, "no lesion"),
        (1, "small"),
        (20, "small"),
        (21, "medium"),
        (40, "medium"),
        (41, "large"),
        (100, "large"),
    ],
)
def test_cut_points_belong_to_the_smaller_stratum(truth_px: int, stratum: str) -> None:
    assert size_stratum(case_of(truth_px), (0.2, 0.4)) == stratum


def test_scores_and_training_group_lesions_alike() -> None:
    cases, cuts = [case_of(px) for px in range(101)], (0.2, 0.4)
    groups = size_groups([case.truth_share for case in cases], cuts)
    assert [size_stratum(case, cuts) for case in cases] == [SIZE_GROUPS[group] for group in groups]
    assert np.bincount(groups).tolist() == [1, 20, 20, 60]


def test_cuts_come_from_lesions_only() -> None:
    assert tercile_cuts([case_of(n) for n in (0, 0, 10, 20, 30, 40)]) == pytest.approx((0.2, 0.3))
    assert tercile_cuts([case_of(0)]) is None
    assert size_stratum(case_of(0), None) == "no lesion"


def test_ids_and_patients_are_read_back_as_they_were(tmp_path: Path) -> None:
    # What tables take for a missing value, formulas, hidden characters, and what looks like their escapes.
    missing = ["NA", "None", "null", "nan", "N/A", "-1", "1e5", "007"]
    odd = [
        "=a",
        "'=a",
        "soft\xadhyphen",
        "\u200emark",
        "bytes\udcff",
        r"soft\xadhyphen",
        r"new\name",
        'a,"b"',
    ]
    ids = [*missing, *odd]
    patients = [*ids[1:], None]
    cases = [case_of(5, id, patient) for id, patient in zip(ids, patients, strict=True)]
    table = case_table(cases, root=tmp_path, vocabulary=None, class_names=("background", "x"), side="image")
    (tmp_path / "cases.csv").write_text(table, "utf-8")
    read = read_cases(tmp_path / "cases.csv")
    assert list(read.index) == ids
    assert patients_of(read) == patients


def test_agreements_are_averaged_over_the_cases_that_have_one() -> None:
    cases = [case_of(5, str(number), patient=f"p{number // 2}") for number in range(6)]
    shares = [1.0, None, 0.5, 0.0, None, None]
    cases = [replace(case, agreement=share) for case, share in zip(cases, shares, strict=True)]
    found = summarise(cases, class_names=("background", "x"), seed=0).agreement
    assert found is not None
    assert found.mean == 0.5
    # Of three patients, one has no case with an agreement.
    assert found.ci95 is not None
    assert summarise(cases[4:], class_names=("background", "x"), seed=0).agreement is None
