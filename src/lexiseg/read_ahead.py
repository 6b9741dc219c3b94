"""Reading ahead in the background, a bounded number of items at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def read_ahead(
    items: Iterable[In], read: Callable[[In], Out], *, depth: int, threads: int = 2
) -> Iterator[Out]:
    """Yield `read(item)` for every item, in order, with at most `depth` results waiting.

    Args:
        items: What to read; consumed only as far as needed.
        read: Called in a background thread; what it raises is raised here.
        depth: Results that may wait at a time, at least 1.
        threads: Background threads.
    """
    source = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="lexiseg-read") as pool:
        waiting: deque[Future[Out]] = deque(pool.submit(read, item) for item in islice(source, depth))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(read, item) for item in islice(source, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
