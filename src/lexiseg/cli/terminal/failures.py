"""Failures of the machine, such as a full disk or too little memory, as errors meant for the user."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from lexiseg.errors import DiskError, LexisegError, ResourceError
from lexiseg.files import disk_error

#: How libraries say that there is no memory, in errors of any type.
_MEMORY_PHRASES = (
    "allocate memory",
    "enough memory",
    "out of memory",
    "bad_alloc",
    "unable to mmap",
    "failed to map segment",
    "could not create a primitive",  # oneDNN
    "could not create a memory",
)
_THREAD_PHRASES = ("can't start new thread", "resource temporarily unavailable")


def failure_of_the_machine(error: BaseException) -> LexisegError | None:
    """Return the error to show for a failure of the machine; None if the failure is another one.

    Args:
        error: An error that reached the command line; those that caused it are looked at too.
    """
    for cause in _causes(error):
        found = _of_the_system(cause) if isinstance(cause, OSError) else None
        found = found or _of_memory(cause)
        if found is not None:
            return found
    return None


def hide_thread_failures() -> None:
    """Print no traceback of a thread for a failure of the machine: the main thread meets it too."""

    def report(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or failure_of_the_machine(args.exc_value) is None:
            threading.__excepthook__(args)

    threading.excepthook = report


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and those that it came from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _of_the_system(error: OSError) -> LexisegError | None:
    """Return the error to show for an error of the operating system."""
    where = "the output" if error.filename is None else os.fsdecode(error.filename)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError(
            f"No space left on the disk ({where}). Free some space and run the command again.",
            code="LEX-DISK-007",
        )
    if error.errno in (errno.EIO, errno.ESTALE):
        return DiskError(
            f"The disk cannot read or write {where} ({error.strerror}). Check the disk or its connection, "
            f"and run the command again.",
            code="LEX-DISK-811",
        )
    known = disk_error(Path(where), error)
    return known if isinstance(known, LexisegError) else None


def _of_memory(error: BaseException) -> LexisegError | None:
    """Return the error to show if there is too little memory, or no room for another thread."""
    said = str(error).lower()
    no_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if no_memory or any(phrase in said for phrase in _MEMORY_PHRASES):
        return ResourceError(
            "Not enough memory. Close other programs, or choose a smaller --batch-size or --image-size, and "
            "run the command again.",
            code="LEX-RES-813",
        )
    if any(phrase in said for phrase in _THREAD_PHRASES):
        return ResourceError(
            "The system starts no more threads or processes: a limit, or too little memory. Close other "
            "programs, or raise the limit (`ulimit -u`), and run the command again.",
            code="LEX-RES-814",
        )
    return None
