"""The test client of a server, for all tests of servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from lexiseg.serving.app import make_app
from lexiseg.serving.options import ServeOptions
from pictures import png_file, soft_picture

#: The address at which the test client calls the server.
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def picture() -> bytes:
    return png_file(soft_picture(0))


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(ServeOptions(runs=("covid-xray",), decoders=1)), base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def serving() -> Iterator[Callable[..., TestClient]]:
    """Return a function that starts a server with options of its own."""
    open_clients: list[TestClient] = []

    def start(**options: object) -> TestClient:
        chosen = ServeOptions(**{"runs": ("covid-xray",), "decoders": 1, **options})  # type: ignore[arg-type]
        client = TestClient(make_app(chosen), base_url=ADDRESS)
        client.__enter__()
        open_clients.append(client)
        return client

    yield start
    for client in open_clients:
        client.__exit__(None, None, None)


def ended(client: TestClient, number: str, *, looks: int = 600) -> dict[str, Any]:
    """Return a job when it has ended; it is looked at every 0.05 s.

    Args:
        client: The client.
        number: The number of the job.
        looks: How often it is looked at, at most.
    """
    for _ in range(looks):
        job: dict[str, Any] = client.get(f"/v1/jobs/{number}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)
