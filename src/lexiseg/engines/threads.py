"""The number of threads that an engine computes with."""

from __future__ import annotations

import os


def cpu_threads() -> int:
    """Return `OMP_NUM_THREADS` where it is set, as for torch, else the number of cores of the process."""
    stated = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if stated.isdecimal() and int(stated) > 0:
        return int(stated)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
