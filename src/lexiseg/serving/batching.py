"""Micro-batches: images of several requests that wait for the network together, in a bounded queue."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from lexiseg.errors import RequestError
from lexiseg.printable import counted

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items, and where their results are awaited.
Batch: TypeAlias = Sequence[tuple[Item, asyncio.Future[Result]]]


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """How images are put together.

    Attributes:
        most: Images of one batch.
        max_wait: Seconds that the first image of a batch waits for others, where others are being decoded.
        waiting: Images that may wait, those included that are being decoded.
    """

    most: int
    max_wait: float
    waiting: int


class Batcher(Generic[Item, Result]):
    """Computes items in batches, in the order in which they come.

    One batch is computed at a time; meanwhile the results of the batch before it are made.

    It needs no start and no end: while nothing waits, nothing runs.

    Args:
        compute: Computes a batch, and returns what makes its results, one per item.
        computing: Where batches are computed.
        finishing: Where results are made.
        settings: How items are put together.
        on_batch: Told the number of items of each batch, and the seconds in which it was computed.

    Attributes:
        reserved: Items that are being prepared, waiting or being computed, and whose answers are being made.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Callable[[], Sequence[Result]]],
        settings: BatchSettings,
        *,
        computing: Executor,
        finishing: Executor,
        on_batch: Callable[[int, float], None] = lambda items, seconds: None,
    ) -> None:
        self._compute, self._settings = compute, settings
        self._computing, self._finishing = computing, finishing
        self._on_batch = on_batch
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._arrived = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        # The loop itself keeps no task alive.
        self._ending: set[asyncio.Task[None]] = set()
        self._coming = 0
        self._seconds_per_item = 0.1
        self.reserved = 0

    @contextmanager
    def places(self, items: int) -> Iterator[Places[Item, Result]]:
        """Reserve places in the queue, before anything is prepared.

        Args:
            items: Number of places.

        Raises:
            RequestError: There are not as many left.
        """
        # A request that is larger than the queue may still come when nothing else waits.
        if self.reserved and self.reserved + items > self._settings.waiting:
            raise RequestError(
                f"{counted(self.reserved, 'image waits', 'images wait')} for this model already. Send the "
                "request again later.",
                status=429,
                retry_after=self.retry_after(),
                code="LEX-REQ-1107",
            )
        self.reserved += items
        self._coming += items
        places = Places(self, items)
        try:
            yield places
        finally:
            self.reserved -= items
            self._coming -= places.free
            places.free = 0
            # A batch that waits for these items, which do not come, goes on.
            self._arrived.set()

    def retry_after(self) -> int:
        """Return the whole seconds after which half of what waits now is computed, at least 1."""
        return max(1, math.ceil(self.reserved * self._seconds_per_item / 2))

    def take(self, places: Places[Item, Result]) -> None:
        """Take one of the places of a request, whose item is prepared."""
        places.free -= 1
        self._coming -= 1

    async def result(self, item: Item) -> Result:
        """Return the result of an item; only its place calls it."""
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        self._arrived.set()
        if self._running is None:
            self._running = asyncio.create_task(self._work())
        return await result

    async def _work(self) -> None:
        """Compute batches until nothing waits."""
        try:
            while self._waiting:
                await self._wait_for_others()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._settings.most))]
                # Those that nobody waits for any more are not computed.
                batch = [(item, result) for item, result in batch if not result.cancelled()]
                if batch:
                    await self._compute_batch(batch)
        finally:
            self._running = None

    async def _wait_for_others(self) -> None:
        """Wait until a batch is full, no other item is being prepared, or the longest wait is over."""
        try:
            async with asyncio.timeout(self._settings.max_wait):
                while self._coming and len(self._waiting) < self._settings.most:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    async def _compute_batch(self, batch: Batch[Item, Result]) -> None:
        started = time.monotonic()
        try:
            finish = await asyncio.get_running_loop().run_in_executor(
                self._computing, self._compute, [item for item, _ in batch]
            )
        except Exception as error:
            await self._failed(batch, error)
            return
        seconds = time.monotonic() - started
        self._seconds_per_item += 0.2 * (seconds / len(batch) - self._seconds_per_item)
        self._on_batch(len(batch), seconds)
        task = asyncio.create_task(self._finish(batch, finish))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _finish(self, batch: Batch[Item, Result], finish: Callable[[], Sequence[Result]]) -> None:
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._finishing, finish)
        except Exception as error:
            await self._failed(batch, error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _failed(self, batch: Batch[Item, Result], error: Exception) -> None:
        """Compute the items of a batch again, each by itself; one may be the cause, others must not fail."""
        if len(batch) > 1:
            for single in batch:
                await self._compute_batch([single])
        elif not batch[0][1].done():
            batch[0][1].set_exception(error)


class Places(Generic[Item, Result]):
    """Places in the queue of a batcher.

    Args:
        batcher: The batcher.
        free: Number of places.

    Attributes:
        free: Places whose item is still being prepared.
    """

    def __init__(self, batcher: Batcher[Item, Result], free: int) -> None:
        self._batcher = batcher
        self.free = free

    async def result(self, item: Item) -> Result:
        """Return the result of an item, which takes one of the places.

        One that comes after the end of its request, which a defect ended early, finds none to take.
        """
        if self.free:
            self._batcher.take(self)
        return await self._batcher.result(item)
