from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lexiseg.serving.batching import Batcher, BatchSettings
from refusals import refuses

SETTINGS = BatchSettings(most=4, max_wait=0.2, waiting=10)


class Doubler:
    """Doubles numbers, and notes the batches that it gets."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self._seconds = seconds

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        time.sleep(self._seconds)
        if any(item < 0 for item in items):
            raise ValueError("a negative number")
        return [2 * item for item in items]


def test_items_that_come_together_are_computed_together() -> None:
    async def run() -> list[int]:
        with batcher.place(6):
            return await asyncio.gather(*(batcher.submit(i) for i in range(6)))

    doubler = Doubler()
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(doubler, executor, SETTINGS)
        assert asyncio.run(run()) == [0, 2, 4, 6, 8, 10]
    assert doubler.batches == [[0, 1, 2, 3], [4, 5]]


def test_one_item_does_not_wait_for_others() -> None:
    async def run() -> float:
        started = time.monotonic()
        with batcher.place(1):
            await batcher.submit(1)
        return time.monotonic() - started

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(Doubler(), executor, BatchSettings(most=4, max_wait=30, waiting=10))
        assert asyncio.run(run()) < 15


def test_an_item_waits_for_those_on_their_way_but_not_longer_than_allowed() -> None:
    async def run() -> None:
        with batcher.place(3):
            first = asyncio.create_task(batcher.submit(1))
            await asyncio.sleep(0.02)
            second = asyncio.create_task(batcher.submit(2))
            assert await first == 2
            assert await second == 4
            assert batcher.reserved == 3

    doubler = Doubler()
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(doubler, executor, SETTINGS)
        asyncio.run(run())
    assert doubler.batches == [[1, 2]]


def test_a_full_queue_refuses() -> None:
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(Doubler(), executor, SETTINGS)
        with batcher.place(8):
            with refuses("LEX-REQ-1107", "8 images") as caught, batcher.place(3):
                pass
            assert caught.value.status == 429  # type: ignore[attr-defined]
            assert caught.value.retry_after >= 1  # type: ignore[attr-defined]
            with batcher.place(2):
                assert batcher.reserved == 10
        assert batcher.reserved == 0
        with batcher.place(20):  # nothing else waits
            pass


def test_an_item_that_fails_does_not_fail_its_batch() -> None:
    async def run() -> list[int | BaseException]:
        with batcher.place(3):
            return await asyncio.gather(*(batcher.submit(i) for i in (1, -1, 3)), return_exceptions=True)

    doubler = Doubler()
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(doubler, executor, SETTINGS)
        first, second, third = asyncio.run(run())
    assert (first, third) == (2, 6)
    assert isinstance(second, ValueError)


def test_what_nobody_waits_for_is_not_computed() -> None:
    async def run() -> None:
        with batcher.place(3):
            running = asyncio.create_task(batcher.submit(1))
            await asyncio.sleep(0.25)  # alone after the longest wait
            left = asyncio.create_task(batcher.submit(2))
            await asyncio.sleep(0.01)
            left.cancel()
            release.set()
            assert await running == 2
            assert await batcher.submit(3) == 6

    release = threading.Event()
    seen: list[list[int]] = []

    def compute(items: Sequence[int]) -> list[int]:
        seen.append(list(items))
        assert release.wait(30)
        return [2 * item for item in items]

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(compute, executor, BatchSettings(most=1, max_wait=0.0, waiting=10))
        asyncio.run(run())
    assert [2] not in seen


@pytest.mark.parametrize("seconds", [0.05])
def test_batches_are_told(seconds: float) -> None:
    told: list[tuple[int, float]] = []

    async def run() -> None:
        with batcher.place(2):
            await asyncio.gather(batcher.submit(1), batcher.submit(2))

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(Doubler(seconds), executor, SETTINGS, on_batch=lambda *what: told.append(what))
        asyncio.run(run())
    ((items, took),) = told
    assert items == 2
    assert took >= seconds
