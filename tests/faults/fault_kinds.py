"""The faults of the family: what happens to a command, and how the command may end then."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.faults.commands import CommandCase
from tests.faults.fork_server import Order
from tests.faults.workshop import Workshop

DONE = 0
DISK, RESOURCE = 6, 7
INTERRUPTED, TERMINATED = 130, 143

#: Changes the world that a command finds.
World = Callable[[Order, random.Random, Workshop], Order]


def _same(order: Order, rng: random.Random, shop: Workshop) -> Order:
    return order


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: Its name in tables.
        codes: Exit codes with which a command may end, besides 0 if it gets through.
        signals: Sent at a random moment, one after the other.
        world: Changes the world that the command finds.
        small_disk: Whether the disk of its folder is too small.
        environment: Variables of a cold start, None: removed; None as a whole: no cold start.
        says: What its message names; the message may be missing where the process was killed.
        options: Arguments that a command needs to meet the fault, by its name.
        scraps: Whether half-written files may stay under a temporary name until the next command.
        needs_mounts: Whether the test must be able to mount.
        unheard: Whether nobody reads the standard output, which then is no result.
    """

    name: str
    codes: frozenset[int] = frozenset()
    signals: tuple[signal.Signals, ...] = ()
    world: World = _same
    small_disk: bool = False
    environment: Mapping[str, str | None] | None = None
    says: str | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scraps: bool = False
    needs_mounts: bool = False
    unheard: bool = False

    def meets(self, case: CommandCase) -> bool:
        """Return whether the fault can happen to a command."""
        return case.writes or not (self.small_disk or self.name == "read-only folder")


def _closed_pipe(order: Order, rng: random.Random, shop: Workshop) -> Order:
    return replace(order, stdout=None)


def _read_only(order: Order, rng: random.Random, shop: Workshop) -> Order:
    return replace(order, read_only=(str(shop.now), str(shop.data)))


def _few_handles(order: Order, rng: random.Random, shop: Workshop) -> Order:
    return replace(order, file_handles=rng.randint(3, 14))


def _little_memory(order: Order, rng: random.Random, shop: Workshop) -> Order:
    # From nothing to enough, each order of magnitude as often.
    return replace(order, spare_memory=int(math.exp(rng.uniform(math.log(2e5), math.log(3e8)))))


def _no_shared_memory(order: Order, rng: random.Random, shop: Workshop) -> Order:
    return replace(order, no_shared_memory=True)


KILL = Fault(name="SIGKILL", codes=frozenset({-signal.SIGKILL}), signals=(signal.SIGKILL,), scraps=True)
_WORKERS = ("--workers", "1")

FAULTS: tuple[Fault, ...] = (
    KILL,
    Fault(name="SIGTERM", codes=frozenset({TERMINATED}), signals=(signal.SIGTERM,), says="Interrupted."),
    Fault(name="Ctrl-C", codes=frozenset({INTERRUPTED}), signals=(signal.SIGINT,), says="Interrupted."),
    Fault(
        name="Ctrl-C twice",
        codes=frozenset({INTERRUPTED}),
        signals=(signal.SIGINT, signal.SIGINT),
        says="Interrupted.",
    ),
    Fault(name="closed pipe", world=_closed_pipe, unheard=True),
    Fault(
        name="full disk", codes=frozenset({DISK}), small_disk=True, says="No space left", needs_mounts=True
    ),
    Fault(
        name="read-only folder",
        codes=frozenset({DISK}),
        world=_read_only,
        says="No permission to write",
        needs_mounts=True,
    ),
    Fault(name="few file handles", codes=frozenset({DISK}), world=_few_handles, says="[LEX-DISK-740"),
    Fault(name="little memory", codes=frozenset({RESOURCE}), world=_little_memory, says="[LEX-RES-"),
    Fault(
        name="no /dev/shm",
        world=_no_shared_memory,
        options={"train": _WORKERS, "train --resume": _WORKERS},
        needs_mounts=True,
    ),
    Fault(name="no HOME", environment={"HOME": None, "XDG_CACHE_HOME": None, "MPLCONFIGDIR": None}),
    Fault(name="LC_ALL=C", environment={"LC_ALL": "C", "LANG": None}),
    Fault(name="40 columns", environment={"COLUMNS": "40"}),
)

BY_FAULT: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}
