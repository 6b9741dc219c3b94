"""Report sheets from any program: each row is read as a person sees it, counted, or refused."""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from data_files import Tree
from hypothesis import given, settings
from hypothesis import strategies as st

from lexiseg.data import open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.layouts.csv_table import csv_rows
from lexiseg.data.layouts.sheets import is_placeholder, read_sheet
from lexiseg.errors import DataError
from refusals import refuses

TITLES = ["image", "report"]
ROWS = [["a.png", "Left, upper."], ["b.png", 'A "thin" line; wide.'], ["c.png", "Two\nlines."]]
SENTENCES = {row[0]: row[1] for row in ROWS}


def workbook(path: Path, rows: list[list[Any]], change: Callable[[Any], object] | None = None) -> Path:
    """Write rows below the titles into an Excel file."""
    book = openpyxl.Workbook()
    for row in [TITLES, *rows]:
        book.active.append(row)
    if change is not None:
        change(book.active)
    book.save(path)
    return path


def as_csv(separator: str, end: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [TITLES, *ROWS]
    )
    return text.getvalue()


@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_endings_and_separators(tmp_path: Path, mark: str, end: str, separator: str) -> None:
    text = as_csv(separator, end).replace("thin", "th\u00efn")
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    marks["utf-32-le"] = codecs.BOM_UTF32_LE
    path = tmp_path / "reports.csv"
    path.write_bytes(marks.get(mark, b"") + text.encode(mark))
    wanted = {name: sentence.replace("thin", "th\u00efn") for name, sentence in SENTENCES.items()}
    assert read_sheet(path).rows == wanted


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("image,report\na.png,l\u00e4sion\n".encode("cp1252"), "LEX-DATA-041"),
        ("image,report\na.png,x\n".encode("utf-16-le"), "LEX-DATA-042"),
        (b'image,report\na.png,"no end\n', "LEX-DATA-042"),
        (b'image,report\na.png,"x" y\n', "LEX-DATA-042"),
        (b"image,report\na.png,Left, upper.\n", "LEX-DATA-703"),
        (b"image,report,Report\na.png,x,y\n", "LEX-DATA-705"),
        (b"", "LEX-DATA-043"),
        (b"\n\n", "LEX-DATA-043"),
    ],
)
def test_files_that_cannot_be_read_for_certain(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes(content)
    with refuses(code, "reports.csv"):
        read_sheet(path)


@pytest.mark.parametrize(
    "text",
    [
        "image,report\na.png,One.,\nb.png,Two.,,\n",
        "image,report,\na.png,One.\nb.png,Two.\n",
        "sep=;\nimage;report\na.png;One.\nb.png;Two.\n",
        "\n , \nimage, report\na.png, One.\n\nb.png, Two.\n,\n",
        'image;report\na.png;"One."\n"b.png";Two.\n',
    ],
)
def test_what_programs_add_does_not_shift_columns(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(text)
    sheet = read_sheet(path)
    assert sheet.rows == {"a.png": "One.", "b.png": "Two."}
    assert (sheet.faults, sheet.left_out) == ((), ())


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text("ab_1", min_size=1, max_size=4),
            st.text(st.sampled_from('ab ,;\t"\n\r\u00e4'), max_size=8),
        ),
        max_size=5,
    ),
    separator=st.sampled_from(",;\t"),
)
def test_rows_of_the_csv_module_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], separator: str
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([TITLES, *rows])
    found = [row.cells for row in csv_rows(path)][1:]
    assert found == [(name, sentence.strip()) for name, sentence in rows]


