import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from data_files import Tree, save_image, save_mask

from lexiseg.data import open_dataset
from lexiseg.data.layouts import plain_folders
from lexiseg.errors import DataError
from refusals import refuses


def write_csvs(root: Path, **rows: list[tuple[str, str, str]]) -> None:
    for split, of_split in rows.items():
        table = pd.DataFrame(of_split, columns=["dataset", "img_name", "mask_name"])
        table.to_csv(root / f"{split}_data.csv", index=False)


def test_published_layout(published_folder: Path) -> None:
    data = open_dataset(published_folder)
    assert data.layout == "published"
    assert [sample.split for sample in data.samples] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    sample = data.split("val")[0]
    assert sample.id == "cxr_s00002-e1-r1"
    assert sample.mask == published_folder / "Val_Folder" / "labelcol" / "mask_cxr_s00002-e1-r1.png"
    assert sample.report == "Unilateral pulmonary infection, one infected area, middle left lung."
    assert (sample.patient, sample.source) == ("s00002", "cxr")
    assert data.class_names == ("background", "lesion")
    assert data.assumptions == (
        "Patient ids are read from file names such as cxr_s00000-e1-r1 (6 of 6 images).",
    )


def test_published_layout_with_csv_lower_case_columns_and_masks_named_as_images(
    published_folder: Path,
) -> None:
    folder = published_folder / "Val_Folder"
    table = pd.read_excel(folder / "Val_text.xlsx")
    (folder / "Val_text.xlsx").unlink()
    table["Image"] = table["Image"].str.removeprefix("mask_").str.removesuffix(".png")
    table.rename(columns={"Image": "image ", "Description": "REPORT"}).to_csv(
        folder / "text.csv", index=False
    )
    for mask in (folder / "labelcol").iterdir():
        mask.rename(mask.with_name(mask.name.removeprefix("mask_")))
    data = open_dataset(published_folder)
    assert all(sample.report and sample.mask for sample in data.split("val"))


def test_published_layout_without_sheet_has_no_reports(published_folder: Path) -> None:
    for sheet in published_folder.glob("*/*.xlsx"):
        sheet.unlink()
    assert all(sample.report is None for sample in open_dataset(published_folder).samples)


def test_excel_lock_files_are_no_sheets(published_folder: Path) -> None:
    (published_folder / "Val_Folder" / "~$Val_text.xlsx").write_bytes(b"lock")
    assert open_dataset(published_folder).split("val")[0].report


def test_two_sheets_are_not_guessed_between(published_folder: Path) -> None:
    (published_folder / "Val_Folder" / "other.csv").write_text("Image,Description\n")
    with refuses("LEX-DATA-025", "several sheets (Val_text.xlsx,"):
        open_dataset(published_folder)


def test_sheet_without_columns_lists_those_it_has(published_folder: Path) -> None:
    path = published_folder / "Val_Folder" / "Val_text.xlsx"
    pd.DataFrame({"Key": ["a"], "Words": ["b"]}).to_excel(path, index=False)
    with refuses("LEX-DATA-025", "'Key', 'Words'; expected"):
        open_dataset(published_folder)


def test_sheet_that_fits_no_image_is_an_error(published_folder: Path) -> None:
    path = published_folder / "Val_Folder" / "Val_text.xlsx"
    pd.DataFrame({"Image": ["x.png"], "Description": ["b"]}).to_excel(path, index=False)
    with refuses("LEX-DATA-025", "for example, x.png"):
        open_dataset(published_folder)


def test_broken_sheets_are_errors(published_folder: Path) -> None:
    path = published_folder / "Val_Folder" / "Val_text.xlsx"
    path.write_bytes(b"PK no zip")
    with refuses("LEX-DATA-025", "Val_text.xlsx cannot be"):
        open_dataset(published_folder)
    path.unlink()
    (path.parent / "text.csv").write_bytes("Image,Description\nmask_x,l\xe4sion\n".encode("latin-1"))
    with refuses("LEX-DATA-025", "text.csv is not UTF-8 text"):
        open_dataset(published_folder)


