"""CSV files: reading those of any spreadsheet program, and writing those that Lexiseg reads again."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lexiseg.data.layouts.table import Table, TableRow
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors
from lexiseg.printable import counted, data_cell, text_of_cell

#: Marks at the beginning of a file that tell its encoding; longer ones first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Line in front of the titles by which Excel is told the separator.
_SEPARATOR_LINE = "sep="

_NEEDS_QUOTES = re.compile(r"[,;|\t\n\r\"]|\A\s*\Z")
_SEPARATORS = (",", ";", "\t", "|")
_MAX_BYTES = 64 * 2**20


def csv_rows(path: Path) -> list[TableRow]:
    """Return the rows of a CSV file that hold anything, the title row first.

    The encoding is UTF-8, or the one that a byte order mark states. The separator is the one of ",", ";" and
    tab that the title row holds most often, or the one of a first line "sep=;". The apostrophe that keeps a
    text from being a formula (`printable.cell`) is taken away.

    Raises:
        UnicodeDecodeError: It is in no such encoding.
        ValueError: It is too large, holds zero bytes or quotes that do not end, or states no usual separator.
        OSError: It cannot be read.
        DiskError: Too many files are open.
    """
    text = _text(path)
    separator, skipped = None, 0
    if text.lower().startswith(_SEPARATOR_LINE):
        separator, skipped = text[len(_SEPARATOR_LINE) : len(_SEPARATOR_LINE) + 1], 1
        if separator not in _SEPARATORS:
            raise ValueError(f"its first line states the separator {separator!r}")
        text = text[len(text.splitlines(keepends=True)[0]) :]
    rows = []
    source = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator or _separator(text),
        strict=True,
        skipinitialspace=True,
    )
    try:
        for number, cells in enumerate(source, 1 + skipped):
            stripped = tuple(text_of_cell(cell.strip()) for cell in cells)
            if any(stripped):
                rows.append(TableRow(number=number, cells=stripped))
    except csv.Error as error:
        raise ValueError(f"row {len(rows) + 1 + skipped} or the next: {error}") from error
    return rows


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV that `csv_rows` reads as the same texts, and no spreadsheet program as formulas.

    White space at the ends of a text is lost, and zero bytes become blanks.
    """
    return "".join(f"{','.join(map(_written_cell, row))}\n" for row in rows)


def _written_cell(text: str) -> str:
    text = data_cell(text.replace("\0", " ").strip())
    # Python's writer leaves a carriage return without quotes, which then ends the row.
    return '"{}"'.format(text.replace('"', '""')) if _NEEDS_QUOTES.search(text) else text


def read_csv_table(path: Path) -> Table:
    """Read a CSV file.

    Raises:
        DataError: It is in no known encoding, damaged, or a row has more cells than there are titles.
    """
    try:
        rows = csv_rows(path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): it is in another encoding. "
            "Save it again as CSV in UTF-8, in Excel as 'CSV UTF-8'.",
            code="LEX-DATA-041",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a sheet: {error}.", code="LEX-DATA-042") from error
    if not rows:
        return Table(path=path)
    titles = rows[0].cells
    for row in rows[1:]:
        if any(row.cells[len(titles) :]):
            raise DataError(
                f"{path}, row {row.number}, has {counted(len(row.cells), 'cell')}, but the first row has "
                f"{counted(len(titles), 'title')}. Put a sentence that holds the separator in double quotes.",
                code="LEX-DATA-703",
            )
    return Table(path=path, titles=titles, rows=tuple(rows[1:]))


def _text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        UnicodeDecodeError: It is not in UTF-8, and no byte order mark states another encoding.
        ValueError: It is too large, or holds zero bytes.
        DiskError: Too many files are open.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES // 2**20} MB")
    with open_errors(path):
        content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    text = content.decode(encoding)
    if "\0" in text:
        raise ValueError("it holds zero bytes, as UTF-16 without a byte order mark does; save it in UTF-8")
    return text


def _separator(text: str) -> str:
    """Return the most frequent separator in the first line that is not empty, outside quotes."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    outside = "".join(line.split('"')[::2])
    return max(",;\t", key=outside.count)
