"""Texts from outside are shown and do nothing else: console, pages, Markdown, JSON, spreadsheets."""

from __future__ import annotations

import ast
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table

import lexiseg
from lexiseg.console import PrintableConsole
from lexiseg.printable import (
    cell,
    counted,
    exact_cell,
    markdown_text,
    printable,
    printable_block,
    printable_json,
    row_of_cells,
    text_of_cell,
    text_of_exact_cell,
)

#: Clears the screen, sets the title, rings, goes back over the line, reverses the reading direction, hides.
HOSTILE = "a\x1b[2J\x1b]0;title\x07\r\x08\x9b31m\u202egnp.exe\u2066\u200b\ufeff\x00\n\u2028b\x7f"
SRC = Path(lexiseg.__file__).parent
#: Counts in messages that are only shown for two and more.
ALWAYS_SEVERAL = {
    "{len(fields[twice[0]])} times",
    "{len(fitting)} objects",
    "{len(found)} columns",
    "{len(found)} comparisons",
    "{len(found):,} volumes",
    "{len(mixed)} colours",
    "{len(numbers)} patients",
    "{len(own)} tensors",
    "{len(samples)} images",
    "{len(self._refused_in_a_row)} images",
    "{len(splits)} beginnings",
    "{len(splits)} patients",
    "{len(totals)} different values",
    "{len(totals)} values",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("left lung, 3 cm\u00b2", "left lung, 3 cm\u00b2"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b\x00\x7f", "\\x9b\\x00\\x7f"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("M\u00fcller\u00a0\u65e5\u672c\U0001f600", "M\u00fcller\u00a0\u65e5\u672c\U0001f600"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
    ],
)
def test_hidden_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_what_is_shown_has_nothing_hidden(text: str) -> None:
    for shown in (printable(text), printable_block(text).replace("\n", "").replace("\t", "")):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", shown)
        shown.encode()
    assert printable(printable(text)) == printable(text)
    assert printable_block("a\nb\tc\x1b") == "a\nb\tc\\x1b"


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_json_is_read_as_the_same_value(value: object) -> None:
    text = printable_json(value)
    assert json.loads(text) == value
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", text)
    assert json.loads(printable_json(value, indent=2)) == value


def test_json_keeps_what_can_be_read() -> None:
    assert printable_json({"a": "M\u00fcller\x9b\U000e0041"}) == '{"a": "M\u00fcller\\u009b\\udb40\\udc41"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        printable_json(float("nan"))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", '=HYPERLINK("http://x","y")']
)
def test_formulas_become_texts(text: str) -> None:
    assert cell(text).startswith("'")
    assert text_of_cell(cell(text)) == printable(text)


@pytest.mark.parametrize("text", ["case-1", "", "'quoted", "left lung", "3 - 4"])
def test_other_cells_stay(text: str) -> None:
    assert cell(text) == text_of_cell(text) == text


@given(st.text(alphabet=st.sampled_from("\\'=nx5c27aduU0 \n\x00\xad\u200e\udcff\U000e0041")))
@example("'=a")
@example("''=a")
@example(r"\x27=a")
@example(r"\\xad")
def test_an_exact_cell_is_read_as_the_same_text(text: str) -> None:
    shown = exact_cell(text)
    assert text_of_exact_cell(shown) == text
    assert cell(shown) == shown == printable(shown)


@pytest.mark.parametrize(
    "text", ["case-1", "", "'quoted", "left lung", "=1", r"new\folder", "a\xad", "\udcff"]
)
def test_an_exact_cell_is_a_usual_one_where_nothing_looks_like_an_escape(text: str) -> None:
    assert exact_cell(text) == cell(text)


def test_numbers_of_a_row_stay() -> None:
    assert row_of_cells({"=a": "=b", "c": -1.5, "d": None}) == {"'=a": "'=b", "c": -1.5, "d": None}


def test_markdown_is_shown_as_it_is() -> None:
    assert markdown_text("<script>[a](http://x)`b`\n") == r"\<script\>\[a\](http://x)\`b\`\\n"


def test_a_console_shows_hostile_texts() -> None:
    file = io.StringIO()
    console = PrintableConsole(file=file, force_terminal=False, width=400)
    table = Table()
    table.add_column(f"[red]{HOSTILE}")
    table.add_row(f"[blink]{HOSTILE}")
    console.print(f"[bold]{HOSTILE}[/bold]")
    console.print(table)
    shown = file.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b]", shown)
    assert shown.startswith("[bold]a\\x1b[2J")
    assert "[red]" in shown
    assert "[blink]" in shown


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(number, "image") for number in (0, 1, 2, 12345)] == [
        "0 images",
        "1 image",
        "2 images",
        "12,345 images",
    ]
    assert counted(1, "box is", "boxes are") == "1 box is"
    assert counted(3, "box is", "boxes are") == "3 boxes are"


def test_messages_count_with_the_helper() -> None:
    """A length before a plural noun, as in "{len(images)} images", also comes out as "1 images"."""
    pattern = re.compile(r"(?<!of )\{len\([^{}]*\)[^{}]*\} (?:[a-z]+-?[a-z]* )?(?!its\b)[a-z]+[^s\W]s\b")
    found = {match[0] for file in SRC.rglob("*.py") for match in pattern.finditer(file.read_text("utf-8"))}
    assert found == ALWAYS_SEVERAL


def test_every_console_and_every_page_is_one_that_escapes() -> None:
    """Other consoles and templates may not be made anywhere in the package."""
    for file in SRC.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text if "Console(" in text or "Environment(" in text else "")
        made = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert "Console" not in made, file
        assert "Environment" not in made or file.name == "html_template.py", file
    for template in SRC.rglob("*.j2"):
        text = template.read_text(encoding="utf-8")
        assert "safe" not in re.findall(r"\|\s*(\w+)", text), template
        assert "autoescape" not in text, template