def test_key_with_two_sentences_is_an_error(published_folder: Path) -> None:
    path = published_folder / "Val_Folder" / "Val_text.xlsx"
    table = pd.read_excel(path)
    twice = pd.concat([table, table.assign(Description="Another sentence.")])
    twice.to_excel(path, index=False)
    with refuses("LEX-DATA-025", "mask_cxr_s00002-e1-r1.png two"):
        open_dataset(published_folder)
    pd.concat([table, table]).to_excel(path, index=False)
    assert len(open_dataset(published_folder).split("val")) == 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_separators_and_byte_order_mark(plain_folder: Tree, separator: str) -> None:
    root = plain_folder("a", "b", "c")
    text = f"name{separator}caption\na{separator}One thing.\n"
    (root / "reports.csv").write_text(text, encoding="utf-8-sig")
    reports = {sample.id: sample.report for sample in open_dataset(root).samples}
    assert reports == {"a": "One thing.", "b": None, "c": None}


def test_seeded_split_by_patient_is_written_down(plain_folder: Tree) -> None:
    stems = [f"cxr_s{patient:03d}-e{exam}-r1" for patient in range(20) for exam in (1, 2)]
    root = plain_folder(*stems)
    data = open_dataset(root, seed=5)
    counts = [len(data.split(split)) for split in ("train", "val", "test")]
    assert counts == [28, 6, 6]
    for patient in {sample.patient for sample in data.samples}:
        assert len({sample.split for sample in data.samples if sample.patient == patient}) == 1
    assert any(
        "split by patient with seed 5 (28 train, 6 val, 6 test), written to" in a for a in data.assumptions
    )
    written = json.loads((root / "splits.json").read_text())
    assert written["seed"] == 5
    assert sorted(written["test"]) == sorted(sample.id for sample in data.split("test"))
    # Once written it holds, whatever the seed.
    again = open_dataset(root, seed=99)
    assert again.samples == data.samples
    assert not any("seed" in assumption for assumption in again.assumptions)


def test_images_without_a_mask_are_in_the_training_split(plain_folder: Tree) -> None:
    stems = [f"cxr_s{patient:03d}-e{exam}-r1" for patient in range(20) for exam in (1, 2)]
    root = plain_folder(*stems)
    lacking = {"s001", "s004", "s007", "s011", "s015"}
    for patient in lacking:
        (root / "masks" / f"cxr_{patient}-e1-r1.png").unlink()
    for seed in range(10):
        (root / "splits.json").unlink(missing_ok=True)
        data = open_dataset(root, seed=seed, allow_missing_masks=True)
        assert all(sample.mask for split in ("val", "test") for sample in data.split(split))
        assert {sample.patient for sample in data.split("train")} > lacking
        assert not {sample.patient for sample in data.split("val") + data.split("test")} & lacking
        assert any("images without a mask are training images" in said for said in data.assumptions)


def test_the_note_on_images_without_a_mask_is_one_sentence(plain_folder: Tree) -> None:
    root = plain_folder(*"abcdefgh")
    (root / "masks" / "c.png").unlink()
    notes = open_dataset(root, allow_missing_masks=True).assumptions
    assert any("one by one, as no patient is known (images without a mask are" in note for note in notes)


def test_names_of_masks_that_fit_no_image_do_not_change_the_split(plain_folder: Tree) -> None:
    root = plain_folder(*(f"cxr_s{patient:03d}-e1-r1" for patient in range(20)))
    open_dataset(root)
    splits = root / "splits.json"
    whole = splits.read_text()
    splits.unlink()
    for path in sorted((root / "masks").iterdir())[:10]:
        path.rename(path.with_name(f"wrong_{path.name}"))
    with refuses("LEX-DATA-027", "10 of 20"):
        open_dataset(root)
    assert splits.read_text() == whole


