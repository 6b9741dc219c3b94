"""Description files: what is written is read again, and every fault is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexiseg.describing.description_file import (
    Check,
    Correction,
    DescriptionLine,
    Difference,
    MeasuredProvenance,
    ModelProvenance,
    SheetProvenance,
    read_descriptions,
    write_descriptions,
)
from lexiseg.errors import DataError
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

POLYP = load_vocabulary("polyp")


def line(name: str = "a", class_name: str | None = "polyp", **changes: Any) -> DescriptionLine:
    values: dict[str, Any] = {
        "id": name,
        "class": class_name,
        "factors": {"number": "one", "location": "upper left", "color": None},
        "sentence": "One polyp area, located in the upper left of the image.",
        "side": "image",
        "vocabulary": "polyp",
        "provenance": MeasuredProvenance(),
        **changes,
    }
    return DescriptionLine.model_validate(values)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model = ModelProvenance(
        model="m", server=None, prompt_version=1, replies=2, fell_back="it never answered"
    )
    check = Check(
        how="compared",
        corrected=(Correction(factor="number", said="7", became="one"),),
        differs=(Difference(factor="size", said="large", measured="small"),),
    )
    lines = (
        line("a", check=check),
        line("b", provenance=model, problems=("\u2028 and \u00e9",)),
        line("c", provenance=SheetProvenance(row="one polip", repairs={"polip": "polyp"}), class_name=None),
    )
    write_descriptions(tmp_path / "d.jsonl", lines)
    file = read_descriptions(tmp_path / "d.jsonl")
    assert file.lines == lines
    assert (file.source, file.vocabulary, file.side) == ("lmm", "polyp", "image")
    assert list(json.loads((tmp_path / "d.jsonl").read_text().splitlines()[0]))[:3] == [
        "id",
        "class",
        "factors",
    ]


def test_the_least_certain_source_counts(tmp_path: Path) -> None:
    write_descriptions(tmp_path / "d.jsonl", [line("a"), line("b", provenance=SheetProvenance(row="x"))])
    assert read_descriptions(tmp_path / "d.jsonl").source == "reports"
    write_descriptions(tmp_path / "d.jsonl", [line("a"), line("b")])
    assert read_descriptions(tmp_path / "d.jsonl").source == "concepts"


def test_phrases_become_indices() -> None:
    assert line().indices(POLYP) == (0, 0, UNKNOWN, UNKNOWN, UNKNOWN)
    with pytest.raises(ValueError, match=r"'polyp' has no factor 'weight', only number, location"):
        line(factors={"weight": "1 g"}).indices(POLYP)
    with pytest.raises(ValueError, match=r"'size' .* has no phrase 'vast', only small, medium, large"):
        line(factors={"size": "vast"}).indices(POLYP)


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    text = line("a").model_dump_json(by_alias=True)
    (tmp_path / "d.jsonl").write_bytes(b"\xef\xbb\xbf" + f"\r\n{text}\r\n\n{text}\n".encode())
    with refuses("LEX-DATA-111", "line 2"):
        read_descriptions(tmp_path / "d.jsonl")


GOOD = json.loads(line("z").model_dump_json(by_alias=True))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"id": "a"', "line 2: not valid JSON"),
        ("[" * 100_000, "line 2: not valid JSON"),
        ("[1]", r"line 2: expected a JSON object, got \[1\]"),
        (json.dumps({**GOOD, "side": "left"}), "line 2: side: expected one of image, patient; got 'left'"),
        (
            json.dumps({**GOOD, "mood": 1}),
            "line 2: mood: there is no such field",
        ),
        (
            json.dumps({k: v for k, v in GOOD.items() if k != "factors"}),
            "2: factors: this field is missing",
        ),
        (json.dumps({**GOOD, "factors": {"number": 1}}), "line 2: factors.number: expected text; got 1"),
        (
            json.dumps({**GOOD, "provenance": {"source": "guess"}}),
            "source: expected one of concepts, .* got 'guess'",
        ),
        (json.dumps({**GOOD, "id": ""}), "line 2: id: .*at least 1"),
        (json.dumps({**GOOD, "vocabulary": "chest"}), "line 2: the vocabulary is 'chest', but the first"),
        (json.dumps({**GOOD, "id": "a", "class": None}), "line 2: 'a' has one line for the whole image"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, second: str, message: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(f"{line('a').model_dump_json(by_alias=True)}\n{second}\n")
    with pytest.raises(DataError, match=message):
        read_descriptions(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with refuses("LEX-DATA-105", "no.jsonl cannot be"):
        read_descriptions(tmp_path / "no.jsonl")
    (tmp_path / "d.jsonl").write_text("\n\n")
    with refuses("LEX-DATA-106", "describes no image"):
        read_descriptions(tmp_path / "d.jsonl")
    (tmp_path / "d.jsonl").write_bytes(b"{}\n\xff\n")
    with refuses("LEX-DATA-107", "line 2: not UTF-8"):
        read_descriptions(tmp_path / "d.jsonl")
