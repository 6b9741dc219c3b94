"""Changes of files, as Hypothesis strategies: what damage, editing by hand and malice make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from hypothesis import strategies as st

Change = Callable[[bytes], bytes]

#: Pieces that break readers of text: depth, length, aliases, numbers, characters, formulas, templates.
TOKENS = tuple(
    piece.encode("utf-8", "surrogatepass")
    for piece in (
        "[" * 2000, "{" * 300, '{"a":' * 300, "- " * 300, "&a [*a]", "*a", "<<: *b",
        "!!python/object:os.system x", "!!int x", "!!binary x", "---\n", "? ", "9" * 5000, "-1", "0", "1e999",
        "NaN", "-Infinity", ".nan", ".inf", "1e300", "2001-99-99", "0x" + "f" * 900, "null", "true", "~",
        '""', "''", "[]", "{}", '"\\ud800"', "\ud800", "\x00", "\x1b[2J", "\u202e", "\ufeff", "\n", "\r",
        "\t", ",", ";", '"', "'", "=1+1", "{0.__class__}", "(a+)+$", "../../../etc/passwd", "/dev/zero",
        "a" * 10_000, "%s%n", "<script>", "&lol;", "<!DOCTYPE l [<!ENTITY a 'aaaa'>]>",
    )
)  # fmt: skip

#: Values that stand in the place of another value of JSON.
VALUES = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e19, 1e300, -1e-300, "", "x", "\x00", "9" * 400, [], {},
    [[]], {"a": 1}, [1, "a", None], ["a"] * 300, "../x", "\ud800",
)  # fmt: skip

_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def _at(content: bytes, place: float) -> int:
    return int(place * len(content))


def flip(place: float, bit: int) -> Change:
    def change(content: bytes) -> bytes:
        if not content:
            return content
        at = min(_at(content, place), len(content) - 1)
        return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]

    return change


def replace(place: float, length: int, piece: bytes) -> Change:
    def change(content: bytes) -> bytes:
        at = _at(content, place)
        return content[:at] + piece + content[at + length :]

    return change


def cut(place: float) -> Change:
    return lambda content: content[: _at(content, place)]


def repeat(place: float, length: int, times: int) -> Change:
    def change(content: bytes) -> bytes:
        at = _at(content, place)
        return content[:at] + content[at : at + length] * times + content[at + length :]

    return change


def move(place: float, other: float, length: int) -> Change:
    def change(content: bytes) -> bytes:
        at, to = _at(content, place), _at(content, other)
        return content[:to] + content[at : at + length] + content[to:]

    return change


def number(place: float, token: bytes) -> Change:
    """Put something in the place of one number of a text."""

    def change(content: bytes) -> bytes:
        found = list(_NUMBER.finditer(content[:100_000]))
        if not found:
            return content
        chosen = found[min(int(place * len(found)), len(found) - 1)]
        return content[: chosen.start()] + token + content[chosen.end() :]

    return change


def value(place: float, new: object, *, drop: bool) -> Change:
    """Put something in the place of one value of a JSON text, or leave it out."""

    def change(content: bytes) -> bytes:
        try:
            whole = json.loads(content)
        except (ValueError, RecursionError):
            return content
        places = list(_places(whole))
        if not places:
            return content
        holder, key = places[min(int(place * len(places)), len(places) - 1)]
        if drop:
            del holder[key]
        else:
            holder[key] = new
        return json.dumps(whole).encode()

    return change


def _places(whole: object) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            found.append((part, key))
            waiting.append(part[key])  # type: ignore[index]
    return found


_places_01 = st.floats(0, 1, exclude_max=True)
_lengths = st.sampled_from((0, 1, 2, 4, 8, 64, 1000))
_pieces = st.one_of(st.sampled_from(_INTERESTING), st.binary(min_size=1, max_size=12))

BYTES = st.one_of(
    st.builds(flip, _places_01, st.integers(0, 7)),
    st.builds(replace, _places_01, _lengths, _pieces),
    # The head of a file holds its sizes.
    st.builds(replace, _places_01.map(lambda place: place / 20), st.sampled_from((1, 2, 4)), _pieces),
    st.builds(cut, _places_01),
    st.builds(repeat, _places_01, _lengths, st.integers(0, 40)),
    st.builds(move, _places_01, _places_01, _lengths),
)
TEXT = st.one_of(
    BYTES,
    st.builds(replace, _places_01, _lengths, st.sampled_from(TOKENS)),
    st.builds(number, _places_01, st.sampled_from(TOKENS)),
)
JSON = st.one_of(TEXT, st.builds(value, _places_01, st.sampled_from(VALUES), drop=st.booleans()))


def changes(kind: st.SearchStrategy[Change], most: int = 4) -> st.SearchStrategy[list[Change]]:
    """Return lists of one to a few changes."""
    return st.lists(kind, min_size=1, max_size=most)


def apply(content: bytes, chosen: list[Change]) -> bytes:
    """Return a content after its changes, at most 4 MiB of it."""
    for change in chosen:
        content = change(content)[: 4 << 20]
    return content