@pytest.mark.parametrize("encoding", ["cp932", "cp1252"])
def test_the_message_about_another_encoding_guesses_none(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes("image,report\na.png,\u00b1\n".encode(encoding))
    with refuses("LEX-DATA-041", "it is in another encoding. Save it again as CSV in UTF-8"):
        read_sheet(path)


@pytest.mark.parametrize(
    "sign", ["N/A", "n.a.", "NA", "-", "--", "none", "None.", "NULL", "#N/A", "?", "k. A."]
)
def test_placeholders_are_counted_and_no_reports(plain_folder: Tree, sign: str) -> None:
    root = plain_folder("a", "b", "c")
    (root / "reports.csv").write_text(f"image,report\na.png,One.\nb.png,{sign}\nc.png,\n")
    index = open_dataset(root)
    assert [sample.report for sample in sorted(index.samples, key=lambda s: s.id)] == ["One.", None, None]
    (item,) = index.left_out
    assert (item.reason, item.count, item.names) == ("no-sentence", 2, ("c.png", "b.png"))
    assert f"(2: 1 empty, 1 such as {sign!r})" in item.sentence
    assert check_dataset(root).of("left-out") is not None


@pytest.mark.parametrize("sentence", ["None of the lobes.", "No lesion.", "Normal.", "Na+ low", "Clear"])
def test_sentences_are_no_placeholders(sentence: str) -> None:
    assert not is_placeholder(sentence)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,report\na.png,One.\n,Two.\n", ("without an image name", "rows 3")),
        ("image,report\na.png,One.\nb.png\n", ("end before the column 'report'", "rows 3")),
        ("image,report\na.png,One\nand two.\n", ("end before the column 'report'", "rows 3")),
        ("image,report\na.png,One.\na.png,Two.\n", ("a.png two different sentences",)),
    ],
)
def test_rows_are_refused_not_dropped(plain_folder: Tree, text: str, words: tuple[str, ...]) -> None:
    root = plain_folder("a", "b", "c")
    (root / "reports.csv").write_text(text)
    with refuses("LEX-DATA-025", *words):
        open_dataset(root)


@pytest.mark.parametrize(
    ("shown_as", "value", "text"),
    [
        ("0000", 7, "0007"),
        ("0000", 12345, "12345"),
        ('"IMG_"000', 7, "IMG_007"),
        ("000\\_\\x", 7, "007_x"),
        ("00000;-0", 7, "00007"),
        ("General", 7, "7"),
        ("#,##0", 1234, "1234"),
        ("0.00", 7, "7"),
        ("General", 1.5, "1.5"),
        ("@", 7, "7"),
    ],
)
def test_numbers_are_names_as_they_are_shown(tmp_path: Path, shown_as: str, value: float, text: str) -> None:
    def change(sheet: Any) -> None:
        sheet.cell(2, 1).number_format = shown_as

    path = workbook(tmp_path / "reports.xlsx", [[value, "One."]], change)
    assert read_sheet(path).rows == {text: "One."}


@pytest.mark.parametrize("stems", [("0001", "0002", "0010"), ("c_01", "c_02", "c_10")])
def test_lost_zeros_are_an_error(plain_folder: Tree, stems: tuple[str, ...]) -> None:
    root = plain_folder(*stems)
    lost = [stem.replace("_0", "_").lstrip("0") for stem in stems]
    (root / "reports.csv").write_text("image,report\n" + "".join(f"{name},One.\n" for name in lost))
    with refuses("LEX-DATA-025", "without leading zeros", lost[0], stems[0]):
        open_dataset(root)
    (root / "reports.csv").unlink()
    (root / "cases.csv").write_text("image,patient\n" + "".join(f"{name},p\n" for name in lost))
    with refuses("LEX-DATA-702", "without leading zeros", lost[0], stems[0]):
        open_dataset(root)


def merge(cells: str) -> Callable[[Any], object]:
    return lambda sheet: sheet.merge_cells(cells)


def put(cell: str, value: object) -> Callable[[Any], object]:
    return lambda sheet: sheet.__setitem__(cell, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (merge("A2:A3"), ("cells A2:A3", "merged")),
        (merge("B2:B4"), ("cells B2:B4", "merged")),
        (merge("A3:B3"), ("cells A3:B3", "merged")),
        (put("A3", "=CONCAT(1,2)"), ("cells A3", "without a stored value")),
        (put("B3", "=A2"), ("cells B3", "without a stored value")),
        (put("A3", date(2024, 2, 1)), ("cells A3", "dates")),
        (put("A3", 12345678901234567890), ("cells A3", "15 digits")),
        (put("B3", "#REF!"), ("cells B3", "failed")),
    ],
)
def test_cells_that_do_not_hold_what_a_person_sees(
    tmp_path: Path, change: Callable[[Any], object], words: tuple[str, ...]
) -> None:
    path = workbook(tmp_path / "reports.xlsx", [["a", "One."], ["b", "Two."], ["c", "Three."]], change)
    faults = " ".join(read_sheet(path).faults)
    assert all(word in faults for word in words), faults


