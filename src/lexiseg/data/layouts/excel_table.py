"""Reading of Excel files: each cell as a spreadsheet program shows it, or not at all."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl

from lexiseg.data.layouts.table import DoubtfulCells, Table, TableRow
from lexiseg.errors import DataError
from lexiseg.open_files import too_many_open

#: An unpacked file may not be larger: a small file can hold gigabytes of zeros.
_MAX_BYTES = 64 * 2**20

#: A workbook may not have more cells, and a worksheet no more places for them: openpyxl takes some 400 bytes
#: for each, and a single cell far from the others makes places for billions.
_MAX_CELLS = 1_000_000

#: A cell format that shows whole numbers with leading zeros, perhaps between fixed text: `0000`, `"IMG_"000`.
_ZEROS = re.compile(r'^((?:"[^"]*"|\\.|[_-])*)#*(0+)((?:"[^"]*"|\\.|[_-])*)$')
_FIXED = re.compile(r'"([^"]*)"|\\(.)|([_-])')

#: Excel stores 15 digits of a number.
_EXACT = 10**15

# Longest part of another package's message that is shown.
_MESSAGE = 300

_MERGED = "they are merged. Split them, and write the image's name and its whole sentence into one row."
_NO_VALUE = "they are formulas without a stored value. Open the file in a spreadsheet program and save it."
_FAILED = "they are formulas that failed. Correct them, or write the values."
_DATE = "they are dates or times. If a name was taken for a date, format the column as text and restore it."
_ROUNDED = "they are numbers of more than 15 digits, which Excel rounds. Format the column as text."


def read_excel_tables(path: Path) -> tuple[Table, ...]:
    """Read the worksheets of an Excel file that hold anything.

    Numbers are shown as their cell format shows them where it states leading zeros, otherwise plain.

    Raises:
        DataError: It is damaged, unpacks to more than 64 MB, or has more than a million cells.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > _MAX_BYTES:
            raise ValueError(f"it unpacks to {size / 2**20:.0f} MB; at most {_MAX_BYTES // 2**20} are read")
        _refuse_many_cells(path)
        book = openpyxl.load_workbook(path)
        for sheet in book.worksheets:
            if sheet.max_row * sheet.max_column > _MAX_CELLS:
                raise ValueError(
                    f"the worksheet {sheet.title!r} reaches to row {sheet.max_row}, column "
                    f"{sheet.max_column}; delete the empty rows and columns behind the data"
                )
        values = openpyxl.load_workbook(path, data_only=True) if _has_formulas(book) else book
        return tuple(
            table
            for sheet in book.worksheets
            if (table := _table(path, sheet, values[sheet.title])) is not None
        )
    # openpyxl raises what its parsers of ZIP, XML, numbers and dates raise; all of it means a damaged file.
    except Exception as error:
        said = " ".join(str(error).split())[:_MESSAGE] or type(error).__name__
        raise too_many_open(path, error) or DataError(
            f"{path} cannot be read as a sheet: {said}", code="LEX-DATA-706"
        ) from error


def _refuse_many_cells(path: Path) -> None:
    """Count the cells in the XML of a workbook, before they take memory.

    Raises:
        ValueError: There are too many.
    """
    cells = 0
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.filename.endswith(".xml"):
                # Formats, texts and cells alike: each element takes memory.
                cells += archive.read(part).count(b"<c")
    if cells > _MAX_CELLS:
        raise ValueError(f"it has about {cells} cells; at most {_MAX_CELLS} are read")


def _has_formulas(book: Any) -> bool:
    return any(
        cell.data_type == "f" for sheet in book.worksheets for row in sheet.iter_rows() for cell in row
    )


def _table(path: Path, sheet: Any, values: Any) -> Table | None:
    """Return a worksheet as a table; None if it is empty.

    Args:
        path: The file.
        sheet: The worksheet with formulas.
        values: The same worksheet with the stored values of formulas.
    """
    rows, doubtful = [], []
    for stored, shown in zip(sheet.iter_rows(), values.iter_rows(), strict=True):
        cells = []
        for cell, value in zip(stored, shown, strict=True):
            text, doubt = _text(cell, value.value)
            cells.append(text.strip())
            if doubt is not None:
                place = cell.column - 1
                doubtful.append(
                    DoubtfulCells(name=cell.coordinate, columns=range(place, place + 1), reason=doubt)
                )
        if any(cells):
            rows.append(TableRow(number=stored[0].row, cells=tuple(cells)))
    if not rows:
        return None
    return Table(
        path=path,
        worksheet=sheet.title,
        titles=rows[0].cells,
        rows=tuple(rows[1:]),
        doubtful=(*_merged(sheet, below=rows[0].number), *doubtful),
    )


def _merged(sheet: Any, *, below: int) -> Iterator[DoubtfulCells]:
    """Yield the merged cells below the title row, in their order."""
    ranges = [cells for cells in sheet.merged_cells.ranges if cells.max_row > below]
    for cells in sorted(ranges, key=lambda cells: (cells.min_row, cells.min_col)):
        yield DoubtfulCells(
            name=str(cells.coord), columns=range(cells.min_col - 1, cells.max_col), reason=_MERGED
        )


def _text(cell: Any, value: object) -> tuple[str, str | None]:
    """Return a cell's text as a spreadsheet program shows it, and why it cannot be trusted.

    Args:
        cell: The cell with its formula.
        value: Its value, or the stored value of its formula.
    """
    if value is None:
        return ("=", _NO_VALUE) if cell.data_type == "f" else ("", None)
    if isinstance(value, bool):
        return str(value).upper(), None
    if isinstance(value, int | float):
        return _number(value, cell.number_format), _ROUNDED if abs(value) >= _EXACT else None
    if isinstance(value, datetime | date | time | timedelta):
        return str(value), _DATE
    text = str(value)
    failed = text.startswith("#") and (cell.data_type == "e" or cell.data_type == "f")
    return text, _FAILED if failed and text.upper() != "#N/A" else None


def _number(value: float, shown_as: str) -> str:
    """Return a number as its cell format shows it where it states leading zeros; otherwise plain."""
    if value != int(value):
        return repr(value)
    match = _ZEROS.match((shown_as or "").split(";")[0])
    if match is None or value < 0:
        return str(int(value))
    return _fixed(match[1]) + str(int(value)).zfill(len(match[2])) + _fixed(match[3])


def _fixed(text: str) -> str:
    """Return the fixed text of a cell format without its quotes and backslashes."""
    return "".join(a or b or c for a, b, c in _FIXED.findall(text))