def test_split_in_a_folder_that_cannot_be_written(
    plain_folder: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plain_folder("a", "b", "c", "d")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    data = open_dataset(root)
    assert any("is not writable, so the same split is made again" in said for said in data.assumptions)
    assert open_dataset(root).samples == data.samples


def test_split_json_with_endings_and_left_out_images(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c", "d")
    (root / "splits.json").write_text('{"train": ["a.png"], "val": ["b"], "test": ["mask_c.png"]}')
    data = open_dataset(root)
    assert [(sample.id, sample.split) for sample in data.samples] == [
        ("a", "train"),
        ("b", "val"),
        ("c", "test"),
    ]
    assert any("1 image is not listed" in said and "d.png" in said for said in data.assumptions)


def test_split_json_with_usual_names_of_splits(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "splits.json").write_text('{"Training": ["a"], "valid": ["b"], "TEST": ["c"], "left_out": ["a"]}')
    data = open_dataset(root)
    assert [(sample.id, sample.split) for sample in data.samples] == [
        ("a", "train"),
        ("b", "val"),
        ("c", "test"),
    ]
    assert not data.left_out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('{"train": ["a"], "val": ["b"], "valid": ["c"]}', 'two lists for one split, "val" and "valid"'),
        ("[]", "must hold lists of image names"),
        ('{"train": "a"}', "must hold lists of image names"),
        ('{"train": ["a"], "val": ["a"]}', "names a in two splits, train and val"),
        (
            '{"train": ["mask_a"], "test": ["a.png"]}',
            "one image, as mask_a and as a.png, in two splits, train",
        ),
        ('{"train": ["a", "zz"]}', "names 1 image that does not exist: zz"),
    ],
)
def test_bad_splits_json(plain_folder: Tree, content: str, message: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "splits.json").write_text(content)
    with pytest.raises(DataError, match=message):
        open_dataset(root)


def test_a_pattern_that_joins_too_many_images_is_named(plain_folder: Tree) -> None:
    root = plain_folder("ca", "cb", "cc")
    (root / "dataset.yaml").write_text("patient: '(c)'\n")
    with pytest.raises(DataError, match="of 1 patient into") as caught:
        open_dataset(root)
    assert "or with `patient` in dataset.yaml" in str(caught.value)
    assert "without a known patient" not in str(caught.value)


def test_too_few_patients_to_split(plain_folder: Tree) -> None:
    root = plain_folder("cxr_s1-e1-r1", "cxr_s1-e2-r1", "cxr_s2-e1-r1")
    with refuses("LEX-DATA-025", "Cannot split 3"):
        open_dataset(root)
    assert not (root / "splits.json").exists()


@pytest.mark.parametrize("outer", [True, False])
def test_split_subfolders(tmp_path: Path, outer: bool) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        where = [f"{split}/images", f"{split}/masks"] if outer else [f"images/{split}", f"masks/{split}"]
        save_image(tmp_path / where[0] / f"a{seed}.png", seed)
        save_mask(tmp_path / where[1] / f"a{seed}_mask.png")
        if outer:
            (tmp_path / split / "reports.csv").write_text(f"image,report\na{seed}.png,Sentence {seed}.\n")
    if not outer:
        pd.DataFrame({"id": ["a0", "a1", "a2"], "text": [f"Sentence {i}." for i in range(3)]}).to_excel(
            tmp_path / "reports.xlsx", index=False
        )
    data = open_dataset(tmp_path)
    assert [(sample.id, sample.split, sample.report) for sample in data.samples] == [
        ("a0", "train", "Sentence 0."),
        ("a1", "val", "Sentence 1."),
        ("a2", "test", "Sentence 2."),
    ]
    assert not (tmp_path / "splits.json").exists()


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("names", [("Train", "Val", "Test"), ("training", "valid", "TESTING")])
def test_split_subfolders_in_any_case_and_with_usual_names(
    tmp_path: Path, names: tuple[str, ...], outer: bool
) -> None:
    for seed, split in enumerate(names):
        where = [f"{split}/Images", f"{split}/MASKS"] if outer else [f"Images/{split}", f"MASKS/{split}"]
        save_image(tmp_path / where[0] / f"a{seed}.png", seed)
        save_mask(tmp_path / where[1] / f"a{seed}_mask.png")
    data = open_dataset(tmp_path)
    assert [(sample.id, sample.split) for sample in data.samples] == [
        ("a0", "train"),
        ("a1", "val"),
        ("a2", "test"),
    ]
    assert all(sample.mask is not None for sample in data.samples)
    assert not data.left_out


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize(
    ("named", "counts"), [("validation", (3, 1, 1)), ("test", (3, 1, 1)), ("train", (1, 0, 0))]
)
def test_images_beside_the_folder_of_a_split(
    plain_folder: Tree, outer: bool, named: str, counts: tuple[int, ...]
) -> None:
    root = plain_folder(*"abcd")
    save_image(root / (f"{named}/images" if outer else f"images/{named}") / "e.png", 5)
    save_mask(root / (f"{named}/masks" if outer else f"masks/{named}") / "e.png")
    data = open_dataset(root)
    assert tuple(len(data.split(split)) for split in ("train", "val", "test")) == counts
    assert next(sample for sample in data.samples if sample.id == "e").split == named.removesuffix("idation")
    assert bool(data.left_out) == (named == "train")