def test_cells_of_other_columns_do_not_matter(tmp_path: Path) -> None:
    def change(sheet: Any) -> None:
        sheet["D2"] = "=A1"
        sheet.merge_cells("D3:E4")
        sheet.merge_cells("A1:A1")

    path = workbook(tmp_path / "reports.xlsx", [["a", "One."], ["b", "Two."]], change)
    sheet = read_sheet(path)
    assert (sheet.rows, sheet.faults) == ({"a": "One.", "b": "Two."}, ())


def test_worksheets_are_chosen_by_their_columns_and_named(tmp_path: Path) -> None:
    path = tmp_path / "reports.xlsx"
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    book.active.append(["written by", "A."])
    book.create_sheet("Empty")
    reports = book.create_sheet("Reports")
    for row in (TITLES, ["a", "One."]):
        reports.append(row)
    book.save(path)
    sheet = read_sheet(path)
    assert sheet.rows == {"a": "One."}
    assert [(item.reason, item.names) for item in sheet.left_out] == [("worksheet", ("Notes",))]
    more = book.create_sheet("More")
    for row in (TITLES, ["b", "Two."]):
        more.append(row)
    book.save(path)
    with refuses("LEX-DATA-704", "'Reports', 'More'"):
        read_sheet(path)


def test_further_columns_of_sentences_are_named(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("id,Findings,Report\na,One.,Two.\n")
    sheet = read_sheet(path)
    assert sheet.rows == {"a": "Two."}
    assert [(item.reason, item.names) for item in sheet.left_out] == [("column", ("Findings",))]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0 old Excel"])
def test_files_that_are_no_excel(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "reports.xlsx"
    path.write_bytes(content)
    with refuses("LEX-DATA-706", "reports.xlsx"):
        read_sheet(path)


def test_an_archive_of_zeros_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "reports.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.xml", bytes(60 * 2**20))
    with refuses("LEX-DATA-706", "unpacks to 300 MB"):
        read_sheet(path)


def test_a_cell_far_away_makes_no_endless_table(tmp_path: Path) -> None:
    path = workbook(tmp_path / "reports.xlsx", [["a", "One."]], put("XFD1048576", "x"))
    with refuses("LEX-DATA-706", "reaches to row 1048576"):
        read_sheet(path)


@pytest.mark.parametrize("line", ["sep=", "sep=x", 'sep="'])
def test_a_separator_that_is_none(tmp_path: Path, line: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(f"{line}\nimage,report\na,One.\n")
    with refuses("LEX-DATA-042", "states the separator"):
        read_sheet(path)


def test_cases_csv_of_a_german_excel(plain_folder: Tree) -> None:
    root = plain_folder("a", "b", "c")
    (root / "cases.csv").write_text(
        "image;patient;row_mm;column_mm\na;p1;0.5;0.5\nb;p2;;;\n", encoding="utf-16"
    )
    facts = {sample.id: (sample.patient, sample.spacing_mm) for sample in open_dataset(root).samples}
    assert facts == {"a": ("p1", (0.5, 0.5)), "b": ("p2", None), "c": (None, None)}
    (root / "cases.csv").write_text("image;row_mm;column_mm\na;0,5;0,5\n")
    with refuses("LEX-DATA-037", "columns row_mm and column_mm", "'0,5'", "with a point"):
        open_dataset(root)
    (root / "cases.csv").write_text("image,patient,patient\na,p1,p2\n")
    with pytest.raises(DataError, match="image, patient, patient"):
        open_dataset(root)


@pytest.mark.parametrize("rows", ["", "a.png,\nb.png,N/A\n"])
def test_a_sheet_without_any_sentence_is_said(plain_folder: Tree, rows: str) -> None:
    root = plain_folder(*"abcdef")
    sheet = root / "reports.csv"
    sheet.write_text(f"image,report\n{rows}")
    index = open_dataset(root)
    assert [sample.report for sample in index.samples] == [None] * 6
    said = [text for text in index.assumptions if "holds no sentence" in text]
    assert len(said) == 1
    assert f"{sheet} holds no sentence, so it gives no report to the 6 images" in said[0]
    findings = check_dataset(root)
    assert findings.of("missing-report").count == 6
    assert findings.of("reports-grammar") is None


def test_a_sheet_with_one_sentence_is_not_called_empty(plain_folder: Tree) -> None:
    root = plain_folder(*"abcdef")
    (root / "reports.csv").write_text("image,report\na.png,Left.\n")
    assert not any("holds no sentence" in text for text in open_dataset(root).assumptions)
