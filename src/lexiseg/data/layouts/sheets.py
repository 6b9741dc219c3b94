"""Report sheets: an Excel or CSV file with one column of image or mask names and one of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.layouts.csv_table import read_csv_table
from lexiseg.data.layouts.excel_table import read_excel_tables
from lexiseg.data.layouts.scan import some
from lexiseg.data.layouts.table import Table, simple_title
from lexiseg.data.omissions import Omission
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

#: What stands in a cell instead of a sentence, in lower case without spaces and dots.
_PLACEHOLDERS = frozenset(
    {"n/a", "#n/a", "na", "nan", "none", "null", "nil", "-", "--", "---", "\u2013", "\u2014", "?", "/", "."}
    | {"notavailable", "noreport", "missing", "tbd", "ka", "k/a"}
)

_SUFFIXES = (".xlsx", ".csv")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A report sheet.

    Attributes:
        path: Its file.
        rows: Sentence per key, both stripped; rows without a sentence are left out.
        faults: Reasons why it cannot be used, one sentence each: keys with two different sentences, sentences
            without a key, merged cells, ...
        left_out: What it holds, but is not used: rows without a sentence, further worksheets and columns.
    """

    path: Path
    rows: dict[str, str]
    faults: tuple[str, ...] = ()
    left_out: tuple[Omission, ...] = ()


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


def read_sheet(path: Path) -> Sheet:
    """Read a report sheet.

    Raises:
        DataError: It cannot be read, has no column of names or of sentences (the message lists its columns),
            or has two such columns or worksheets.
    """
    table, others = _report_table(path)
    key_title, text_title = _title(table, KEY_COLUMNS), _title(table, TEXT_COLUMNS)
    if key_title is None or text_title is None:
        raise DataError(
            f"{path} has the columns {', '.join(map(repr, table.titles)) or '(none)'}; expected one with "
            f"image or mask names ({', '.join(KEY_COLUMNS)}) and one with sentences "
            f"({', '.join(TEXT_COLUMNS)}). Give the two columns such titles.",
            code="LEX-DATA-043",
        )
    key, text = table.column(key_title), table.column(text_title)
    found = _Rows()
    for row in table.rows:
        found.add(row.cell(key), row.cell(text), number=row.number, ends_early=len(row.cells) <= text)
    return Sheet(
        path=path,
        rows=found.sentences,
        faults=(*table.doubts((key, text)), *found.faults(path, text_title)),
        left_out=(*others, *_other_columns(table, text_title), *found.left_out(path)),
    )


def is_placeholder(sentence: str) -> bool:
    """Return whether a cell holds no sentence but a sign that there is none, such as "N/A"."""
    return sentence.lower().replace(" ", "").replace("n.a.", "na").rstrip(".") in _PLACEHOLDERS or (
        sentence.lower().replace(" ", "").replace(".", "") in _PLACEHOLDERS
    )


@dataclass
class _Rows:
    """The rows read so far."""

    sentences: dict[str, str] = field(default_factory=dict)
    differing: list[tuple[str, str, str]] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    placeholders: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, sentence: str, *, number: int, ends_early: bool) -> None:
        """Take one row."""
        if not name:
            if sentence:
                self.nameless.append(str(number))
        elif ends_early:
            self.short.append(str(number))
        elif not sentence:
            self.empty.append(name)
        elif is_placeholder(sentence):
            self.placeholders[name] = sentence
        elif self.sentences.setdefault(name, sentence) != sentence:
            self.differing.append((name, self.sentences[name], sentence))

    def faults(self, path: Path, title: str) -> list[str]:
        """Return why the rows cannot be used, one sentence each."""
        faults = [
            f"{path} gives {name} two different sentences: {first!r} and {second!r}."
            for name, first, second in self.differing
        ]
        if self.nameless:
            faults.append(
                f"{path} has sentences without an image name (rows {some(self.nameless)}). Write the name of "
                "the image into each row, and all sentences of an image into one cell."
            )
        if self.short:
            faults.append(
                f"{path} has rows that end before the column {title!r} (rows {some(self.short)}). Put "
                "sentences with line breaks in double quotes, and write empty cells with their separator."
            )
        return faults

    def left_out(self, path: Path) -> list[Omission]:
        """Return the rows without a sentence."""
        names = [*self.empty, *self.placeholders]
        if not names:
            return []
        kinds = [f"{len(self.empty)} empty"] if self.empty else []
        if self.placeholders:
            kinds.append(f"{len(self.placeholders)} such as {next(iter(self.placeholders.values()))!r}")
        return [
            Omission.of(
                "no-sentence",
                names,
                f"Rows of {path} without a sentence ({len(names)}: {', '.join(kinds)}): {some(names)}. These "
                "rows are no reports.",
            )
        ]


def _report_table(path: Path) -> tuple[Table, list[Omission]]:
    """Return the table with the reports, and the worksheets that are not read.

    Raises:
        DataError: The file cannot be read, or several worksheets have columns of names and sentences.
    """
    if path.suffix.lower() == ".csv":
        return read_csv_table(path), []
    tables = read_excel_tables(path)
    if not tables:
        return Table(path=path), []
    fitting = [table for table in tables if _title(table, KEY_COLUMNS) and _title(table, TEXT_COLUMNS)]
    if len(fitting) > 1:
        several = ", ".join(repr(table.worksheet) for table in fitting)
        raise DataError(
            f"{path} has several worksheets with names and sentences ({several}). Keep one of them, or save "
            "each as a file of its own.",
            code="LEX-DATA-704",
        )
    chosen = fitting[0] if fitting else tables[0]
    names = [table.worksheet or "" for table in tables if table is not chosen]
    if not names:
        return chosen, []
    sentence = (
        f"Worksheets of {path} that are not read ({len(names)}): {some(names)}. Reports are read from "
        f"{chosen.worksheet!r}."
    )
    return chosen, [Omission.of("worksheet", names, sentence)]


def _title(table: Table, known: Sequence[str]) -> str | None:
    """Return the first known title that the table has, as it is written there."""
    titles = {simple_title(title): title for title in table.titles}
    return next((titles[name] for name in known if name in titles), None)


def _other_columns(table: Table, used: str) -> Iterable[Omission]:
    """Return further columns of sentences."""
    names = [
        title
        for title in table.titles
        if simple_title(title) in TEXT_COLUMNS and simple_title(title) != simple_title(used)
    ]
    if names:
        yield Omission.of(
            "column",
            names,
            f"Columns of {table.path} that are not read ({len(names)}): {some(names)}. Sentences are read "
            f"from {used!r}; to use another column, give it this title.",
        )