def test_a_folder_of_test_images_alone_needs_no_split(tmp_path: Path) -> None:
    save_image(tmp_path / "test" / "images" / "a.png", 1)
    save_mask(tmp_path / "test" / "masks" / "a.png")
    (tmp_path / "splits.json").write_text('{"train": ["b"]}')
    assert [sample.split for sample in open_dataset(tmp_path).samples] == ["test"]


def test_the_layout_of_many_files_is_looked_for_without_a_look_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(99):
        (tmp_path / f"{number}.png").touch()
    asked = []
    is_dir = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: asked.append(path) or is_dir(path))
    assert not plain_folders.LAYOUT.matches(tmp_path)
    assert len(asked) < 20


def test_published_folders_in_any_case(published_folder: Path) -> None:
    (published_folder / "Train_Folder" / "img").rename(published_folder / "Train_Folder" / "IMG")
    (published_folder / "Train_Folder" / "labelcol").rename(published_folder / "Train_Folder" / "LabelCol")
    (published_folder / "Val_Folder").rename(published_folder / "validation_folder")
    data = open_dataset(published_folder)
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [2, 2, 2]


def test_of_two_folders_the_one_with_the_exact_name_is_read(plain_folder: Tree) -> None:
    root = plain_folder(*"abc")
    save_image(root / "Images" / "other.png", 9)
    data = open_dataset(root)
    assert {sample.id for sample in data.samples} == set("abc")
    assert [item.reason for item in data.left_out] == ["other-folder"]


def test_cotexnet_csvs(tmp_path: Path) -> None:
    for seed, stem in enumerate(("a", "b", "c")):
        save_image(tmp_path / "kvasir" / "images" / f"{stem}.jpg", seed)
        save_mask(tmp_path / "kvasir" / "masks" / f"2CH_{stem}.png")
    rows = {
        split: [("kvasir", f"{stem}.jpg", f"2CH/{stem}.png")]
        for split, stem in zip(("train", "val", "test"), "abc", strict=True)
    }
    rows["train"].append(("isic", "x.jpg", "x.png"))
    write_csvs(tmp_path, **rows)
    data = open_dataset(tmp_path)
    assert data.layout == "csvs"
    assert [(s.id, s.split, s.source) for s in data.samples] == [
        ("a", "train", "kvasir"),
        ("b", "val", "kvasir"),
        ("c", "test", "kvasir"),
    ]
    assert any("isic (1 row)" in said for said in data.assumptions)


def test_cotexnet_csvs_of_two_data_sets_and_flat_folders(tmp_path: Path) -> None:
    for name in ("kvasir", "isic"):
        save_image(tmp_path / name / "images" / "a.png", 1)
        save_mask(tmp_path / name / "masks" / "a.png")
    write_csvs(tmp_path, train=[("kvasir", "a.png", "a.png"), ("isic", "a.png", "a.png")])
    data = open_dataset(tmp_path)
    assert [sample.id for sample in data.samples] == ["isic/a", "kvasir/a"]
    shutil.move(tmp_path / "kvasir" / "images", tmp_path / "images")
    shutil.move(tmp_path / "kvasir" / "masks", tmp_path / "masks")
    write_csvs(tmp_path, train=[("kvasir", "a.png", "a.png")])
    assert [sample.id for sample in open_dataset(tmp_path).samples] == ["a"]


