"""Processes that read files which came over the network: how they are started, limited and spoken to.

A damaged or hostile file can make a decoder crash, hang or ask for all memory. It then ends such a process,
and not the server. Each message between both is two lengths (8 bytes each, big-endian), JSON, and bytes.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import IO

from lexiseg.json_records import Record

HEAD = struct.Struct(">QQ")

#: Where such a process runs.
CHILD_FOLDER = Path(sys.prefix)

# What it needs of the environment; secrets of the server are not among it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "VIRTUAL_ENV")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


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
