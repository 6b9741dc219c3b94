"""Text as a sequence of words."""

from __future__ import annotations

import re

#: Numbers, words, and the signs that matter: the ends of clauses, question marks, comparisons, "&", "+",
#: "+/-" and "(-)".
PIECE = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[+-]\s?/\s?[+-]|\([\u2212-]\)|[,;.!?\n&+<>\u2264\u2265=%\u00b1]")

_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


def split_words(text: str) -> tuple[str, ...]:
    """Return the lower-case words and numbers of `text`, without punctuation."""
    return tuple(_WORD.findall(text.lower()))


def split_pieces(text: str) -> tuple[str, ...]:
    """Return the lower-case words and numbers of `text`, and the signs that matter."""
    return tuple(PIECE.findall(text.lower()))
