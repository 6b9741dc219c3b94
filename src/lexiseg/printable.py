"""Texts from outside, made safe to show: on a console, in a page, in Markdown, in JSON and in spreadsheets.

File names, report sentences, phrases, class names, and the answers of models and servers can hold anything:
control characters that drive a terminal, characters that reverse the reading direction, line breaks that
imitate a message, HTML, and formulas. Data keep them as they are; each text passes through this module where
it leaves.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

# Control, format (direction, invisible), half characters, private use, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Joiners are part of words in Persian and Hindi, and change nothing around them.
_KEPT = frozenset("\u200c\u200d")
_BLOCK = frozenset("\n\t")
# A spreadsheet takes a cell that begins with one of these for a formula, after blanks too, and in wide forms.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
# Such a text, also one that has apostrophes before it already.
_QUOTED = re.compile(rf"'*{_FORMULA.pattern}")
# An escape as `printable` writes it.
_ESCAPE = re.compile(r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
# Longest `repr` of a result, in characters.
_BRIEF_LENGTH = 100
# The command line of Windows does not know single quotes.
_IS_WINDOWS = os.name == "nt"
# What needs no quotation marks in a shell of Windows.
_BARE = re.compile(r"[\w\\/:.,@+=-]+")
_MARKDOWN = re.compile(r"([\\`<>\[\]&|])")


def printable(text: str) -> str:
    r"""Return a text on one line, its hidden characters written as escapes.

    Examples:
        >>> printable("a\x1b[2Jb\n")
        'a\\x1b[2Jb\\n'
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def printable_block(text: str) -> str:
    """Return a text whose hidden characters are written as escapes; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(character if character in _BLOCK else _shown(character) for character in text)


def command_word(value: object) -> str:
    """Return a path or a name as one word of a command line that a person can copy.

    Examples:
        >>> command_word("my data"), command_word("runs/first")
        ("'my data'", 'runs/first')
    """
    text = str(value)
    if _IS_WINDOWS:
        return text if _BARE.fullmatch(text) else f'"{text}"'
    return shlex.quote(text)


def brief(value: object, *facts: str | None) -> str:
    """Return the `repr` of a result on one line: its class and what one wants to know first.

    Args:
        value: The result.
        *facts: What to show, the most important first; None is left out, and what is too long is cut.

    Examples:
        >>> brief(object(), "80 cases", None, "Dice 0.8123")
        'object(80 cases, Dice 0.8123)'
    """
    text = printable(", ".join(fact for fact in facts if fact))
    name = type(value).__name__
    room = _BRIEF_LENGTH - len(name) - len("()")
    return f"{name}({text if len(text) <= room else text[: room - 3] + '...'})"


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: "1 image", "3 images".

    Args:
        number: The number, 0 or more; thousands are separated by commas.
        one: What follows the number 1: a noun, with an adjective before it or a verb after it.
        several: What follows every other number; without it, `one` and an "s".

    Examples:
        >>> counted(1, "image"), counted(2500, "image"), counted(0, "box", "boxes")
        ('1 image', '2,500 images', '0 boxes')
        >>> counted(1, "mask is", "masks are")
        '1 mask is'
    """
    return f"{number:,} {one}" if number == 1 else f"{number:,} {several or one + 's'}"


def enumerated(names: Sequence[str]) -> str:
    """Return names as a sentence lists them, such as "seg, sr and sc"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def markdown_text(text: str) -> str:
    """Return a text that Markdown shows as it is: no HTML, links or code."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


def printable_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON whose hidden characters are written as escapes; it is read as the same value.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(c if c in _BLOCK or c.isprintable() else _json_escape(c) for c in text)


def cell(text: str) -> str:
    """Return a text as a cell of a spreadsheet that is never a formula: an apostrophe goes before one."""
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def data_cell(text: str) -> str:
    r"""Return a text as a cell that is never a formula, without escapes, for files that programs read.

    Examples:
        >>> data_cell("=1+1"), data_cell("'=1+1"), data_cell("two\nlines")
        ("'=1+1", "''=1+1", 'two\nlines')
    """
    return f"'{text}" if _QUOTED.match(text) else text


def text_of_cell(text: str) -> str:
    """Return the text that `cell` or `data_cell` wrote."""
    return text[1:] if text.startswith("'") and _QUOTED.match(text[1:]) else text


def exact_cell(text: str) -> str:
    r"""Return a text as a cell from which `text_of_exact_cell` reads the same text, for ids that are matched.

    It is that of `cell`, but what looks like an escape or an added apostrophe is written as an escape too.

    Examples:
        >>> exact_cell("a\x00"), exact_cell("a\\x00"), exact_cell("'=a")
        ('a\\x00', 'a\\x5cx00', '\\x27=a')
    """
    text = _ESCAPE.sub(lambda found: rf"\x5c{found[0][1:]}", text)
    return cell(text if text_of_cell(text) == text else rf"\x27{text[1:]}")


def text_of_exact_cell(text: str) -> str:
    """Return the text that `exact_cell` wrote."""
    return _ESCAPE.sub(lambda found: found[0].encode("ascii").decode("unicode_escape"), text_of_cell(text))


def row_of_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table for a spreadsheet: its texts as cells, its numbers as they are."""
    return {cell(name): cell(value) if isinstance(value, str) else value for name, value in row.items()}


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _json_escape(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    # Characters beyond 16 bits are written as two halves.
    return json.dumps(character)[1:-1]
