"""A table as a CSV file or a worksheet holds it: titles, rows of text, and cells that cannot be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lexiseg.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row.

    Attributes:
        number: Its number in the file as a spreadsheet program shows it; the titles are usually row 1.
        cells: Its cells as text, stripped.
    """

    number: int
    cells: tuple[str, ...]

    def cell(self, column: int) -> str:
        """Return a cell; "" if the row ends before it."""
        return self.cells[column] if column < len(self.cells) else ""


@dataclass(frozen=True, kw_only=True)
class DoubtfulCells:
    """Cells whose text in the file is not what a person sees.

    Attributes:
        name: Their name, such as "A2:A3".
        columns: The columns, from 0.
        reason: The reason with what to do, as a clause after the name.
    """

    name: str
    columns: range
    reason: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        path: Its file.
        worksheet: Name of the worksheet; None for a CSV file.
        titles: The titles of its columns, stripped.
        rows: Its rows below the titles, without empty ones.
        doubtful: Cells whose text is not what a person sees.
    """

    path: Path
    worksheet: str | None = None
    titles: tuple[str, ...] = ()
    rows: tuple[TableRow, ...] = ()
    doubtful: tuple[DoubtfulCells, ...] = ()

    def doubts(self, columns: Iterable[int]) -> list[str]:
        """Return why cells of some columns cannot be trusted, one sentence each kind of reason."""
        wanted = set(columns)
        by_reason: dict[str, list[str]] = {}
        for cells in self.doubtful:
            if wanted & set(cells.columns):
                by_reason.setdefault(cells.reason, []).append(cells.name)
        return [
            f"{self.path}, cells {', '.join(names[:5])}{f' and {len(names) - 5} more' if names[5:] else ''}: "
            f"{reason}"
            for reason, names in by_reason.items()
        ]

    def column(self, title: str) -> int:
        """Return the column with a title, in any letter case.

        Raises:
            DataError: Two columns have it.
        """
        found = [place for place, name in enumerate(self.titles) if simple_title(name) == simple_title(title)]
        if len(found) > 1:
            raise DataError(
                f"{self.path} has {len(found)} columns with the title {title!r}. Keep one of them, or give "
                "them different titles.",
                code="LEX-DATA-705",
            )
        return found[0]


def simple_title(title: str) -> str:
    """Return a title in lower case, with "_" for spaces."""
    return title.strip().lower().replace(" ", "_")
