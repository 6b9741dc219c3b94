"""What every benchmark prints first: date, machine, versions, load."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import lexiseg
from lexiseg.engines.threads import cpu_threads
from lexiseg.extras import is_installed

#: Packages that compute; torch itself is not imported, which would count as memory of what is measured.
_PACKAGES = ("torch", "onnxruntime", "openvino")


def describe_machine() -> str:
    """Return one line on date, machine, versions and load."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux: the platform's name stands
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES if is_installed(name))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {model}, {os.cpu_count()} cores, {cpu_threads()} threads, "
        f"load {load}; {versions}, lexiseg {lexiseg.__version__}"
    )
