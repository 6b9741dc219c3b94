from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.data.dataset_yaml import read_dataset_yaml
from lexiseg.data.file_names import beginning_pattern, patients, shared_beginnings, sources
from lexiseg.data.layouts.pairing import bare_stem, plain_stem
from lexiseg.data.splits import seeded_split
from refusals import refuses


def test_patients_of_known_and_unknown_names() -> None:
    ids, said = patients(["cxr_s12-e34-r1", "s7-e1", "covid_12", "xs1-e2"], None)
    assert ids == ["s12", "s7", None, None]
    assert said is not None
    assert "(2 of 4 images)" in said
    assert patients(["a", "b"], None) == ([None, None], None)
    covid = ["cxr_s08046-e17352-r2", "cxr_s08046-e17353", "cxr_s09000-e1-r1"]
    assert patients(covid, None)[0] == ["s08046", "s08046", "s09000"]


@pytest.mark.parametrize(
    ("form", "patient"),
    [
        ("Patient{p:03d}_slice{k}", "patient{p:03d}"),
        ("siteA_subject-{p}-{k:04d}", "sitea_subject-{p}"),
        ("sub-{p:02d}_ses-1_view{k}", "sub-{p:02d}"),
        ("case_{p:04d}-{k:03d}", "case_{p:04d}"),
        ("pat{p}frame{k}", "pat{p}"),
        ("patient{p}_case{k}_img1", "patient{p}"),
        ("sub-{p:02d}_case{k}_view1", "sub-{p:02d}"),
        ("siteA_patient{p}_subject{k}_1", "sitea_patient{p}"),
        ("P{p}_{k}", "p{p}"),
    ],
)
def test_patients_of_usual_forms(form: str, patient: str) -> None:
    pairs = [(p, k) for p in range(3) for k in range(4)]
    ids, said = patients([form.format(p=p, k=k) for p, k in pairs], None)
    assert ids == [patient.format(p=p) for p, _ in pairs]
    assert said is not None
    assert "(12 of 12 images)" in said


@pytest.mark.parametrize(
    "stems",
    [
        # One image per number may be a numbering of images.
        ["case_1_a", "case_2_a", "case_3_a"],
        # Nothing tells the images of a patient apart.
        ["patient1", "patient2", "patient3"],
        # The letter counts only if all names have it.
        ["p1_1", "p1_2", "q2_1"],
        ["showcase3_1", "showcase3_2"],
        ["slice1_patient1", "slice2_patient1"],
        # A patient may be behind several cases.
        ["case1_patient3_a", "case1_patient3_b", "case2_patient3_a"],
    ],
)
def test_patients_are_not_guessed(stems: list[str]) -> None:
    assert patients(stems, None) == ([None] * len(stems), None)


@pytest.mark.parametrize(
    ("stems", "starts"),
    [
        (["A17_1", "A17_2", "B20_slice1", "B20_2"], ["A17", "A17", "B20", "B20"]),
        (["20210304-5.1", "20210304-5.2", "x1.1"], None),  # one beginning holds more than half
        (["img_1", "img_2", "scan_1"], None),  # the name of a collection
        (["A17_1", "A17_2", "B20_1", "other"], None),  # not all names have the form
        (["A1_1", "B1_1", "C1_1"], None),  # nothing is shared
        # The shortest beginning that makes many groups.
        (
            [f"study{p}_series{s}_im{k}" for p in range(6) for s in "12" for k in "12"],
            [f"study{p}" for p in range(6) for _ in range(4)],
        ),
        # Two hospitals are too few for patients.
        (
            [f"h{h}_{p}_{k}" for h in "12" for p in range(4) for k in "12"],
            [f"h{h}_{p}" for h in "12" for p in range(4) for _ in "12"],
        ),
        # Radiographs with their view; an exam has one, or several.
        (
            [f"OSK-{p:04d}_{exam}_CXR {view}" for p in range(8) for exam, view in ((1, "PA"), (2, "LAT"))],
            [f"OSK-{p:04d}" for p in range(8) for _ in range(2)],
        ),
        (
            [f"OSK-{p:04d}_1_CXR {view}" for p in range(8) for view in ("PA", "LAT")],
            [f"OSK-{p:04d}" for p in range(8) for _ in range(2)],
        ),
        (["A17_left", "A17_right", "B20_left", "C3_right"], ["A17", "A17", "B20", "C3"]),
        # Six hospitals with a patient per image.
        ([f"h{h}_{p}_pa" for h in range(6) for p in range(20)], None),
        ([f"{p:04d}_benign" for p in range(8)], None),
        (["h1_1_pa", "h1_2_pa", "h2_1_pa", "h2_2_pa"], None),
        ([], None),
    ],
)
def test_shared_beginnings(stems: list[str], starts: list[str] | None) -> None:
    assert shared_beginnings(stems) == (starts or [None] * len(stems))


@pytest.mark.parametrize(
    "stems",
    [
        ["A17_1", "A17_2", "B20_slice_1", "B20_2"],
        ["h1_A17_1", "h1_A17_2", "B20_1", "B20_2"],
        [f"OSK-{p:04d}_{exam}_CXR {view}" for p in range(8) for exam, view in ((1, "PA"), (2, "LAT"))],
        [f"study{p}_series{s}_im{k}" for p in range(6) for s in "12" for k in "12"],
    ],
)
def test_the_pattern_for_shared_beginnings_finds_them(stems: list[str]) -> None:
    starts = shared_beginnings(stems)
    pattern = beginning_pattern(stems, starts)
    assert pattern is not None
    assert patients(stems, pattern) == (starts, None)


def test_beginnings_without_a_pattern() -> None:
    stems = ["h1_A17_slice_1", "h1_A17_2", "B20_1", "B20_2"]
    starts = shared_beginnings(stems)
    assert starts == ["h1_A17", "h1_A17", "B20", "B20"]
    assert beginning_pattern(stems, starts) is None


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
        ("X.seg", "X.seg", "X"),
        ("X.label.png", "X.label", "X"),
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