def test_cotexnet_csv_errors(tmp_path: Path) -> None:
    write_csvs(tmp_path, train=[("kvasir", "a.png", "a.png")])
    with refuses("LEX-DATA-025", "kvasir/images"):
        open_dataset(tmp_path)
    save_image(tmp_path / "kvasir" / "images" / "b.png", 0)
    with refuses("LEX-DATA-026", "a.png"):
        open_dataset(tmp_path)
    write_csvs(tmp_path, train=[("kvasir", "b.png", "b.png")] * 2)
    with refuses("LEX-DATA-025", "names kvasir/b.png twice"):
        open_dataset(tmp_path)
    (tmp_path / "train_data.csv").write_text("image,mask\na,b\n")
    with refuses("LEX-DATA-025", "dataset, img_name, mask_name"):
        open_dataset(tmp_path)


def test_cotexnet_csvs_name_no_folder_outside_of_the_data_set(tmp_path: Path) -> None:
    save_image(tmp_path / "other" / "images" / "a.png", 0)
    save_mask(tmp_path / "other" / "masks" / "a.png")
    (tmp_path / "set").mkdir()
    for name in ("../other", str(tmp_path / "other")):
        write_csvs(tmp_path / "set", train=[(name, "a.png", "a.png")])
        with refuses("LEX-DATA-025", "no folder here"):
            open_dataset(tmp_path / "set")


def test_missing_masks_are_listed_with_their_number(plain_folder: Tree) -> None:
    root = plain_folder(*"abcdefgh")
    for stem in "abcdefg":
        (root / "masks" / f"{stem}.png").unlink()
    with refuses("LEX-DATA-027", ".png and 2 more"):
        open_dataset(root)
    data = open_dataset(root, allow_missing_masks=True)
    assert sum(sample.mask is None for sample in data.samples) == 7
    (root / "masks" / "h.png").unlink()
    with refuses("LEX-DATA-028", "no image of", "has a mask (8 images)"):
        open_dataset(root, allow_missing_masks=True)


def test_missing_masks_beside_masks_without_image_are_wrong_names(plain_folder: Tree) -> None:
    root = plain_folder(*"abcd")
    (root / "masks" / "a.png").rename(root / "masks" / "elsewhere.png")
    with refuses("LEX-DATA-029", "no mask for 1 of 4 images", "1 mask belongs to no image"):
        open_dataset(root, allow_missing_masks=True)


def test_double_names_are_errors(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    save_mask(root / "masks" / "mask_a.png")
    with refuses("LEX-DATA-025", "a.png: a.png and mask_a.png"):
        open_dataset(root)
    (root / "masks" / "mask_a.png").unlink()
    save_image(root / "images" / "a.jpg", 3)
    with refuses("LEX-DATA-025", "a.jpg and a.png"):
        open_dataset(root)


def test_an_image_whose_own_name_looks_like_a_mask(plain_folder: Tree) -> None:
    data = open_dataset(plain_folder("mask_a", "a", "b"))
    assert {sample.id: sample.mask.name for sample in data.samples if sample.mask} == {
        "mask_a": "mask_a.png",
        "a": "a.png",
        "b": "b.png",
    }


def test_names_with_dots_and_other_files(plain_folder: Tree) -> None:
    root = plain_folder("a.v1", "a.v2", "b")
    (root / "images" / "Thumbs.db").write_bytes(b"x")
    (root / "images" / ".hidden.png").write_bytes(b"x")
    (root / "reports.csv").write_text("image,text\na.v2,Second.\n")
    data = open_dataset(root)
    assert sorted(sample.id for sample in data.samples) == ["a.v1", "a.v2", "b"]
    assert [sample.id for sample in data.samples if sample.report] == ["a.v2"]


def test_the_same_name_in_two_splits_gets_two_ids(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "val")):
        save_image(tmp_path / split / "images" / "a.png", seed)
        save_mask(tmp_path / split / "masks" / "a.png")
    assert [sample.id for sample in open_dataset(tmp_path).samples] == ["train/a", "val/a"]


