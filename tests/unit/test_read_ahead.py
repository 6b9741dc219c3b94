from __future__ import annotations

import threading
import time

import pytest

from lexiseg.read_ahead import read_ahead


def test_results_come_in_order() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * 10

    assert list(read_ahead(range(7), slow_first, depth=3)) == [0, 10, 20, 30, 40, 50, 60]
    assert list(read_ahead([], slow_first, depth=3)) == []


def test_no_more_than_depth_is_read_before_it_is_needed() -> None:
    taken: list[int] = []

    def source() -> object:
        for item in range(1000):
            taken.append(item)
            yield item

    results = read_ahead(source(), lambda item: item, depth=4)  # type: ignore[arg-type, var-annotated]
    for expected in range(5):
        assert next(results) == expected
        assert len(taken) <= expected + 5
    results.close()
    assert len(taken) < 12
    assert not [t for t in threading.enumerate() if t.name.startswith("lexiseg-read") and t.is_alive()]


def test_errors_come_where_they_belong() -> None:
    def read(item: int) -> int:
        if item == 2:
            raise ValueError("broken")
        return item

    results = read_ahead(range(5), read, depth=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(results)
