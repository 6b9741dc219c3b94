"""Text as a sequence of words."""

from __future__ import annotations

import re

_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


def split_words(text: str) -> tuple[str, ...]:
    """Return the lower-case words and numbers of `text`, without punctuation."""
    return tuple(_WORD.findall(text.lower()))
