"""Items in lists of a limited length."""

from __future__ import annotations

from itertools import count

from lexiseg.chunks import chunks


def test_the_last_list_may_be_shorter() -> None:
    assert list(chunks("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(chunks("abcd", 2)) == [["a", "b"], ["c", "d"]]
    assert list(chunks("", 2)) == []


def test_items_are_taken_as_far_as_needed() -> None:
    numbers = count()
    assert next(chunks(numbers, 3)) == [0, 1, 2]
    assert next(numbers) == 3
