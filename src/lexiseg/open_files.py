"""Too many open files: an error that says nothing about the file that was not opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import DiskError

#: Code of the error.
NO_HANDLE_CODE = "LEX-DISK-740"
_NO_HANDLE = {errno.EMFILE, errno.ENFILE}


def too_many_open(path: str | Path, error: Exception) -> DiskError | None:
    """Return the error for a file that was not opened because too many are open; None for another error.

    Such an error says nothing about the file. Libraries raise it as errors of their own, with the text of the
    system or with another one ("No such file"); the file is opened once more where an error has no number.

    Args:
        path: The file.
        error: What the system or a library said.
    """
    if isinstance(error, OSError) and error.errno is not None:
        found = error.errno in _NO_HANDLE
    else:
        found = any(os.strerror(number) in str(error) for number in _NO_HANDLE) or _is_refused(path)
    if not found:
        return None
    return DiskError(
        f"{path} cannot be opened: too many files are open. Raise the limit (`ulimit -n 4096`), or "
        "close other programs.",
        code="LEX-DISK-740",
    )


@contextmanager
def open_errors(path: str | Path) -> Iterator[None]:
    """Name too many open files as the reason why a file is not opened; other errors stay as they are.

    Args:
        path: The file.

    Raises:
        DiskError: Too many files are open.
    """
    try:
        yield
    except OSError as error:
        no_handle = too_many_open(path, error)
        if no_handle is None:
            raise
        raise no_handle from error


def _is_refused(path: str | Path) -> bool:
    """Return whether too many open files keep the system from opening one more."""
    try:
        # Without waiting, as for a pipe.
        os.close(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
    except OSError as error:
        return error.errno in _NO_HANDLE
    return False
