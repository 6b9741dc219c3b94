"""What a refused input must raise: the error's stable code, and a word or two of its message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lexiseg.errors import LexisegError


@contextmanager
def refuses(code: str, *words: str) -> Iterator[pytest.ExceptionInfo[LexisegError]]:
    """Expect a Lexiseg error with this code, whose message holds all of these words."""
    with pytest.raises(LexisegError) as caught:
        yield caught
    message = str(caught.value)
    assert caught.value.code == code, f"{caught.value.code}: {message}"
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in: {message}"
