"""The published COVID-Xray folder, and its three sheets read by the shipped chest grammar."""

import os
from pathlib import Path

import pandas as pd
import pytest

from lexiseg.data import open_dataset
from lexiseg.words.reading.reports import ParsedSheet, parse_sheet
from lexiseg.words.reading.sentence_groups import choose_vocabulary
from lexiseg.words.vocabulary import load_vocabulary

SHEETS = ("Train_Folder/Train_text.xlsx", "Val_Folder/Val_text.xlsx", "Test_Folder/Test_text.xlsx")


@pytest.fixture(scope="module")
def rows(shared_dir: Path) -> dict[str, dict[str, str]]:
    """Sentences per sheet, by row: the sheets name some masks twice."""
    folder = shared_dir / "data" / "COVID-Xray"
    if not folder.is_dir():
        pytest.skip(f"needs the data set, not found at {folder}")
    sentences = {name: pd.read_excel(folder / name)["Description"] for name in SHEETS}
    return {name: {str(row): text for row, text in enumerate(sheet)} for name, sheet in sentences.items()}


def parsed(rows: dict[str, dict[str, str]], name: str) -> ParsedSheet:
    return parse_sheet(rows[name], load_vocabulary("chest"))


@pytest.mark.parametrize("name", SHEETS)
def test_coverage(rows: dict[str, dict[str, str]], name: str) -> None:
    sheet = parsed(rows, name)
    assert len(sheet.descriptions) == len(rows[name]) > 1000
    assert sheet.coverage >= 0.999, [d.sentence for d in sheet.unreadable.values()]


def test_unreadable_rows_say_why(rows: dict[str, dict[str, str]]) -> None:
    unreadable = parsed(rows, SHEETS[0]).unreadable.values()
    assert {d.problems for d in unreadable} == {
        ("Left lung: not stated", "'all lung' does not say which region is meant"),
        ("Left lung: 'all lower left lung' fits no phrase",),
    }


def test_training_sheet_is_read_right(rows: dict[str, dict[str, str]]) -> None:
    """Compare with a reading that splits the clean sentences of this one sheet by hand."""
    zones = ("upper", "middle", "lower")
    orders = (("upper",), ("middle",), ("lower",), zones[:2], ("upper", "lower"), zones[1:], zones)
    wrong = []
    for description in parsed(rows, SHEETS[0]).descriptions.values():
        if -1 in description.indices:
            continue
        laterality, count, places = description.sentence.rstrip(".").split(", ")
        found = dict.fromkeys(("left", "right"), 7)
        for place in places.split(" and "):
            *words, side, _ = place.split()
            found[side] = orders.index(zones if words == ["all"] else tuple(words))
        expected = (
            int(laterality.startswith("unilateral")),
            int(not count.startswith("one ")),
            found["left"],
            found["right"],
        )
        if description.indices != expected:
            wrong.append(description.sentence)
    assert wrong == []


def test_the_chest_grammar_is_chosen(rows: dict[str, dict[str, str]]) -> None:
    chosen = choose_vocabulary(list(rows[SHEETS[1]].values()))
    assert chosen is not None
    assert chosen.name == "chest"


@pytest.mark.skipif(os.name == "nt", reason="file names differ in case only")
def test_the_published_folder_is_one_data_set(shared_dir: Path) -> None:
    data = open_dataset(shared_dir / "data" / "COVID-Xray")
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [5713, 1429, 1065]
    assert all(sample.report for sample in data.samples)
    assert {sample.source for sample in data.samples} == {"cxr", "covid"}
    assert data.coding.values == (0, 255)
