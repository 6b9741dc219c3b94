"""What every benchmark prints first: date, machine, versions, load."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import torch

import lexiseg


def describe_machine() -> str:
    """Return one line on date, machine, versions and load."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux: the platform's name stands
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {model}, {os.cpu_count()} cores, {torch.get_num_threads()} "
        f"threads, load {load}; torch {torch.__version__}, lexiseg {lexiseg.__version__}"
    )
