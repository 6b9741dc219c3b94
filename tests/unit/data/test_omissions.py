"""What a data set holds, but is not used, is counted by reason and said; names pair across systems."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from data_files import Tree, save_image, save_mask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from refusals import refuses


def reasons(index: DatasetIndex) -> dict[str, int]:
    """Return the count per reason; each is said once, with its count."""
    for item in index.left_out:
        said = [text for text in index.assumptions if text == item.sentence]
        assert len(said) == 1
        assert str(item.count) in item.sentence
        assert item.names
        assert any(item.names[0] in text for text in said)
    return {item.reason: item.count for item in index.left_out}


#: Reports that a vocabulary reads, of the training and the validation image, and of none.
REPORTS = "id,text\n" + "".join(
    f"{name},Unilateral pulmonary infection; one infected area; lower left lung.\n" for name in "abz"
)


def split_evenly(root: Path, stems: str) -> None:
    names = list(stems)
    (root / "splits.json").write_text(
        f'{{"train": ["{names[0]}"], "val": ["{names[1]}"], "test": ["{names[2]}"]}}'
    )


@pytest.mark.parametrize(
    ("make", "reason", "count", "named"),
    [
        (lambda root: save_image(root / "images" / "siteB" / "x.png", 9), "subfolder", 1, "siteB"),
        (lambda root: save_mask(root / "masks" / "a" / "b" / "x.png"), "subfolder", 1, "masks/a"),
        (lambda root: save_image(root / "more" / "x.png", 9), "other-folder", 1, "more (1)"),
        (lambda root: save_image(root / "siteC" / "images" / "x.png", 9), "other-folder", 1, "siteC"),
        (lambda root: (root / "images" / "x.gif").write_bytes(b"GIF"), "ending", 1, "1 .gif"),
        (lambda root: (root / "masks" / "a").write_bytes(b"?"), "ending", 1, "without ending"),
        (lambda root: (root / "images" / "x.png").symlink_to("nowhere.png"), "broken-link", 1, "x.png"),
        (lambda root: (root / "images" / "x.png").symlink_to("x.png"), "broken-link", 1, "x.png"),
        (lambda root: save_mask(root / "masks" / "x.png"), "orphan-mask", 1, "x.png"),
        (lambda root: (root / "report.csv").write_text("image,text\na,B.\n"), "table", 1, "report.csv"),
        (lambda root: (root / "Befunde.xlsx").write_bytes(b"PK"), "table", 1, "Befunde.xlsx"),
        (lambda root: (root / "reports.xls").write_bytes(b"x"), "table", 1, "reports.xls"),
        (lambda root: (root / "reports.tsv").write_text("x"), "table", 1, "reports.tsv"),
        (lambda root: (root / "images" / "reports.csv").write_text("x"), "table", 1, "images/reports.csv"),
        (lambda root: (root / "reports.csv").write_text(REPORTS), "orphan-report", 1, "z"),
        (lambda root: save_image(root / "images" / "d.png", 9), "unlisted", 1, "d.png"),
    ],
)
def test_each_reason_is_counted_and_named(
    plain_folder: Tree, make: object, reason: str, count: int, named: str
) -> None:
    root = plain_folder("a", "b", "c")
    split_evenly(root, "abc")
    make(root)  # type: ignore[operator]
    index = open_dataset(root, allow_missing_masks=True)
    assert len(index.samples) == 3
    assert reasons(index) == {reason: count}
    assert any(named in text for text in index.assumptions)
    report = check_dataset(root)
    own = {"orphan-mask": "orphan-mask", "orphan-report": "orphan-report"}
    finding = report.of(own.get(reason, "left-out"))
    assert finding is not None
    assert (finding.severity, finding.count) == ("warning", count)
    assert not report.has_errors


def test_nothing_is_said_of_files_that_are_used_or_belong_to_the_system(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    split_evenly(root, "abc")
    (root / "reports.csv").write_text("image,text\na,B.\n")
    (root / "dataset.yaml").write_text("name: x\n")
    (root / "cases.csv").write_text("image,patient\na,p\n")
    (root / "README.md").write_text("x")
    for name in ("Thumbs.db", ".DS_Store", "._a.png", ".x.csv"):
        (root / "images" / name).write_bytes(b"x")
    save_image(root / "run" / "test" / "figure.png", 1)
    (root / "run" / "run.json").write_text("{}")
    assert open_dataset(root).left_out == ()


def test_links_to_files_and_folders_are_followed(tmp_path: Path, plain_folder: Tree) -> None:
    store = plain_folder("a", "b", root=tmp_path / "store")
    root = tmp_path / "data"
    (root / "masks").mkdir(parents=True)
    (root / "images").symlink_to(store / "images")
    save_image(store / "images" / "c.png", 3)
    for name in "abc":
        save_mask(store / "masks" / f"{name}.png")
        (root / "masks" / f"{name}.png").symlink_to(store / "masks" / f"{name}.png")
    index = open_dataset(root)
    assert [sample.id for sample in sorted(index.samples, key=lambda s: s.id)] == ["a", "b", "c"]
    assert index.left_out == ()


@pytest.mark.parametrize("target", [".", "..", "../images", "../.."])
def test_a_link_to_a_folder_above_ends(plain_folder: Tree, target: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "images" / "loop").symlink_to(target)
    (root / "loop").symlink_to(".")
    index = open_dataset(root)
    assert len(index.samples) == 3
    assert index.left_out == ()


def test_images_beside_the_folders_of_splits(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        save_image(tmp_path / "images" / split / f"{split}.png", seed)
        save_mask(tmp_path / "masks" / split / f"{split}.png")
    save_image(tmp_path / "images" / "x.png", 7)
    save_mask(tmp_path / "masks" / "x.png")
    save_image(tmp_path / "images" / "valid" / "y.png", 8)
    index = open_dataset(tmp_path)
    assert reasons(index) == {"beside-splits": 2, "subfolder": 1}
    assert any("images/valid (1)" in text for text in index.assumptions)


def test_the_published_layout_counts_too(published_folder: Path) -> None:
    save_image(published_folder / "Val_Folder" / "img" / "more" / "x.png", 1)
    save_mask(published_folder / "Test_Folder" / "labelcol" / "mask_zz.png")
    (published_folder / "reports.csv").write_text("image,text\n")
    assert reasons(open_dataset(published_folder)) == {"subfolder": 1, "table": 1, "orphan-mask": 1}


def test_missing_masks_name_what_may_be_them(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    shutil.move(root / "masks" / "a.png", root / "masks" / "A.png")
    with refuses("LEX-DATA-027", "upper and lower case", "A.png"):
        open_dataset(root)
    (root / "masks" / "A.png").rename(root / "masks" / "a.gif")
    with refuses("LEX-DATA-027", "1 .gif"):
        open_dataset(root)


def test_a_folder_of_unread_formats_only_says_so(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.heic").write_bytes(b"x")
    with refuses("LEX-DATA-024", "1 .heic"):
        open_dataset(tmp_path)


FORMS = st.sampled_from(["NFC", "NFD"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=FORMS, mask=FORMS, sheet=FORMS, split=FORMS)
def test_names_pair_in_any_unicode_form(
    tmp_path: Path, image: str, mask: str, sheet: str, split: str
) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    names = ["M\u00fcller", "\u00c5sa", "Ren\u00e9"]
    listed = []
    for seed, name in enumerate(names):
        save_image(tmp_path / "images" / f"{unicodedata.normalize(image, name)}.png", seed)
        save_mask(tmp_path / "masks" / f"{unicodedata.normalize(mask, name)}_mask.png")
        listed.append(unicodedata.normalize(split, name))
    rows = "".join(f"{unicodedata.normalize(sheet, name)}.png,One {i}.\n" for i, name in enumerate(names))
    (tmp_path / "reports.csv").write_text("image,report\n" + rows, encoding="utf-8")
    (tmp_path / "splits.json").write_text(
        f'{{"train": ["{listed[0]}"], "val": ["{listed[1]}"], "test": ["{listed[2]}"]}}', encoding="utf-8"
    )
    index = open_dataset(tmp_path)
    assert [(sample.id, sample.report) for sample in index.samples] == [
        (name, f"One {i}.") for i, name in enumerate(names)
    ]
    assert index.left_out == ()


def test_the_longest_names_are_read(tmp_path: Path) -> None:
    for seed, letter in enumerate("abc"):
        stem = letter * (255 - len("_mask.png"))
        save_image(tmp_path / "images" / f"{stem}.png", seed)
        save_mask(tmp_path / "masks" / f"{stem}_mask.png")
    assert len(open_dataset(tmp_path).samples) == 3
    assert not check_dataset(tmp_path).has_errors


def write_csvs(root: Path, name: str) -> None:
    for split, stem in zip(("train", "val", "test"), "abc", strict=True):
        row = "s," + name.format(kind="images", stem=stem) + "," + name.format(kind="masks", stem=stem)
        (root / f"{split}.csv").write_text(f"dataset,img_name,mask_name\n{row}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("{stem}.png", False),
        ("{kind}\\{stem}.png", False),
        ("{kind}/{stem}.png", False),
        ("D:\\work\\{kind}\\{stem}.png", True),
        ("\\\\server\\share\\{stem}.png", True),
        ("/home/anna/{kind}/{stem}.png", True),
    ],
)
def test_csvs_from_any_system(plain_folder: Tree, name: str, foreign: bool) -> None:
    root = plain_folder("a", "b", "c")
    write_csvs(root, name)
    index = open_dataset(root)
    assert [sample.id for sample in index.samples] == ["a", "b", "c"]
    assert any("another machine (6)" in text for text in index.assumptions) is foreign


def test_csvs_that_name_a_file_of_another_folder_are_refused(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    write_csvs(root, "other/{stem}.png")
    with refuses("LEX-DATA-026", "other/a.png"):
        open_dataset(root)


@pytest.mark.parametrize("folder", ["C:\\Users\\anna\\", "/mnt/study/", "\\\\nas\\x\\"])
def test_sheets_from_another_machine(plain_folder: Tree, folder: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "reports.csv").write_text(
        "image,report\n" + "".join(f"{folder}{stem}.png,{stem.upper()}.\n" for stem in "abc")
    )
    index = open_dataset(root)
    assert sorted(sample.report or "" for sample in index.samples) == ["A.", "B.", "C."]
    assert any("another machine (3)" in text for text in index.assumptions)


def test_images_of_a_patient_stay_in_one_split_and_the_claim_is_true(tmp_path: Path) -> None:
    def made(form: str) -> tuple[dict[str, set[str]], DatasetIndex]:
        root = tmp_path / str(len(os.listdir(tmp_path)))
        for place, (p, k) in enumerate((p, k) for p in range(8) for k in range(3)):
            save_image(root / "images" / (form.format(p=p, k=k) + ".png"), place)
            save_mask(root / "masks" / (form.format(p=p, k=k) + ".png"))
        index = open_dataset(root)
        splits: dict[str, set[str]] = {}
        for sample in index.samples:
            splits.setdefault(sample.id[:3], set()).add(sample.split)
        return splits, index

    splits, index = made("p{p:02d}_{k}")
    assert all(len(of_patient) == 1 for of_patient in splits.values())
    assert {sample.patient for sample in index.samples} == {f"p{p:02d}" for p in range(8)}
    assert "images were split by patient with" in index.assumptions[0]

    splits, index = made("x{p:02d}_{k}")
    assert all(len(of_start) == 1 for of_start in splits.values())
    assert {sample.patient for sample in index.samples} == {None}
    assert "by the beginning of their names, as no patient is known, with seed 0" in index.assumptions[0]
    (unsure,) = (text for text in index.assumptions if "Patients are not known" in text)
    assert "x00 (3 images); beginnings in more than one split: 0." in unsure
    finding = check_dataset(index.root).of("patient-unknown")
    assert finding is not None
    assert (finding.severity, finding.message) == ("warning", unsure)

    root = tmp_path / "two"
    for place, stem in enumerate(("a1_1", "a1_2", "b1_1", "b1_2")):
        save_image(root / "images" / f"{stem}.png", place)
        save_mask(root / "masks" / f"{stem}.png")
    assert "one by one, as no patient is known" in open_dataset(root).assumptions[0]

    _, index = made("img_{p}{k}")
    assert "one by one, as no patient is known" in index.assumptions[0]
    assert not any("by patient" in text for text in index.assumptions)
