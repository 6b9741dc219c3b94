"""How often the report parser is right, unknown and wrong on the sentences in benchmarks/report_sentences.

A cell is one factor of one sentence. Two labellings (labels_a.csv, labels_b.csv) give a phrase or UNKNOWN;
where they differ, both are accepted. A cell is

- right: the parser gives an accepted value;
- unknown: the parser gives UNKNOWN with a reason where a phrase is expected;
- silent: the same, without a reason;
- wrong: the parser gives a phrase where UNKNOWN or another phrase is true.

A hash of the sentence's id divides the sentences into the part "open" (60 %), whose wrong cells are listed,
and the part "held" (40 %), of which only figures are printed: rules are written with the open part alone.

Usage:
    python benchmarks/report_reading.py [--part open]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

FOLDER = Path(__file__).parent / "report_sentences"

Part = Literal["open", "held"]
Outcome = Literal["right", "unknown", "silent", "wrong"]
OUTCOMES: tuple[Outcome, ...] = ("right", "unknown", "silent", "wrong")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One factor of one sentence.

    Attributes:
        id: Id of the sentence.
        part: Its part.
        vocabulary: Name of its vocabulary.
        factor: Name of the factor.
        sentence: The sentence.
        accepted: The labels, "UNKNOWN" or phrases; two where the labellings differ.
        inferred: Whether the phrase follows from the words without being worded.
        read: The phrase the parser gives, or "UNKNOWN".
        outcome: What that is worth.
    """

    id: str
    part: Part
    vocabulary: str
    factor: str
    sentence: str
    accepted: tuple[str, ...]
    inferred: bool
    read: str
    outcome: Outcome


def part_of(key: str) -> Part:
    """Return the part of a sentence: a hash of its id chooses 60 % for "open"."""
    return "open" if int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100 < 60 else "held"


def cells(part: Part | None = None) -> Iterator[Cell]:
    """Read the sentences of a part (None: all) and yield their cells."""
    labels: dict[tuple[str, str], set[str]] = {}
    for name in ("labels_a.csv", "labels_b.csv"):
        for row in _rows(name):
            labels.setdefault((row["id"], row["factor"]), set()).add(row["phrase"])
    inferred = {(row["id"], row["factor"]) for row in _rows("inferred.csv")}
    for row in _rows("sentences.csv"):
        if part not in (None, part_of(row["id"])):
            continue
        description = parse_report(row["sentence"], load_vocabulary(row["vocabulary"]))
        for reading in description.readings:
            accepted = labels[row["id"], reading.factor]
            read = "UNKNOWN" if reading.index == UNKNOWN else reading.phrase or ""
            unknown: Outcome = "unknown" if description.problems else "silent"
            wrong: Outcome = unknown if read == "UNKNOWN" else "wrong"
            yield Cell(
                id=row["id"],
                part=part_of(row["id"]),
                vocabulary=row["vocabulary"],
                factor=reading.factor,
                sentence=row["sentence"],
                accepted=tuple(sorted(accepted)),
                inferred=(row["id"], reading.factor) in inferred,
                read=read,
                outcome="right" if read in accepted else wrong,
            )


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def print_row(name: str, chosen: list[Cell]) -> None:
    """Print one row of the table."""
    counts = Counter(cell.outcome for cell in chosen)
    worded = [cell for cell in chosen if "UNKNOWN" not in cell.accepted and not cell.inferred]
    read = sum(cell.outcome == "right" for cell in worded)
    shares = " | ".join(f"{counts[o]} ({counts[o] / len(chosen):.1%})" for o in OUTCOMES)
    print(f"| {name} | {len(chosen)} | {shares} | {read} of {len(worded)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["open", "held"], help="only this part")
    options = parser.parse_args()
    found = list(cells(options.part))
    print(f"| cells | number | {' | '.join(OUTCOMES)} | worded phrases read |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for part in dict.fromkeys(sorted({cell.part for cell in found}, reverse=True)):
        of_part = [cell for cell in found if cell.part == part]
        print_row(f"{part}: all", of_part)
        for vocabulary in dict.fromkeys(cell.vocabulary for cell in of_part):
            of_vocabulary = [cell for cell in of_part if cell.vocabulary == vocabulary]
            print_row(f"{part}: {vocabulary}", of_vocabulary)
            for factor in dict.fromkeys(cell.factor for cell in of_vocabulary):
                print_row(f"{part}: {vocabulary}, {factor}", [c for c in of_vocabulary if c.factor == factor])
    for cell in found:
        if cell.part == "open" and cell.outcome == "wrong":
            print(
                f"wrong: {cell.id} {cell.factor}: {cell.sentence!r} read as {cell.read}, not {cell.accepted}"
            )


if __name__ == "__main__":
    main()
