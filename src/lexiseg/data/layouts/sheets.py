"""Report sheets: an Excel or CSV file with one column of image or mask names and one of sentences."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lexiseg.data.left_out import LeftOut
from lexiseg.errors import DataError

#: Accepted column titles, in lower case with spaces as "_"; the first one present is used.
KEY_COLUMNS = (
    "image",
    "mask",
    "name",
    "file",
    "filename",
    "file_name",
    "image_name",
    "img_name",
    "mask_name",
    "id",
)
TEXT_COLUMNS = ("description", "report", "text", "sentence", "caption", "findings")

_SUFFIXES = (".xlsx", ".csv")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A report sheet.

    Attributes:
        path: Its file.
        rows: Sentence per key, both stripped; rows without a sentence are left out.
        faults: Reasons why it cannot be used, one sentence each: keys with two different sentences.
        notes: What was assumed, one sentence each.
        left_out: What it holds, but is not used.
    """

    path: Path
    rows: dict[str, str]
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def find_sheet(folder: Path, *, stem: str | None = None) -> Path | None:
    """Return the report sheet in a folder: the only .xlsx or .csv file (named `stem`, if that is given).

    Raises:
        DataError: There are several sheets.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES
        and not path.name.startswith((".", "~$"))
        and (stem is None or path.stem.lower() == stem)
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(
            f"{folder} holds several sheets ({names}); keep the one with the reports of its images.",
            code="LEX-DATA-040",
        )
    return found[0] if found else None


def read_table(path: Path) -> pd.DataFrame:
    """Read an .xlsx or .csv file as text, empty cells as "".

    Raises:
        DataError: It is damaged, or not UTF-8.
    """
    try:
        if path.suffix.lower() == ".csv":
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=_separator(path)
            )
        else:
            table = pd.read_excel(path, dtype=str, keep_default_na=False, engine="openpyxl")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as CSV in UTF-8.",
            code="LEX-DATA-041",
        ) from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, pd.errors.ParserError) as error:
        raise DataError(f"{path} cannot be read as a sheet: {error}", code="LEX-DATA-042") from error
    table.columns = [str(column).strip() for column in table.columns]
    return table


def _separator(path: Path) -> str:
    """Return the most frequent separator in the title line of a CSV."""
    with path.open(encoding="utf-8-sig") as file:
        title = file.readline()
    return max(",;\t", key=title.count)


def read_sheet(path: Path) -> Sheet:
    """Read a report sheet.

    Raises:
        DataError: It cannot be read, or has no column of names or of sentences; the message lists its
            columns.
    """
    table = read_table(path)
    titles = {column.lower().replace(" ", "_"): column for column in table.columns}
    key = next((titles[name] for name in KEY_COLUMNS if name in titles), None)
    text = next((titles[name] for name in TEXT_COLUMNS if name in titles), None)
    if key is None or text is None:
        raise DataError(
            f"{path} has the columns {', '.join(map(repr, table.columns)) or '(none)'}; expected one with "
            f"image or mask names ({', '.join(KEY_COLUMNS)}) and one with sentences "
            f"({', '.join(TEXT_COLUMNS)}).",
            code="LEX-DATA-043",
        )
    rows: dict[str, str] = {}
    faults = []
    for name, sentence in zip(table[key].str.strip(), table[text].str.strip(), strict=True):
        if not name or not sentence:
            continue
        if rows.get(name, sentence) != sentence:
            faults.append(f"{path} gives {name} two different sentences: {rows[name]!r} and {sentence!r}.")
        rows.setdefault(name, sentence)
    return Sheet(path=path, rows=rows, faults=tuple(faults))