def test_a_sheet_shared_by_splits_tells_them_apart(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "val")):
        save_image(tmp_path / split / "images" / "a.png", seed)
        save_mask(tmp_path / split / "masks" / "a.png")
    (tmp_path / "reports.csv").write_text("image,report\nval/images/a.png,V.\ntrain/masks/mask_a.png,T.\n")
    assert [sample.report for sample in open_dataset(tmp_path).samples] == ["T.", "V."]
    (tmp_path / "reports.csv").write_text("image,report\na.png,T.\n")
    with refuses("LEX-DATA-025", "The row a.png of"):
        open_dataset(tmp_path)


def test_reports_of_another_data_set_are_not_attached(tmp_path: Path) -> None:
    save_image(tmp_path / "kvasir" / "images" / "a.png", 1)
    save_mask(tmp_path / "kvasir" / "masks" / "a.png")
    write_csvs(tmp_path, train=[("kvasir", "a.png", "a.png"), ("isic", "a.png", "a.png")])
    (tmp_path / "reports.csv").write_text("image,report\nkvasir/a.png,Mine.\nisic/a.png,Other.\n")
    assert [sample.report for sample in open_dataset(tmp_path).samples] == ["Mine."]
    (tmp_path / "reports.csv").write_text("image,report\nisic/a.png,Other.\n")
    with refuses("LEX-DATA-025", "for example, isic/a.png"):
        open_dataset(tmp_path)


def test_two_sentences_for_one_image_are_an_error(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "reports.csv").write_text("image,report\na.png,One.\nmask_a.png,One.\n")
    assert open_dataset(root).samples
    (root / "reports.csv").write_text("image,report\na.png,One.\nmask_a.png,Two.\n")
    with refuses("LEX-DATA-025", "'Two.'"):
        open_dataset(root)


def test_two_sheets_that_differ_are_an_error(tmp_path: Path) -> None:
    save_image(tmp_path / "train" / "images" / "a.png", 1)
    save_mask(tmp_path / "train" / "masks" / "a.png")
    (tmp_path / "train" / "reports.csv").write_text("image,report\na.png,One.\n")
    (tmp_path / "reports.csv").write_text("image,report\na.png,Two.\n")
    with refuses("LEX-DATA-025", "a.png has two"):
        open_dataset(tmp_path)


