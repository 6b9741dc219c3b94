"""Gateways for tests: configurations, opened states, and images that a source can hand over."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dicom_files import dicom_dataset
from lexiseg.gateway.configuration import GatewayConfiguration
from lexiseg.gateway.event_log import EventLog
from lexiseg.gateway.service import Gateway, opened_state
from lexiseg.gateway.state import GatewayState

#: What a test of the gateway changes least.
FAST: dict[str, Any] = {
    "limits": {"free_disk_mb": 1},
    "retries": {"first_s": 0.1, "longest_s": 0.3},
    "monitoring": {"port": 0},
}
RULE: dict[str, Any] = {"name": "chest", "modality": ["CR"], "run": "covid-xray", "write": ["seg", "sr"]}


def settings(folder: Path, **changes: Any) -> GatewayConfiguration:
    """Return a configuration with one rule and the folder destination `out`."""
    return GatewayConfiguration.model_validate(
        {
            "state": folder / "state",
            "rules": [{**RULE, "send_to": ["out"]}],
            "destinations": {"out": {"kind": "folder", "path": folder / "out"}},
            **FAST,
            **changes,
        }
    )


@contextmanager
def opened(
    configuration: GatewayConfiguration,
) -> Iterator[tuple[GatewayState, Callable[[], list[dict[str, Any]]]]]:
    """Open the state of a gateway; also yield a function that returns the events so far."""
    stream = io.StringIO()
    with opened_state(configuration, EventLog(stream)) as state:
        yield state, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def picture(seed: int = 0, size: tuple[int, int] = (60, 64)) -> npt.NDArray[np.uint8]:
    """Return random grey blocks, `(H, W)`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4), dtype=np.uint8)
    return np.kron(coarse, np.ones((size[0] // 5, size[1] // 4), np.uint8))


def image_bytes(number: int = 1, *, seed: int | None = None, **values: Any) -> bytes:
    """Return a DICOM image as the content of a file; the UID ends in the number, which also is the seed."""
    buffer = io.BytesIO()
    dicom_dataset(picture(number if seed is None else seed), number=number, **values).save_as(
        buffer, enforce_file_format=True
    )
    return buffer.getvalue()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: It does not hold after this time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"still not so after {seconds} s")
        time.sleep(0.02)


@contextmanager
def running(state: GatewayState, *, problems: tuple[str, ...] = ()) -> Iterator[Gateway]:
    """Run a gateway; what ends one of its parts fails the test.

    Args:
        state: Its opened state.
        problems: What its health names at the end.
    """
    gateway = Gateway(state)
    thread = threading.Thread(target=gateway.run, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        gateway.stop()
        thread.join()
        gateway.close()
    assert gateway.health().problems == problems
