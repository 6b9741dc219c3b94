"""cases.csv: patients and spacings of single images."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import Tree

from lexiseg.data import open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.layouts.case_facts import CaseFacts, read_case_facts, write_case_facts
from lexiseg.errors import DataError
from refusals import refuses


def test_patients_and_spacings_reach_the_samples(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c", "d", "e")
    (root / "dataset.yaml").write_text("spacing_mm: 0.5\n")
    (root / "cases.csv").write_text(
        "image,patient,row_mm,column_mm\na.png,p1,0.1,0.2\nb,p1,,\nc,p2,0.3,0.4\nd,p3,,\n"
    )
    samples = {sample.id: sample for sample in open_dataset(root).samples}
    assert [samples[name].patient for name in "abcde"] == ["p1", "p1", "p2", "p3", None]
    assert [samples[name].spacing_mm for name in "abcd"] == [(0.1, 0.2), (0.5, 0.5), (0.3, 0.4), (0.5, 0.5)]
    # The split that is made here keeps them together.
    assert samples["a"].split == samples["b"].split


def test_it_wins_over_names_and_patterns(plain_folder: Tree) -> None:
    root = plain_folder("s1-e1", "s2-e1", "s3-e1", "s4-e1")
    (root / "cases.csv").write_text("image,patient\ns1-e1,x\ns2-e1,x\n")
    found = {sample.id: sample.patient for sample in open_dataset(root).samples}
    assert found == {"s1-e1": "x", "s2-e1": "x", "s3-e1": "s3", "s4-e1": "s4"}
    (root / "splits.json").write_text('{"train": ["s1-e1"], "val": ["s2-e1"], "test": ["s3-e1", "s4-e1"]}')
    assert check_dataset(root).of("patient-in-splits") is not None


def test_it_counts_in_the_published_layout_too(published_folder: Path) -> None:
    (published_folder / "cases.csv").write_text("image,row_mm,column_mm\ncxr_s00000-e1-r1,0.14,0.15\n")
    samples = {sample.id: sample for sample in open_dataset(published_folder).samples}
    assert samples["cxr_s00000-e1-r1"].spacing_mm == (0.14, 0.15)
    assert samples["cxr_s00001-e2-r1"].spacing_mm is None
    assert samples["cxr_s00000-e1-r1"].patient == "s00000"


def test_images_that_are_not_there_are_said(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "cases.csv").write_text("image,patient\na,p1\ngone,p2\n")
    assert "cases.csv names 1 image that does not exist: gone." in open_dataset(root).assumptions


def test_a_name_in_two_splits_is_not_guessed(plain_folder: Tree, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        plain_folder("a", root=tmp_path / split)
    (tmp_path / "cases.csv").write_text("image,patient\na,p1\n")
    with refuses("LEX-DATA-035", "3 images have"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient\np1\n", "has the columns patient; expected image and any of patient, row_mm"),
        ("image,age\na,3\n", "has the columns image, age; expected"),
        ("", r"has the columns \(none\)"),
        ("image,patient\na,p1\na,p2\n", "names a more than once"),
        ("image,patient\na.png,p1\na,p2\n", "names the image a twice, the second time as a"),
        ("patient,image\np1\n", "row 2: its image name is empty"),
        ("image,patient\na,p1,p2\n", "row 2: it has more cells than columns"),
        ("image,row_mm,column_mm\na,0.1,\n", "two positive numbers .* got '0.1' and ''"),
        ("image,row_mm,column_mm\na,0,1\n", "two positive numbers"),
        ("image,row_mm,column_mm\na,nan,1\n", "two positive numbers"),
        ("image,row_mm,column_mm\na,x,1\n", "two positive numbers"),
    ],
)
def test_faulty_files(plain_folder: Tree, text: str, message: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "cases.csv").write_text(text)
    with pytest.raises(DataError, match=rf"cases\.csv.*{message}"):
        open_dataset(root)


def test_not_utf8(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "cases.csv").write_bytes(b"image,patient\na,\xff\xfe\n")
    with refuses("LEX-DATA-031", "cannot be read as CSV in UTF-8"):
        open_dataset(root)


def test_written_and_read_again(tmp_path: Path) -> None:
    cases = {
        "a": CaseFacts(patient="p, 1", spacing_mm=(0.123456789, 2.0), original='x "y"/z.nii slice 3'),
        "b": CaseFacts(),
    }
    write_case_facts(tmp_path, cases)
    assert read_case_facts(tmp_path) == cases
    write_case_facts(tmp_path, {"a": CaseFacts(patient="p")})
    assert (tmp_path / "cases.csv").read_text() == "image,patient\na,p\n"


def test_no_cell_is_a_formula_and_each_is_read_as_it_was(tmp_path: Path) -> None:
    cases = {
        "-a": CaseFacts(patient="=1+1", original="@SUM(A1)/x.nii"),
        "b": CaseFacts(patient="+7", original="x"),
    }
    write_case_facts(tmp_path, cases)
    text = (tmp_path / "cases.csv").read_text("utf-8")
    assert text == "image,patient,original\n'-a,'=1+1,'@SUM(A1)/x.nii\nb,'+7,x\n"
    assert read_case_facts(tmp_path) == cases
