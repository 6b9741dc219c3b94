from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lexiseg.serving.batching import Batcher, BatchSettings
from refusals import refuses

SETTINGS = BatchSettings(most=4, max_wait=0.2, waiting=10)


class Doubler:
    """Doubles numbers, and notes the batches that it gets."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self._seconds = seconds

    def __call__(self, items: Sequence[int]) -> Callable[[], list[int]]:
        self.batches.append(list(items))
        time.sleep(self._seconds)
        if any(item < 0 for item in items):
            raise ValueError("a negative number")
        return lambda: [doubled(item) for item in items]


def doubled(item: int) -> int:
    if item == 0:
        raise ZeroDivisionError
    return 2 * item


@contextmanager
def batcher_of(
    compute: Callable[[Sequence[int]], Callable[[], list[int]]],
    settings: BatchSettings = SETTINGS,
    on_batch: Callable[[int, float], None] = lambda items, seconds: None,
) -> Iterator[Batcher[int, int]]:
    with ThreadPoolExecutor(1) as computing, ThreadPoolExecutor(1) as finishing:
        yield Batcher(compute, settings, computing=computing, finishing=finishing, on_batch=on_batch)


def test_items_that_come_together_are_computed_together() -> None:
    async def run() -> list[int]:
        with batcher.places(6) as places:
            return await asyncio.gather(*(places.result(i) for i in range(1, 7)))

    doubler = Doubler()
    with batcher_of(doubler) as batcher:
        assert asyncio.run(run()) == [2, 4, 6, 8, 10, 12]
    assert doubler.batches == [[1, 2, 3, 4], [5, 6]]


def test_an_item_does_not_wait_for_one_that_cannot_be_prepared() -> None:
    async def run() -> float:
        with batcher.places(1):
            waiting = asyncio.create_task(alone())
            await asyncio.sleep(0.05)  # the other item is not taken
        started = time.monotonic()
        await waiting
        return time.monotonic() - started

    async def alone() -> int:
        with batcher.places(1) as places:
            return await places.result(1)

    with batcher_of(Doubler(), BatchSettings(most=4, max_wait=30, waiting=10)) as batcher:
        assert asyncio.run(run()) < 15


def test_one_item_does_not_wait_for_others() -> None:
    async def run() -> float:
        started = time.monotonic()
        with batcher.places(1) as places:
            await places.result(1)
        return time.monotonic() - started

    with batcher_of(Doubler(), BatchSettings(most=4, max_wait=30, waiting=10)) as batcher:
        assert asyncio.run(run()) < 15


def test_an_item_that_comes_after_its_request_lets_nobody_wait() -> None:
    async def run() -> float:
        with batcher.places(2) as late:
            await late.result(1)
        assert await late.result(2) == 4
        began = time.monotonic()
        with batcher.places(1) as places:
            await places.result(3)
        return time.monotonic() - began

    with batcher_of(Doubler()) as batcher:
        assert asyncio.run(run()) < SETTINGS.max_wait / 2
        assert batcher.reserved == 0


def test_an_item_waits_for_those_on_their_way_but_not_longer_than_allowed() -> None:
    async def run() -> None:
        with batcher.places(3) as places:
            first = asyncio.create_task(places.result(1))
            await asyncio.sleep(0.02)
            second = asyncio.create_task(places.result(2))
            assert await first == 2
            assert await second == 4
            assert batcher.reserved == 3

    doubler = Doubler()
    with batcher_of(doubler) as batcher:
        asyncio.run(run())
    assert doubler.batches == [[1, 2]]


def test_a_full_queue_refuses() -> None:
    with batcher_of(Doubler()) as batcher:
        with batcher.places(8):
            with refuses("LEX-REQ-1107", "8 images") as caught, batcher.places(3):
                pass
            assert caught.value.status == 429  # type: ignore[attr-defined]
            assert caught.value.retry_after >= 1  # type: ignore[attr-defined]
            with batcher.places(2):
                assert batcher.reserved == 10
        assert batcher.reserved == 0
        with batcher.places(20):  # nothing else waits
            pass


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), (0, ZeroDivisionError)])
def test_an_item_that_fails_does_not_fail_its_batch(wrong: int, error: type[Exception]) -> None:
    """Where it is computed, or where results are made."""

    async def run() -> list[int | BaseException]:
        with batcher.places(3) as places:
            return await asyncio.gather(*(places.result(i) for i in (1, wrong, 3)), return_exceptions=True)

    doubler = Doubler()
    with batcher_of(doubler) as batcher:
        first, second, third = asyncio.run(run())
    assert (first, third) == (2, 6)
    assert isinstance(second, error)
    assert doubler.batches == [[1, wrong, 3], [1], [wrong], [3]]


def test_what_nobody_waits_for_is_not_computed() -> None:
    async def run() -> None:
        with batcher.places(3) as places:
            running = asyncio.create_task(places.result(1))
            await asyncio.sleep(0.25)  # alone after the longest wait
            left = asyncio.create_task(places.result(2))
            await asyncio.sleep(0.01)
            left.cancel()
            release.set()
            assert await running == 2
            assert await places.result(3) == 6

    release = threading.Event()
    seen: list[list[int]] = []

    def compute(items: Sequence[int]) -> Callable[[], list[int]]:
        seen.append(list(items))
        assert release.wait(30)
        return lambda: [2 * item for item in items]

    with batcher_of(compute, BatchSettings(most=1, max_wait=0.0, waiting=10)) as batcher:
        asyncio.run(run())
    assert [2] not in seen


def test_a_batch_is_computed_while_the_results_of_the_one_before_are_made() -> None:
    async def run() -> None:
        with batcher.places(2) as places:
            first = [asyncio.create_task(places.result(i)) for i in (1, 2)]
            assert await asyncio.to_thread(computed[0].wait, 30)
            # The first two still have their places; no batch waits for them.
            with batcher.places(2) as others:
                second = [asyncio.create_task(others.result(i)) for i in (3, 4)]
                assert await asyncio.to_thread(computed[1].wait, 30)
                assert not any(task.done() for task in first)
                release.set()
                assert await asyncio.gather(*first, *second) == [2, 4, 6, 8]

    release, computed = threading.Event(), [threading.Event(), threading.Event()]

    def compute(items: Sequence[int]) -> Callable[[], list[int]]:
        computed[items[0] // 2].set()

        def finish() -> list[int]:
            assert release.wait(30)
            return [2 * item for item in items]

        return finish

    with batcher_of(compute, BatchSettings(most=4, max_wait=60, waiting=10)) as batcher:
        asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("seconds", [0.05])
def test_batches_are_told(seconds: float) -> None:
    told: list[tuple[int, float]] = []

    async def run() -> None:
        with batcher.places(2) as places:
            await asyncio.gather(places.result(1), places.result(2))

    with batcher_of(Doubler(seconds), on_batch=lambda *what: told.append(what)) as batcher:
        asyncio.run(run())
    ((items, took),) = told
    assert items == 2
    assert took >= seconds
