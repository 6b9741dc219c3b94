"""Processes that read files which came over the network: how they are started, limited and spoken to.

A damaged or hostile file can make a decoder crash, hang or ask for all memory. It then ends such a process,
and not the server. Each message between both is two lengths (8 bytes each, big-endian), JSON, and bytes.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self, TypeVar

from lexiseg import errors
from lexiseg.errors import LexisegError, rebuild_error
from lexiseg.json_records import Record
from lexiseg.structured_text import parse_json

HEAD = struct.Struct(">QQ")

#: Where such a process runs.
CHILD_FOLDER = Path(sys.prefix)

# What it needs of the environment; secrets of the server are not among it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "VIRTUAL_ENV")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


R = TypeVar("R", bound=Record)


class ChildAnswer(Record):
    """What such a process answers.

    Attributes:
        error: Class, code and message of the error of a file that cannot be read; None without one.
    """

    error: tuple[str, str, str] | None = None

    @classmethod
    def of_error(cls, error: LexisegError) -> Self:
        """Return the answer that names an error."""
        return cls(error=(type(error).__name__, error.code, str(error)))

    def raise_error(self) -> None:
        """Raise the error that it names, if any.

        Raises:
            LexisegError: The error of the process.
        """
        if self.error is not None:
            kind, code, message = self.error
            raise rebuild_error(getattr(errors, kind), message, code)


def child_command(module: str, memory: int) -> tuple[str, ...]:
    """Return the command that starts a process.

    Args:
        module: Module with a `main`.
        memory: Most bytes of its memory.
    """
    return (sys.executable, "-m", module, str(memory))


def child_environment() -> dict[str, str]:
    """Return the environment of a process."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _ONE_THREAD


def limit_memory(most: int) -> None:
    """Limit the memory of this process, and let it write no file; where the system can.

    Args:
        most: Bytes.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return
    for kind, wanted in ((resource.RLIMIT_AS, most), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (limit, hard))


def write_message(to: IO[bytes], record: Record, content: bytes | memoryview = b"") -> None:
    """Send a message.

    Args:
        to: The stream.
        record: What it says.
        content: The bytes that follow.

    Raises:
        OSError: The other side has gone.
    """
    about = record.model_dump_json().encode()
    to.write(HEAD.pack(len(about), len(content)))
    to.write(about)
    to.write(content)
    to.flush()


def answer_requests(kind: type[R], answer: Callable[[R, bytes], tuple[ChildAnswer, bytes]]) -> None:
    """Answer one request of the standard input after the other until it ends, on the standard output.

    Args:
        kind: The record of a request.
        answer: Returns the answer to a request and the bytes after it, and the bytes that follow the answer.
    """
    read, write = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not mix with the answers.
    sys.stdout = sys.stderr
    while head := read.read(HEAD.size):
        size, length = HEAD.unpack(head)
        request = kind.model_validate(parse_json(read.read(size)))
        write_message(write, *answer(request, read.read(length)))
