"""CSV files that Lexiseg writes for programs: they hold the true texts, and no formulas."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.data.layouts.case_facts import CaseFacts, read_case_facts, write_case_facts
from lexiseg.data.layouts.csv_table import csv_rows, csv_text

TEXTS = [
    "Opacity.\nLeft lung clear.",
    "two\r\nlines\rthree",
    "a\u200b\u00adb",
    "=1+1",
    "'=1+1",
    "''@x",
    'a "quoted", text; with\ttabs | bars',
    "\\n",
    "'quoted",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_as_it_was(text: str, tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(csv_text([("image", "description"), ("a", text)]), newline="")
    assert [row.cells for row in csv_rows(path)] == [("image", "description"), ("a", text)]
    # Another program reads the same, apart from the apostrophe that keeps it from being a formula.
    with open(path, newline="") as file:
        read = list(csv.reader(file))[1][1]
    assert read in (text, f"'{text}")
    assert not read.lstrip().startswith(("=", "+", "-", "@"))


@given(st.lists(st.text(st.sampled_from("'=-+@ \n\r\t,;|\"\\\x85\u2028xn"), min_size=1), min_size=1))
def test_rows_are_read_as_they_were(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(csv_text([("image", "text"), *(("x", text) for text in texts)]), newline="")
    read = [row.cells[1].strip() for row in csv_rows(path)]
    assert read[1:] == [text.strip() for text in texts]


def test_cases_are_read_as_they_were(tmp_path: Path) -> None:
    cases = {
        "a\u200bb": CaseFacts(patient="=1", spacing_mm=(0.1, 1e-05), original="x\ny"),
        "-b": CaseFacts(patient="'-2"),
    }
    write_case_facts(tmp_path, cases)
    assert read_case_facts(tmp_path) == cases
