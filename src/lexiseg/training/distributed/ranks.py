"""The processes of one training on several devices, of one machine or of several.

Each process is a rank. Rank 0 decides and writes; all compute the same steps on their parts of each batch. A
launcher such as torchrun starts the ranks of several machines; those of one machine are started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from lexiseg.errors import LexisegError, ResourceError, UsageError
from lexiseg.printable import counted
from lexiseg.structured_text import parse_json
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.distributed.joining import POLL_S, STARTED, join_limit, meet, missing
from lexiseg.training.distributed.lost_ranks import lost_said, remedy_of

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store, TCPStore

#: A rank that waits longer for the others than this has lost them.
_PATIENCE = timedelta(minutes=30)
#: Seconds in which a rank that is told to stop must end.
_END_S = 10.0

#: The variables of launchers: number and count of the processes, of all and of those of the machine.
_LAUNCHED: tuple[str, ...] = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_SLURM: tuple[str, ...] = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
#: Where SLURM says how many processes a machine has; that of this `srun` first.
_SLURM_TASKS = ("SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
_WITH_LAUNCHER = "Start the processes with torchrun (`python3 -m torch.distributed.run`), or set it"
_WITH_SLURM = "Start the processes with `srun`, in a job with `#SBATCH --ntasks-per-node`"

_RANK_CODE = "from lexiseg.training.train import train_as_rank; train_as_rank()"


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The place of this process among those of the training.

    Attributes:
        rank: Its number, from 0.
        size: Number of processes.
        local_rank: Its number on its machine, which is that of its device.
        local_size: Number of processes of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process decides and writes."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return self.size > 1

    def agree(self, value: Any) -> Any:
        """Return the value of rank 0, in all processes; they wait for each other."""
        if not self.several:
            return value
        found = [value]
        dist.broadcast_object_list(found, src=0)
        return found[0]


#: A training in one process.
ALONE = Ranks()


def launched_ranks() -> Ranks | None:
    """Return the place of this process where torchrun or SLURM started it as one of several; else None.

    Raises:
        UsageError: A variable that the launcher should set is missing or is no number, or the machines have
            different numbers of processes.
    """
    environment = os.environ
    if "MASTER_ADDR" not in environment:
        return None
    by_slurm = "SLURM_NTASKS" in environment and any(name not in environment for name in _LAUNCHED)
    if not by_slurm and all(name not in environment for name in _LAUNCHED):
        return None
    names, remedy = (_SLURM, _WITH_SLURM) if by_slurm else (_LAUNCHED, _WITH_LAUNCHER)
    size = _number(names[1], remedy)
    if size < 2:
        return None
    rank, local_rank = _number(names[0], remedy), _number(names[2], remedy)
    local_size = _slurm_tasks_per_node() if by_slurm else _number(names[3], remedy)
    _number("MASTER_PORT", "Set it to a free port of the first machine, as in `export MASTER_PORT=29500`")
    if local_size < 1 or size % local_size or rank >= size or local_rank >= local_size:
        raise UsageError(
            f"The launcher says that this is process {rank} of {size}, counted from 0, and process "
            f"{local_rank} of {local_size} on its machine, but each machine must have the same number of "
            "processes. Start the same number on each, as with --ntasks-per-node or --nproc-per-node.",
            code="LEX-USE-1823",
        )
    return Ranks(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def _number(name: str, remedy: str) -> int:
    """Return a whole number that a launcher sets as a variable."""
    value = os.environ.get(name)
    if value is not None and value.isascii() and value.isdigit():
        return int(value)
    found = "it is not set" if value is None else f"it is {value!r}"
    raise UsageError(
        f"{name}: MASTER_ADDR is set and a launcher started several processes, so {name} must be a whole "
        f"number, but {found}. {remedy}. To train in one process, unset MASTER_ADDR.",
        code="LEX-USE-1822",
    )


def _slurm_tasks_per_node() -> int:
    """Return the number of processes of this machine, which is that of each machine."""
    name = next((name for name in _SLURM_TASKS if name in os.environ), "SLURM_NTASKS_PER_NODE")
    # Such as "4", or "4(x2)" for two machines with 4 each; "4,3" is refused.
    equal = re.fullmatch(r"(\d+)\(x\d+\)", os.environ.get(name, ""), re.ASCII)
    return int(equal[1]) if equal is not None else _number(name, _WITH_SLURM)


def check_devices(config: TrainConfig, ranks: Ranks | None) -> None:
    """Refuse numbers of devices that do not fit batch, machine or launcher.

    Args:
        config: The configuration.
        ranks: The place of this process where a launcher started it.

    Raises:
        UsageError: They do not fit.
    """
    size = config.devices if ranks is None else ranks.size
    if ranks is not None and config.devices not in (1, ranks.local_size):
        raise UsageError(
            f"devices: the launcher started {counted(ranks.local_size, 'process', 'processes')} on this "
            f"machine, but devices is {config.devices}. Leave --devices out: the launcher decides.",
            code="LEX-USE-1287",
        )
    if config.batch_size % size:
        raise UsageError(
            f"batch_size: expected a multiple of the {size} processes, as each gets an equal part of a "
            f"batch; got {config.batch_size}. Choose another --batch-size.",
            code="LEX-USE-1288",
        )
    found = torch.cuda.device_count()
    local = config.devices if ranks is None else ranks.local_size
    if uses_cuda(config) and local > found:
        raise UsageError(
            f"devices: this machine has {counted(found, 'CUDA device')}; asked for: {local}. Choose a "
            "smaller --devices, or --device cpu.",
            code="LEX-USE-1289",
        )


def uses_cuda(config: TrainConfig) -> bool:
    """Return whether a training computes on CUDA devices."""
    return config.accelerator in ("cuda", "gpu") or (
        config.accelerator == "auto" and torch.cuda.is_available()
    )


@contextlib.contextmanager
def process_group(config: TrainConfig, request: Mapping[str, Any]) -> Iterator[Ranks]:
    """Join the processes of a training, and start those of this machine where no launcher did.

    Args:
        config: The configuration.
        request: What the other processes of this machine train, as JSON values; see `train_as_rank`.

    Raises:
        ResourceError: Another process of the training ended.
        UsageError: The number of devices does not fit.
    """
    ranks = launched_ranks()
    check_devices(config, ranks)
    if ranks is not None:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        out = Path(request["out"])
        store = meet(ranks.rank, ranks.size, address, out)
        store.set_timeout(_PATIENCE)
        with lost_said(out), _joined(ranks, config, store):
            yield ranks
        return
    if config.devices == 1:
        yield ALONE
        return
    if not uses_cuda(config) and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_threads(config.devices))
    with _started_ranks(config, request) as ranks:
        yield ranks


@contextlib.contextmanager
def _started_ranks(config: TrainConfig, request: Mapping[str, Any]) -> Iterator[Ranks]:
    """Start the other processes of this machine, and join them as the first one."""
    first = Ranks(size=config.devices, local_size=config.devices)
    store = _store(0, first)
    threads = str(_threads(config.devices))
    with contextlib.ExitStack() as stack:
        others = [
            stack.enter_context(_other_rank({**request, "rank": n, "port": store.port}, threads))
            for n in range(1, first.size)
        ]
        try:
            _wait_for(others, store, Path(request["out"]))
            with _joined(first, config, store):
                yield first
        except (RuntimeError, dist.DistError) as error:
            if isinstance(error, LexisegError):
                raise
            said = _failure(others)
            if said is None:
                raise
            raise ResourceError(
                f"A process of the training ended: {said} {remedy_of(Path(request['out']))}",
                code="LEX-RES-1282",
            ) from error


def _store(port: int, ranks: Ranks) -> TCPStore:
    """Return where the processes of this machine meet; the first one serves it, at a free port for 0."""
    store: TCPStore = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, ranks.size, ranks.is_first, timeout=_PATIENCE, wait_for_workers=False
    )
    return store


def _wait_for(others: Sequence[_OtherRank], store: Store, out: Path) -> None:
    """Return when the other processes have started; torch alone would not notice one that ends before.

    Raises:
        ResourceError: One does not start in time.
        RuntimeError: One ended.
    """
    end = time.monotonic() + join_limit().total_seconds()
    while (count := store.add(STARTED, 0)) < len(others):
        if any(other.process.poll() is not None for other in others):
            raise RuntimeError("A process of the training ended before it joined the others.")
        if time.monotonic() > end:
            raise missing(count + 1, len(others) + 1, out)
        time.sleep(POLL_S)


@contextlib.contextmanager
def joined_rank(rank: int, size: int, port: int, config: TrainConfig) -> Iterator[Ranks]:
    """Join the processes of a training as one that rank 0 started on the same machine.

    Args:
        rank: The number of this process.
        size: Number of processes.
        port: Where rank 0 listens.
        config: The configuration.
    """
    ranks = Ranks(rank=rank, size=size, local_rank=rank, local_size=size)
    store = _store(port, ranks)
    store.add(STARTED, 1)
    with _joined(ranks, config, store):
        yield ranks


@contextlib.contextmanager
def _joined(ranks: Ranks, config: TrainConfig, store: Store) -> Iterator[None]:
    """Join the processes of a training, which meet at a store."""
    cuda = uses_cuda(config)
    if cuda:
        # Else all processes of a machine exchange objects on its first device.
        torch.cuda.set_device(ranks.local_rank)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        store=store,
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def _threads(processes: int) -> int:
    """Return the threads of each process where several share the cores."""
    return max(1, (os.cpu_count() or 1) // processes)


@dataclass(frozen=True)
class _OtherRank:
    """A process that this one started.

    Attributes:
        process: The process.
        said: What it writes on its standard error stream.
    """

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def failure(self) -> str | None:
        """Return what it said last; None if it has not failed."""
        if self.process.poll() in (None, 0):
            return None
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.process.returncode}."


def _failure(others: Sequence[_OtherRank]) -> str | None:
    """Return what a process that fails now says; None if none does."""
    end = time.monotonic() + _END_S
    while True:
        for other in others:
            said = other.failure()
            if said is not None:
                return said
        if time.monotonic() > end:
            return None
        time.sleep(POLL_S)


@contextlib.contextmanager
def _other_rank(request: Mapping[str, Any], threads: str) -> Iterator[_OtherRank]:
    """Start a rank of this machine, and end it where this one is done with it."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _RANK_CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            # Ctrl-C is for rank 0, which ends the others.
            start_new_session=True,
            env={"OMP_NUM_THREADS": threads, **os.environ},
        )
        try:
            assert process.stdin is not None
            # One that ended at once reads nothing; who waits for it notices.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(request).encode())
            yield _OtherRank(process, said)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        finally:
            process.kill()
            process.wait()


def rank_request() -> dict[str, Any]:
    """Return what a rank that rank 0 started reads from its standard input."""
    request: dict[str, Any] = parse_json(sys.stdin.buffer.read())
    return request


def request_of(data: str | Path, out: Path, config: TrainConfig, *, resume: bool) -> dict[str, Any]:
    """Return what the other ranks of this machine train."""
    return {
        "data": str(data),
        "out": str(out),
        "resume": resume,
        "config": config.model_dump(mode="json"),
        "size": config.devices,
    }
