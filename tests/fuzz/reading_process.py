"""A process that reads hostile inputs, with limits on memory and time, and says what came of each."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
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
        for module in TARGETS[target].imports:  # before the fork, so that a new process starts at once
            importlib.import_module(module)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._target, other), daemon=True)
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
        code = self._process.exitcode
        self.close()
        self._start()
        return Outcome(result=why, detail=f"the process ended with {code}", seconds=float(CPU_LIMIT_S))  # type: ignore[arg-type]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(target: str, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    # What a library prints about a damaged file is not of interest.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    while True:
        try:
            files = pipe.recv()
        except EOFError:
            return
        folder = Path(tempfile.mkdtemp(prefix="lexiseg-fuzz-", dir=base))
        try:
            pipe.send(_outcome(target, folder / "input", files))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _outcome(target: str, folder: Path, files: Files) -> Outcome:
    from lexiseg.errors import LexisegError

    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = _memory("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the largest memory so far
    _limit()
    begun = time.process_time()
    result: Result = "read"
    detail = ""
    try:
        TARGETS[target].read(folder)
    except LexisegError as error:
        result, detail = "refused", error.code
        if not str(error).strip():
            result, detail = "fault", "an error without a message"
    except MemoryError:
        result, detail = "memory", traceback.format_exc()[-1500:]
    except BaseException:
        result, detail = "fault", traceback.format_exc()[-1500:]
    seconds, memory = time.process_time() - begun, max(0, _memory("VmHWM") - before)
    if result in ("read", "refused") and seconds > CPU_LIMIT_S:
        result = "slow"
    if result in ("read", "refused") and memory > MEMORY_LIMIT:
        result = "memory"
    return Outcome(result=result, detail=detail, seconds=seconds, memory=memory)


def _limit() -> None:
    """Let this process use so much more memory and time, and no more."""
    held = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (held + 2 * MEMORY_LIMIT, resource.RLIM_INFINITY))
    used = int(time.process_time()) + 2 * CPU_LIMIT_S
    resource.setrlimit(resource.RLIMIT_CPU, (used, resource.RLIM_INFINITY))


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field}")
