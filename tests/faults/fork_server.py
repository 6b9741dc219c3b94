"""A process that has imported everything and forks for each command, which so starts in milliseconds.

Reads one order per line from stdin, answers with the process id and, when the command has ended, with its
exit code. With `--once ARGUMENTS` it runs one command in this very process, which then starts as users
start it.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import resource
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18

#: Signals wait in a fork until the command handles them: before, any program dies of them.
_WAITING = (signal.SIGINT, signal.SIGTERM)

#: What the commands import.
_IMPORTED = (
    "lexiseg.cli.app",
    "lexiseg.data.check.dataset_check",
    "lexiseg.data.public.dataset_import",
    "lexiseg.describing.describe",
    "lexiseg.describing.multimodal.ask_model",
    "lexiseg.describing.multimodal.server_model",
    "lexiseg.evaluation",
    "lexiseg.evaluation.fitting.calibration",
    "lexiseg.gateway.sources.dicom_receiver",
    "lexiseg.gateway.single_pass",
    "lexiseg.inference.batches.batch",
    "lexiseg.inference.volumes.batch",
    "lexiseg.studies.audit",
    "lexiseg.training.train",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "nibabel",
    "openai",
    "openpyxl",
    "pandas",
    "tensorboard.compat.tensorflow_stub",
    "timm",
    "torch.utils.tensorboard",
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One command line, and the world that it finds.

    Attributes:
        arguments: What stands after `lexiseg`.
        folder: Working folder.
        stdout: File for standard output; None: a pipe whose reader has gone.
        stderr: File for standard error.
        spare_memory: Bytes of address space beyond those of the waiting server; None: no limit.
        file_handles: Number of files that may be open; None: no limit.
        read_only: Folders that cannot be written to.
        no_shared_memory: Whether /dev/shm is missing.
    """

    arguments: tuple[str, ...]
    folder: str
    stdout: str | None
    stderr: str
    spare_memory: int | None = None
    file_handles: int | None = None
    read_only: tuple[str, ...] = field(default=())
    no_shared_memory: bool = False

    def line(self) -> str:
        """Return the order as one line."""
        return json.dumps(asdict(self))


def own_mounts() -> ctypes.CDLL:
    """Give this process mounts of its own, which end with it; raise OSError without the right to."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "mounts of its own")
    return libc


def _make_read_only(libc: ctypes.CDLL, folder: str) -> None:
    place = os.fsencode(folder)
    bound = libc.mount(place, place, None, _MS_BIND, None)
    if bound or libc.mount(place, place, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, None):
        raise OSError(ctypes.get_errno(), folder)


def _become(order: Order) -> None:
    """Turn a fork of the server into the process of a command."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if order.stdout is None:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
    else:
        os.dup2(os.open(order.stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(os.open(order.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.closerange(3, 256)
    os.chdir(order.folder)
    if order.read_only or order.no_shared_memory:
        libc = own_mounts()
        for folder in order.read_only:
            _make_read_only(libc, folder)
        if order.no_shared_memory:
            # An empty folder that takes no file: what a container without shared memory shows.
            libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", _MS_RDONLY, b"size=4k")
    if order.spare_memory is not None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + order.spare_memory,) * 2)
    if order.file_handles is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order.file_handles,) * 2)
    sys.argv = ["lexiseg", *order.arguments]


def _import_all() -> None:
    """Import what the commands import, so that no fork has to."""
    import importlib

    for name in _IMPORTED:
        importlib.import_module(name)


def end_quickly() -> None:
    """Run the command and end as the interpreter does, but without taking apart what the server imported.

    That takes two seconds, ten times as long as most commands.
    """
    from lexiseg.cli import main
    from lexiseg.cli.terminal.signals import SignalHandlers

    install = SignalHandlers.install

    def install_and_let_through(handlers: SignalHandlers) -> None:
        install(handlers)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITING)

    SignalHandlers.install = install_and_let_through  # type: ignore[method-assign]
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        code = 1
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # the interpreter's own
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def serve() -> None:
    """Fork for each order; returns in the forks alone, and ends when there are no more orders."""
    _import_all()
    gc.collect()
    gc.freeze()  # a collection in a fork leaves the pages of the server shared
    print("ready", flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)
        child = os.fork()
        if child == 0:
            _become(order)
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITING)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


if __name__ == "__main__":
    once = sys.argv[1:2] == ["--once"]
    if not once or sys.argv[2] in ("train", "audit"):  # the others start without what training imports
        from tests.faults.tiny_engine import use_tiny_engine

        use_tiny_engine()
    if once:
        sys.argv = ["lexiseg", *sys.argv[2:]]
    else:
        serve()
        end_quickly()
    from lexiseg.cli import main

    # Not in a function: errors end this process as they end `python -m lexiseg`.
    main()
