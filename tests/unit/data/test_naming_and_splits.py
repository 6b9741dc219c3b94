from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.data.dataset_yaml import read_dataset_yaml
from lexiseg.data.layouts.pairing import bare_stem, plain_stem
from lexiseg.data.naming import patients, sources
from lexiseg.data.splits import seeded_split
from refusals import refuses


def test_patients_of_known_and_unknown_names() -> None:
    ids, said = patients(["cxr_s12-e34-r1", "s7-e1", "covid_12", "xs1-e2"], None)
    assert ids == ["s12", "s7", None, None]
    assert said is not None
    assert "(2 of 4 images)" in said
    assert patients(["a", "b"], None) == ([None, None], None)


def test_patients_by_pattern() -> None:
    assert patients(["p1-a", "p2-b"], r"^(p\d)") == (["p1", "p2"], None)
    ids, said = patients(["p1-a", "x"], r"^(p\d)")
    assert ids == ["p1", None]
    assert said == "The patient pattern of dataset.yaml matches 1 of 2 image names."


def test_sources_only_where_a_few_cover_the_data() -> None:
    assert sources(["cxr_1", "covid-2", "CXR_3"]) == ["cxr", "covid", "cxr"]
    assert sources(["cxr_1", "123", "b"]) == [None, None, None]
    letters = "abcdefghi"
    assert sources([f"{letter}_1" for letter in letters]) == [None] * 9
    assert sources([f"{letter}_1" for letter in letters[:8]]) == list(letters[:8])


@pytest.mark.parametrize(
    ("name", "plain", "bare"),
    [
        ("mask_X.webp", "mask_X", "X"),
        ("X_mask.PNG", "X_mask", "X"),
        ("ISIC_1_segmentation.png", "ISIC_1_segmentation", "ISIC_1"),
        ("sub/X.v2.png", "X.v2", "X.v2"),
        ("X.v2", "X.v2", "X.v2"),
        ("masked.png", "masked", "masked"),
    ],
)
def test_stems(name: str, plain: str, bare: str) -> None:
    assert plain_stem(name) == plain
    assert bare_stem(name) == bare


@given(
    st.lists(st.integers(min_value=0, max_value=40), min_size=3, max_size=150),
    st.integers(min_value=0, max_value=1000),
)
def test_seeded_split_keeps_groups_whole_and_no_split_empty(groups: list[int], seed: int) -> None:
    by_image = {f"i{number}": f"g{group}" for number, group in enumerate(groups)}
    if len(set(groups)) < 3:
        with refuses("LEX-DATA-095", "at least 3 patients"):
            seeded_split(by_image, seed=seed)
        return
    splits = seeded_split(by_image, seed=seed)
    assert splits.keys() == by_image.keys()
    assert set(splits.values()) == {"train", "val", "test"}
    seen: dict[str, str] = {}
    for image, group in by_image.items():
        assert seen.setdefault(group, splits[image]) == splits[image]
    assert seeded_split(dict(reversed(by_image.items())), seed=seed) == splits


def test_one_large_group_leaves_no_split_empty() -> None:
    by_image = {f"i{number}": "large" for number in range(98)} | {"a": "a", "b": "b"}
    for seed in range(20):
        assert set(seeded_split(by_image, seed=seed).values()) == {"train", "val", "test"}


def test_seeded_split_shares_and_seeds() -> None:
    by_image = {f"i{number}": f"i{number}" for number in range(200)}
    first, second = seeded_split(by_image, seed=0), seeded_split(by_image, seed=1)
    assert Counter(first.values()) == {"train": 140, "val": 30, "test": 30}
    assert first != second


def test_a_pattern_that_never_ends_is_stopped() -> None:
    with refuses("LEX-DATA-776", "simpler"):
        patients(["a" * 80 + "!"], "(a|aa)+$")


@pytest.mark.parametrize("pattern", ["(a{99999999999})", "(" * 400 + "a" + ")" * 99, "(" + "a" * 600 + ")"])
def test_patterns_that_cannot_be_used(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "dataset.yaml").write_text(f"patient: '{pattern}'", encoding="utf-8")
    with refuses("LEX-DATA-008", "patient"):
        read_dataset_yaml(tmp_path)
