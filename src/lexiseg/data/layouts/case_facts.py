"""`cases.csv` of a data set: patient and pixel spacing of single images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.file_names import patients
from lexiseg.data.layouts.csv_table import csv_rows, csv_text
from lexiseg.data.layouts.name_hints import lost_zeros, name_hint
from lexiseg.data.layouts.pairing import find
from lexiseg.data.layouts.scan import some
from lexiseg.data.layouts.table import TableRow
from lexiseg.errors import DataError
from lexiseg.files import write_text
from lexiseg.printable import counted

CASE_FACTS_FILE = "cases.csv"

_IMAGE, _PATIENT, _SPACING, _ORIGINAL = "image", "patient", ("row_mm", "column_mm"), "original"
_COLUMNS = (_IMAGE, _PATIENT, *_SPACING, _ORIGINAL)


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """Facts that `cases.csv` states about one image.

    Attributes:
        patient: Patient id, where known.
        spacing_mm: Pixel spacing (row, column) in millimetres, where known.
        original: Where the image came from, for readers; Lexiseg does not use it.
    """

    patient: str | None = None
    spacing_mm: tuple[float, float] | None = None
    original: str | None = None


def read_case_facts(folder: Path) -> dict[str, CaseFacts]:
    """Read `cases.csv` of a data set; empty where the folder has none.

    Returns:
        Facts per image name, as written there.

    Raises:
        DataError: It cannot be read, has no column of image names or unknown columns, names an image twice,
            or has a spacing that is not a pair of positive numbers.
    """
    path = folder / CASE_FACTS_FILE
    if not path.is_file():
        return {}
    try:
        title_row, *rows = csv_rows(path) or [TableRow(number=1, cells=())]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8: {error}", code="LEX-DATA-031") from error
    titles = [title for title in title_row.cells if title]
    if _IMAGE not in titles or not set(titles) <= set(_COLUMNS) or len(set(titles)) < len(titles):
        raise DataError(
            f"{path} has the columns {', '.join(titles) or '(none)'}; expected {_IMAGE} and any of "
            f"{', '.join(_COLUMNS[1:])}.",
            code="LEX-DATA-032",
        )
    cases: dict[str, CaseFacts] = {}
    for number, cells in ((row.number, row.cells) for row in rows):
        row = {title: cell for title, cell in zip(title_row.cells, cells, strict=False) if title}
        name = row.get(_IMAGE, "")
        if not name or any(cells[len(title_row.cells) :]):
            what = "it has more cells than columns" if name else "its image name is empty"
            raise DataError(
                f"{path}, row {number}: {what}. Its columns are {', '.join(titles)}.", code="LEX-DATA-033"
            )
        if name in cases:
            raise DataError(f"{path} names {name} more than once.", code="LEX-DATA-034")
        cases[name] = _facts(row, path)
    return cases


def write_case_facts(folder: Path, cases: Mapping[str, CaseFacts]) -> None:
    """Write `cases.csv`; columns without any value are left out."""
    columns = [_IMAGE]
    columns += [_PATIENT] if any(facts.patient for facts in cases.values()) else []
    columns += _SPACING if any(facts.spacing_mm for facts in cases.values()) else []
    columns += [_ORIGINAL] if any(facts.original for facts in cases.values()) else []
    rows = [columns]
    for name, facts in sorted(cases.items()):
        row, column = map(str, facts.spacing_mm or ("", ""))
        values = {
            _IMAGE: name,
            _PATIENT: facts.patient or "",
            _SPACING[0]: row,
            _SPACING[1]: column,
            _ORIGINAL: facts.original or "",
        }
        rows.append([values[title] for title in columns])
    write_text(folder / CASE_FACTS_FILE, csv_text(rows), private=False)


@dataclass(frozen=True, kw_only=True)
class MatchedFacts:
    """The facts of `cases.csv` by image.

    Attributes:
        facts: Facts per image stem.
        notes: Notes for the user, one sentence each.
    """

    facts: dict[str, CaseFacts]
    notes: tuple[str, ...] = ()

    def patients(self, stems: Sequence[str], pattern: str | None) -> tuple[list[str | None], str | None]:
        """Return the patient of each image, stated or read from its name, and a note on what was assumed."""
        stated = {stem: facts.patient for stem, facts in self.facts.items() if facts.patient}
        rest = list(dict.fromkeys(stem for stem in stems if stem not in stated))
        ids, note = patients(rest, pattern) if rest else ([], None)
        known = {**dict(zip(rest, ids, strict=True)), **stated}
        return [known[stem] for stem in stems], note


def match_case_facts(cases: Mapping[str, CaseFacts], stems: Sequence[str]) -> MatchedFacts:
    """Find the images that `cases.csv` names.

    Args:
        cases: The result of `read_case_facts`.
        stems: Image names without extension.

    Raises:
        DataError: It names an image twice, or an image name that exists twice, in two splits or data sets, or
            names without the leading zeros of the images.
    """
    counts = Counter(stems)
    facts: dict[str, CaseFacts] = {}
    missing = []
    for name, of_case in cases.items():
        stem = find(name, counts)
        if stem is None:
            missing.append(name)
        elif counts[stem] > 1:
            raise DataError(
                f"{CASE_FACTS_FILE} names {name}, but {counts[stem]} images have that name; give them "
                "different names.",
                code="LEX-DATA-035",
            )
        elif stem in facts:
            raise DataError(
                f"{CASE_FACTS_FILE} names the image {stem} twice, the second time as {name}.",
                code="LEX-DATA-036",
            )
        else:
            facts[stem] = of_case
    lost = lost_zeros(missing, [stem for stem in counts if stem not in facts])
    if lost:
        key, stem = lost[0]
        raise DataError(
            f"{CASE_FACTS_FILE}: names that match an image only without leading zeros ({len(lost)}), such as "
            f"{key} for {stem}. A spreadsheet program took them for numbers: format the column as text, and "
            "restore the zeros.",
            code="LEX-DATA-702",
        )
    hint = name_hint(missing, counts)
    notes = (
        (
            f"{CASE_FACTS_FILE} names {counted(len(missing), 'image that does', 'images that do')} not "
            f"exist: {some(missing)}.{hint}",
        )
        if missing
        else ()
    )
    return MatchedFacts(facts=facts, notes=notes)


def _facts(row: Mapping[str, str], path: Path) -> CaseFacts:
    """Return the facts of one row."""
    steps = [row.get(title, "") for title in _SPACING]
    spacing: tuple[float, float] | None = None
    if any(steps):
        try:
            spacing = (float(steps[0]), float(steps[1]))
        except ValueError:
            spacing = (0.0, 0.0)
        if not all(0 < step < float("inf") for step in spacing):
            raise DataError(
                f"{path}, {row[_IMAGE]}: expected two positive numbers of millimetres in the columns "
                f"{' and '.join(_SPACING)}, got {steps[0]!r} and {steps[1]!r}."
                + (" Write decimals with a point, as in 0.5." if "," in "".join(steps) else ""),
                code="LEX-DATA-037",
            )
    return CaseFacts(
        patient=row.get(_PATIENT) or None,
        spacing_mm=spacing,
        original=row.get(_ORIGINAL) or None,
    )