def test_folders_without_a_layout(tmp_path: Path) -> None:
    with refuses("LEX-DATA-021", "not exist; expected"):
        open_dataset(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with refuses("LEX-DATA-022", "is a file; expected the folder"):
        open_dataset(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with refuses("LEX-DATA-023", "one of: Train_Folder"):
        open_dataset(tmp_path / "empty")
    (tmp_path / "empty" / "images").mkdir()
    with refuses("LEX-DATA-024", "layout 'folders' but"):
        open_dataset(tmp_path / "empty")
    with refuses("LEX-DATA-030", "holds empty/, file.", f"Did you mean {tmp_path / 'empty'}?"):
        open_dataset(tmp_path)
    (tmp_path / "second" / "images").mkdir(parents=True)
    with refuses("LEX-DATA-030", f"of its own: {tmp_path / 'empty'}, {tmp_path / 'second'}."):
        open_dataset(tmp_path)
    shutil.rmtree(tmp_path / "second")
    shutil.rmtree(tmp_path / "empty")
    with refuses("LEX-DATA-030", "holds file. Expected"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("stem", ["a", "c"])
def test_a_corrupt_image_is_left_to_those_who_read_it(plain_folder: Tree, stem: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "splits.json").write_text('{"train": ["a"], "val": ["b"], "test": ["c"]}')
    (root / "images" / f"{stem}.png").write_bytes(b"x")
    assert len(open_dataset(root).samples) == 3


def test_test_images_are_not_asked_for_assumptions(plain_folder: Tree) -> None:
    from PIL import Image

    root = plain_folder("a", "b", "c")
    Image.fromarray(np.zeros((32, 40, 4), np.uint8)).save(root / "images" / "c.png")
    (root / "splits.json").write_text('{"train": ["a"], "val": ["b"], "test": ["c"]}')
    assert not any("drawn on black" in said for said in open_dataset(root).assumptions)


def test_a_corrupt_mask_is_named_before_training(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "splits.json").write_text('{"train": ["a", "b"], "test": ["c"]}')
    (root / "masks" / "b.png").write_bytes(b"")
    with refuses("LEX-DATA-013", "masks/b.png"):
        open_dataset(root)


def test_test_masks_do_not_decide_the_coding(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c", value=1)
    save_mask(root / "masks" / "c.png", value=7)
    (root / "splits.json").write_text('{"train": ["a"], "val": ["b"], "test": ["c"]}')
    assert open_dataset(root).coding.values == (0, 1)


def test_dataset_yaml_is_obeyed(plain_folder: Tree) -> None:
    root = plain_folder("p1_a", "p1_b", "p2_a", "p3_a", value=2)
    (root / "own.yaml").write_text("name: own\n")
    (root / "dataset.yaml").write_text(
        "name: Mine\nvocabulary: own.yaml\nside: patient\nclasses: {0: none, 1: cyst, 2: tumour}\n"
        "spacing_mm: 0.5\nkeyword: tumour area\npatient: '^(p\\d+)_'\n"
    )
    data = open_dataset(root)
    assert (data.name, data.side, data.keyword) == ("Mine", "patient", "tumour area")
    assert data.vocabulary == str(root / "own.yaml")
    assert data.class_names == ("none", "cyst", "tumour")
    assert data.num_classes == 3
    assert {sample.patient for sample in data.samples} == {"p1", "p2", "p3"}
    assert data.samples[0].spacing_mm == (0.5, 0.5)


def test_keywords_per_class(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c", value=2)
    (root / "dataset.yaml").write_text("classes: {0: none, 1: cyst, 2: tumour}\nkeyword: {cyst: cyst area}\n")
    assert open_dataset(root).keyword == {"cyst": "cyst area"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "cannot be read as YAML"),
        ("- a", "must hold fields such as `name: ...`, not a list"),
        ("nam: x", "nam: there is no such field. The fields are: name, vocabulary, side"),
        ("side: left", "side: expected one of image, patient; got 'left'"),
        ("spacing_mm: -1", r"spacing_mm\.0: expected a number above 0; got -1"),
        ("spacing_mm: [1, 2, 3]", "spacing_mm"),
        ("classes: {red: a}", "'red' is neither a whole number nor a colour"),
        ("classes: {background: 0, a: 255}", r"write the value before the name, as in \{255: a\}"),
        ("classes: {-1: a}", "mask value -1 is not in 0..65535"),
        ("keyword: 3", 'expected a word such as "polyp area", or one per class'),
        ("keyword: {a: ' '}\nclasses: {0: b, 255: a}", "keyword: .*one per class"),
        ("keyword: {a: cyst}", r"dataset\.yaml: .*no class 'a'; the classes have no names.*under `classes`"),
        ("keyword: {c: cyst}\nclasses: {0: b, 1: d, 255: a}", "no class 'c'; the classes are d, a"),
        ("keyword: {b: cyst}\nclasses: {0: b, 255: a}", "no class 'b'; the classes are a"),
        ("keyword: {b: cyst}\nclasses: {'#000000': b, '#ffffff': a}", "no class 'b'; the classes are a"),
        ("patient: '('", "is not a regular expression"),
        ("patient: 'abc'", "needs a group around the patient id"),
        ("patient: '^(zz)'", "matches no image name, such as 'a'"),
    ],
)
def test_dataset_yaml_that_cannot_be_used(plain_folder: Tree, content: str, message: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "dataset.yaml").write_text(content)
    with pytest.raises(DataError, match=message):
        open_dataset(root)


def test_an_empty_dataset_yaml_states_nothing(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "dataset.yaml").write_text("# nothing yet\n")
    assert open_dataset(root).name == root.name


def test_images_that_need_assumptions_say_so_once(plain_folder: Tree) -> None:
    from PIL import Image

    root = plain_folder("a", "b", "c")
    for stem in "ab":
        Image.fromarray(np.zeros((32, 40), np.uint16) + 300).save(root / "images" / f"{stem}.png")
    Image.fromarray(np.zeros((32, 40, 4), np.uint8)).save(root / "images" / "c.png")
    said = open_dataset(root).assumptions
    assert sum("more than 8 bits" in text for text in said) == 1
    assert sum("drawn on black" in text for text in said) == 1
