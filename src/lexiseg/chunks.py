"""Items in lists of a limited length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` consecutive items; the last one may be shorter.

    Args:
        items: Consumed only as far as needed.
        size: At least 1.
    """
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
