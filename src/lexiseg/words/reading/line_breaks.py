"""Line breaks, dashes and slashes in a report: where they end a statement, and where that is open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.statements import is_negation, is_number

_MARKS = r"[-\u2013\u2014/|*\u2022\u00b7]+"
_BREAK = re.compile(rf"(\s*[\n\r\v\f\x85\u2028\u2029]\s*(?:{_MARKS}\s*)?|\s+{_MARKS}\s+)")
_LINES = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_LABEL = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+){0,4}\s*:(?!\d)")
_SIGNS = re.compile(r"[.,;:!?]")
_NUMBERED = re.compile(r"\d{1,2}[.)]\s")
_INNER_WORD = re.compile(r"(?<=[^.;:!?\s])\s+([^\W\d_]+)")
_FIRST_WORD = re.compile(r"[^\W\d_]+")

#: Words after which a statement goes on.
_GOES_ON = frozenset(("and", "of", "in", "the"))

#: Words of the part after a break that a reason quotes.
_QUOTED = 4


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The texts that a report can be read as.

    Attributes:
        texts: One text, or one in which the open breaks end no statement and one in which they do. A line
            feed stands where a statement ends.
        reason: Why there are two; empty if there is one.
    """

    texts: tuple[str, ...]
    reason: str = ""


class BreakReader:
    """Finds the breaks of reports that end a statement.

    Args:
        grammar: The grammar of the reports.
        lexicon: Its words.
        regions: Words that name one region ("left").
        places: Words that stand before a noun: regions and terms ("left", "lower").
    """

    def __init__(
        self, grammar: Grammar, lexicon: Lexicon, regions: frozenset[str], places: frozenset[str]
    ) -> None:
        self._grammar = grammar
        self._lexicon = lexicon
        self._goes_on = _GOES_ON | set(lexicon.language.function_words)
        self._regions = regions
        self._places = places

    def layout(self, report: str) -> Layout:
        """Return the texts that a report can be read as.

        A break ends a statement where the next part begins with a label ("Right lung:") or a bullet, after an
        empty line, and before a capital letter in a report with capitals only at the beginning of parts. It
        ends none after a punctuation mark, after a region alone ("left lung - upper zone"), and between words
        that need each other ("lower left" and "lung"). Else it is open.
        """
        parts = _BREAK.split(report.strip())
        written = parts[::2]
        capitals = not any(_is_capitalised(word) for part in written for word in _INNER_WORD.findall(part))
        joined, ended, unsure = written[0], written[0], list[str]()
        for before, mark, after in zip(written, parts[1::2], written[1:], strict=False):
            ends = self._ends(before, mark, after, capitals=capitals)
            joined += ("\n" if ends else " ") + after
            ended += (" " if ends is False else "\n") + after
            unsure += [after] if ends is None else []
        if not unsure:
            return Layout(texts=(_tidy(joined),))
        words = " ".join(unsure[0].split()[:_QUOTED])
        return Layout(
            texts=(_tidy(joined), _tidy(ended)),
            reason=f"it is open whether a statement ends before '{words}'; a full stop would say it",
        )

    def _ends(self, before: str, mark: str, after: str, *, capitals: bool) -> bool | None:
        """Return whether a break ends a statement; None if that is open."""
        if not (before and after) or _SIGNS.match(before[-1]):
            return False
        if self._unfinished(before, after) or self._is_heading(before, after):
            return False
        bullet = _LINES.search(mark) and mark.strip()
        empty_line = len(_LINES.findall(mark)) > 1
        if bullet or empty_line or _LABEL.match(after) or _NUMBERED.match(after):
            return True
        first = _FIRST_WORD.match(after)
        begins = capitals and first is not None and _is_capitalised(first[0])
        return True if begins and not self._places_meet(before, after) else None

    def _places_meet(self, before: str, after: str) -> bool:
        """Return whether a break stands between two places: "linken" and "Unterlappen"."""
        ends = (self._lexicon.tokens(before)[-1:], self._lexicon.tokens(after)[:1])
        return all(token.word in self._places for end in ends for token in end)

    def _is_heading(self, before: str, after: str) -> bool:
        """Return whether a region stands before a break as before a colon: "left lung - upper zone"."""
        words = [token.word for token in self._lexicon.tokens(_SIGNS.split(before)[-1])]
        following = {token.word for token in self._lexicon.tokens(_SIGNS.split(after)[0])}
        regions = self._regions & set(words)
        plain = set(words) <= regions | self._lexicon.nouns | self._lexicon.fillers
        return bool(regions) and words[-1] in self._lexicon.nouns and plain and not self._regions & following

    def _unfinished(self, before: str, after: str) -> bool:
        """Return whether the words before a break need those after it."""
        words, following = self._lexicon.tokens(before), self._lexicon.tokens(after)
        if not words or not following:
            return False
        last, nouns = words[-1], self._lexicon.nouns
        if last.word in self._goes_on or is_negation(last, self._grammar, self._lexicon):
            return True
        if following[0].word == "of" and following[0].found.islower():
            return True
        next_word = next((t.word for t in following if t.word not in self._lexicon.fillers), None)
        return next_word in nouns and (last.word in self._places or self._counts_later(words))

    def _counts_later(self, words: Sequence[Token]) -> bool:
        """Return whether the last words are a number that waits for its noun: "two infected"."""
        for token in reversed(words):
            if token.ends_clause or token.word in self._lexicon.nouns:
                return False
            if is_number(token, self._grammar):
                return True
        return False


def _is_capitalised(word: str) -> bool:
    """Return whether a word is written as "Right", not as "right", "R" or "RLL"."""
    return word[0].isupper() and word[1:].islower()


def _tidy(text: str) -> str:
    """Return a text without white space other than single spaces and line feeds."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))
