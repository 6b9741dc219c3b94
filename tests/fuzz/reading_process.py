"""A process that reads hostile inputs, with limits on memory and time, and says what came of each.

It is forked from a server that has only loaded modules: a fork of a test process, with its threads, can crash
by itself, and what it holds by then is no part of an input.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from targets import TARGETS, Files

#: What one input may take: processor seconds, seconds by the clock (a busy machine is no fault), and bytes.
CPU_LIMIT_S = 5
CLOCK_LIMIT_S = 120
MEMORY_LIMIT = 1 << 30

Result = Literal["read", "refused", "fault", "slow", "memory"]

#: What the server of processes loads; names that only `sys.path` of this process finds are left out there.
_MODULES = [
    "hypothesis",
    "pandas",
    "tifffile",
    *sorted({name for t in TARGETS.values() for name in t.imports}),
]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one input may take.

    Attributes:
        cpu_s: Processor seconds.
        memory: Bytes.
    """

    cpu_s: int
    memory: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one input.

    Attributes:
        result: "read", "refused" with an error of Lexiseg, or what went wrong.
        detail: The error's code, or the traceback.
        seconds: Processor time.
        memory: Bytes beyond those that the process held before.
    """

    result: Result
    detail: str = ""
    seconds: float = 0.0
    memory: int = 0


class ReadingProcess:
    """Reads inputs of one target in a process that is started again after it was ended.

    Args:
        target: Name of the target.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._limits = Limits(cpu_s=CPU_LIMIT_S, memory=MEMORY_LIMIT)
        handle, crash = tempfile.mkstemp(prefix="lexiseg-fuzz-crash-")
        os.close(handle)
        self._crash = Path(crash)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        # Only the first process of all starts the server; it loads what the targets need, so that the others
        # start at once.
        context.set_forkserver_preload(_MODULES)
        self._pipe, other = context.Pipe()
        arguments = (TARGETS[self._target].read, other, self._limits, self._crash)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def read(self, files: Files) -> Outcome:
        """Read one input."""
        try:
            self._pipe.send(dict(files))
            if self._pipe.poll(CLOCK_LIMIT_S):
                outcome: Outcome = self._pipe.recv()
                return outcome
            why = "slow"
        except (EOFError, ConnectionError):
            self._process.join()
            why = "slow" if self._process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL) else "fault"
        # Where it crashed, then how it ended: the last line names the kind of a fault.
        detail = f"{self._crash.read_text()}\nthe process ended with {self._process.exitcode}"
        self._end()
        self._start()
        return Outcome(result=why, detail=detail, seconds=float(self._limits.cpu_s))  # type: ignore[arg-type]

    def close(self) -> None:
        """End the process."""
        self._end()
        self._crash.unlink(missing_ok=True)

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(read: Callable[[Path], None], pipe: Connection, limits: Limits, crash: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    # What a library prints about a damaged file is not of interest.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    trace = crash.open("w")
    faulthandler.enable(trace)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    while True:
        try:
            files = pipe.recv()
        except EOFError:
            return
        folder = Path(tempfile.mkdtemp(prefix="lexiseg-fuzz-", dir=base))
        try:
            pipe.send(_outcome(read, folder / "input", files, limits))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _outcome(read: Callable[[Path], None], folder: Path, files: Files, limits: Limits) -> Outcome:
    from lexiseg.errors import LexisegError

    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = _memory("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the largest memory so far
    _limit(limits)
    begun = time.process_time()
    result: Result = "read"
    detail = ""
    try:
        read(folder)
    except LexisegError as error:
        result, detail = "refused", error.code
        if not str(error).strip():
            result, detail = "fault", "an error without a message"
    except MemoryError:
        result, detail = "memory", traceback.format_exc()[-1500:]
    except BaseException:
        result, detail = "fault", traceback.format_exc()[-1500:]
    seconds, memory = time.process_time() - begun, max(0, _memory("VmHWM") - before)
    if result in ("read", "refused") and seconds > limits.cpu_s:
        result = "slow"
    if result in ("read", "refused") and memory > limits.memory:
        result = "memory"
    return Outcome(result=result, detail=detail, seconds=seconds, memory=memory)


def _limit(limits: Limits) -> None:
    """Let this process use so much more memory and time, and no more."""
    held = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (held + 2 * limits.memory, resource.RLIM_INFINITY))
    used = int(time.process_time()) + 2 * limits.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (used, resource.RLIM_INFINITY))


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field}")
