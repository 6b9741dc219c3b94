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
from typing import Generic, TypeVar

from lexiseg.errors import RequestError
from lexiseg.printable import counted

Item = TypeVar("Item")
Result = TypeVar("Result")


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
    """Computes items in batches, one batch at a time, in the order in which they come.

    It needs no start and no end: while nothing waits, nothing runs.

    Args:
        compute: Returns one result per item; it runs in `executor`.
        executor: Where it runs.
        settings: How items are put together.
        on_batch: Told the number of items and the seconds of each batch.

    Attributes:
        reserved: Items that are waiting, being computed or being prepared.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        executor: Executor,
        settings: BatchSettings,
        *,
        on_batch: Callable[[int, float], None] = lambda items, seconds: None,
    ) -> None:
        self._compute, self._executor, self._settings = compute, executor, settings
        self._on_batch = on_batch
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._arrived = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._seconds_per_item = 0.1
        self.reserved = 0

    @contextmanager
    def place(self, items: int) -> Iterator[None]:
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
        try:
            yield
        finally:
            self.reserved -= items

    def retry_after(self) -> int:
        """Return the whole seconds after which half of what waits now is computed, at least 1."""
        return max(1, math.ceil(self.reserved * self._seconds_per_item / 2))

    async def submit(self, item: Item) -> Result:
        """Return the result of an item; its place must be reserved."""
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
        """Wait until a batch is full, no other item is on its way, or the longest wait is over."""
        try:
            async with asyncio.timeout(self._settings.max_wait):
                while len(self._waiting) < min(self._settings.most, self.reserved):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    async def _compute_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        started = time.monotonic()
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            # One of them may be the cause; the others must not fail with it.
            for single in batch:
                await self._compute_batch([single])
            return
        seconds = time.monotonic() - started
        self._seconds_per_item += 0.2 * (seconds / len(batch) - self._seconds_per_item)
        self._on_batch(len(batch), seconds)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _run(self, items: Sequence[Item]) -> Sequence[Result]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._compute, items)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
