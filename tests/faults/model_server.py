"""A model that answers every question about the family's images with the same true words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.workshop import ANSWER
from tests.vision_server import says, serving


@contextmanager
def serving_answers() -> Iterator[str]:
    """Serve in a thread; yield the address."""
    with serving(lambda asked: says(json.dumps(ANSWER))) as server:
        yield server.url
