"""How much of a data set's report sheets the parser reads: coverage, repairs, and the rows it cannot read.

Usage:
    python benchmarks/report_coverage.py ../shared/data/COVID-Xray [--vocabulary chest] [--show-repairs]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from lexiseg.words.reading.reports import ParsedSheet, parse_sheet
from lexiseg.words.vocabulary import load_vocabulary


def read_rows(path: Path, key: str, text: str) -> dict[str, str]:
    table = pd.read_excel(path) if path.suffix == ".xlsx" else pd.read_csv(path)
    sentences = table[text].fillna("").astype(str)
    # By row and name, since a sheet may name a mask twice.
    return {
        f"row {row + 2}, {name}": s for row, (name, s) in enumerate(zip(table[key], sentences, strict=True))
    }


def print_sheet(name: str, sheet: ParsedSheet, show_repairs: bool) -> None:
    print(
        f"{name}: {len(sheet.descriptions)} rows, {100 * sheet.coverage:.2f} % read in full, "
        f"{len(sheet.repaired)} repaired, {len(sheet.doubtful)} contradict themselves"
    )
    for key, description in sheet.unreadable.items():
        print(f"  not read: {key}: {description.sentence}")
        for problem in description.problems:
            print(f"    {problem}")
    for key, description in sheet.repaired.items() if show_repairs else ():
        repairs = {(r.found, r.meant) for reading in description.readings for r in reading.repairs}
        print(f"  repaired: {key}: " + ", ".join(f"{found} -> {meant}" for found, meant in sorted(repairs)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder searched for sheets (.xlsx, .csv), or one sheet")
    parser.add_argument("--vocabulary", default="chest", help="shipped name or YAML file")
    parser.add_argument("--key", default="Image", help="column with the name of the mask")
    parser.add_argument("--text", default="Description", help="column with the sentence")
    parser.add_argument("--show-repairs", action="store_true", help="also list every repaired row")
    options = parser.parse_args()
    inside = sorted(path for path in options.data.rglob("*") if path.suffix in {".xlsx", ".csv"})
    found = [options.data] if options.data.is_file() else inside
    if not found:
        parser.error(f"no sheets (.xlsx, .csv) in {options.data}")
    vocabulary = load_vocabulary(options.vocabulary)
    for path in found:
        rows = read_rows(path, options.key, options.text)
        print_sheet(str(path), parse_sheet(rows, vocabulary), options.show_repairs)


if __name__ == "__main__":
    main()
