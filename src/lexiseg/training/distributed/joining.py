"""How long processes of a training wait for each other to start, and what is said where one is missing."""

from __future__ import annotations

import math
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from lexiseg.console import duration_text
from lexiseg.errors import ResourceError, UsageError
from lexiseg.training.distributed.lost_ranks import remedy_of

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: The variable that sets for how many minutes processes wait for the others to start.
LIMIT_VARIABLE = "LEXISEG_JOIN_MINUTES"
#: Where the processes that have started are counted.
STARTED = "lexiseg/started"
#: Seconds between two looks at the other processes.
POLL_S = 0.1

_LIMIT = timedelta(minutes=5)


def join_limit() -> timedelta:
    """Return how long processes wait for the others to start.

    Raises:
        UsageError: The variable that sets it holds no number of minutes.
    """
    value = os.environ.get(LIMIT_VARIABLE)
    if value is None:
        return _LIMIT
    try:
        minutes = float(value)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= 24 * 60:
        raise UsageError(
            f"{LIMIT_VARIABLE}: expected the minutes that processes of a training wait for each other to "
            f"start, above 0 and at most 1440; got {value!r}. Correct it, or unset it for "
            f"{_LIMIT.total_seconds() / 60:.0f} minutes.",
            code="LEX-USE-2011",
        )
    return timedelta(minutes=minutes)


def meet(rank: int, size: int, address: str, out: Path) -> Store:
    """Return where launched processes of a training meet, when all of them have come.

    Args:
        rank: The number of this process.
        size: Number of processes.
        address: Host and port of the first process.
        out: The run folder, for the message.

    Raises:
        ResourceError: Not all of them came in time, or this process cannot meet them.
        UsageError: The time is no number.
    """
    limit = join_limit()
    end = time.monotonic() + limit.total_seconds()
    store: Store | None = None
    count: int | None = None
    try:
        store, _, _ = next(rendezvous(f"tcp://{address}", rank, size, timeout=limit))
        count = store.add(STARTED, 1)
        while count < size and time.monotonic() <= end:
            time.sleep(POLL_S)
            count = store.add(STARTED, 0)
    except dist.DistError as error:
        if time.monotonic() < end:
            raise _cannot_meet(rank, address, error, out) from error
        raise missing(count, size, out, address=address) from error
    if count < size:
        raise missing(count, size, out, address=address)
    return store


def _cannot_meet(rank: int, address: str, error: dist.DistError, out: Path) -> ResourceError:
    """Return the error for a process that fails before the time is over."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    remedy = "What the launcher prints of the others says why."
    if rank == 0:
        remedy = (
            "Set MASTER_ADDR to the machine of the first process and MASTER_PORT to a free port of it, the "
            "same in all processes."
        )
    return ResourceError(
        f"Process {rank} of the training cannot meet the others at {address}: {said.rstrip('.')}. {remedy} "
        f"{remedy_of(out)}",
        code="LEX-RES-2050",
    )


def missing(count: int | None, size: int, out: Path, *, address: str | None = None) -> ResourceError:
    """Return the error for processes that do not come.

    Args:
        count: Number of those that came; None where it is not known.
        size: Number of processes of the training.
        out: The run folder.
        address: Host and port where launched processes meet; None for those that this process started.
    """
    came = f"only {count} of {size}" if count is not None else f"not all {size}"
    where, remedy = "", ""
    if address is not None:
        where = f" at {address}"
        remedy = " Start all at about the same time, with the same MASTER_ADDR and MASTER_PORT."
    return ResourceError(
        f"The processes of the training wait {duration_text(join_limit().total_seconds())} for each other to "
        f"start, and {came} came{where}.{remedy} Where they need longer, set {LIMIT_VARIABLE}. "
        f"{remedy_of(out)}",
        code="LEX-RES-2010",
    )
