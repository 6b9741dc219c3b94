"""Which split a case goes to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexiseg.data.public.importers.split_choice import SplitRecord, choose_splits
from lexiseg.data.sample import SPLITS, Split
from lexiseg.errors import DataError
from refusals import refuses


def record(
    name: str, patient: str | None = None, split: Split | None = None, digest: str = ""
) -> SplitRecord:
    return SplitRecord(name=name, patient=patient, split=split, digest=digest or name)


def test_a_published_split_is_kept() -> None:
    records = [record("a", "1", "train"), record("b", "2", "val"), record("c", "3", "test")]
    found = choose_splits(records, seed=0, keep_published=False)
    assert found.of == {"a": "train", "b": "val", "c": "test"}
    assert (found.dropped, found.notes) == ([], [])


def test_missing_splits_come_from_train_alone() -> None:
    records = [record(f"t{n}", split="train") for n in range(20)] + [record("x", split="test")]
    found = choose_splits(records, seed=0, keep_published=False)
    assert found.of["x"] == "test"
    assert sum(split == "val" for split in found.of.values()) == 3  # 15 % of 20
    assert found.notes == ["Val was split off train one by one with seed 0, as no patients are known: 3 val."]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (0, "one by one with seed 5, as no patients are known"),
        (3, "by patient (3 of 9 images have one) with seed 5"),
        (9, "by patient with seed 5"),
    ],
)
def test_nobody_claims_patients_that_are_not_known(known: int, said: str) -> None:
    records = [record(str(n), f"p{n}" if n < known else None) for n in range(9)]
    found = choose_splits(records, seed=5, keep_published=False)
    assert found.notes == [f"There is no published split: images were split {said}."]


def test_train_and_val_that_share_patients_are_joined_and_test_is_kept() -> None:
    records = [record(f"{n}", f"p{n % 6}", "val" if n < 3 else "train") for n in range(12)]
    records.append(record("x", "q", "test"))
    found = choose_splits(records, seed=0, keep_published=False)
    assert [name for name, split in found.of.items() if split == "test"] == ["x"]
    assert "share 3 patients" in found.notes[0]
    by_patient = {
        p: {found.of[r.name] for r in records if r.patient == p} for p in {r.patient for r in records}
    }
    assert all(len(splits) == 1 for splits in by_patient.values())


def test_a_test_split_that_shares_patients_is_not_taken() -> None:
    records = [record(f"{n}", f"p{n % 4}", SPLITS[n % 3]) for n in range(12)]
    found = choose_splits(records, seed=0, keep_published=False)
    assert "not used: 4 patients are in test and in another split, such as p0" in found.notes[0]
    kept = choose_splits(records, seed=0, keep_published=True)
    assert kept.of == {r.name: r.split for r in records}
    assert "kept as requested, although 4 patients" in kept.notes[0]


def test_copies_of_an_image_stay_in_the_later_split() -> None:
    records = [record("a", split="train"), record("b", split="train", digest="same")]
    records += [record("c", split="val"), record("d", split="test", digest="same")]
    found = choose_splits(records, seed=0, keep_published=False)
    assert found.dropped == ["b"]
    assert found.of == {"a": "train", "c": "val", "d": "test"}


def test_a_published_test_split_alone_is_an_error() -> None:
    with refuses("LEX-DATA-084", "split exist; expected"):
        choose_splits([record(str(n), split="test") for n in range(9)], seed=0, keep_published=False)


def test_too_few_patients_are_an_error() -> None:
    with refuses("LEX-DATA-095", "at least 3 patients"):
        choose_splits([record("a", "1"), record("b", "1"), record("c", "2")], seed=0, keep_published=False)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 5), st.integers(0, 30), st.sampled_from(SPLITS)),
        min_size=1,
        max_size=30,
    ),
    st.booleans(),
)
def test_nothing_is_ever_shared(drawn: list[tuple[int | None, int, Split]], stated: bool) -> None:
    records = [
        record(str(n), None if p is None else f"p{p}", split if stated else None, digest=f"f{d}")
        for n, (p, d, split) in enumerate(drawn)
    ]
    try:
        found = choose_splits(records, seed=1, keep_published=False)
    except DataError:
        return  # too few patients
    kept = [r for r in records if r.name not in found.dropped]
    assert {r.name for r in kept} == set(found.of)
    assert set(found.of.values()) == set(SPLITS)
    for key in ("patient", "digest"):
        splits: dict[str, set[str]] = {}
        for r in kept:
            if getattr(r, key) is not None:
                splits.setdefault(getattr(r, key), set()).add(found.of[r.name])
        assert all(len(group) == 1 for group in splits.values())
