"""Standard output and error whose reader may end first: a closed pipe ends no work.

In `lexiseg predict ... | head -1` the reader ends after one line. Further lines are dropped, the work is
finished, and the exit code is that of the work.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _OpenOutput(io.FileIO):
    """An output whose text is dropped once nobody reads it."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes, or drop them."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(memoryview(data))


def ignore_closed_pipes() -> None:
    """Replace standard output and error; characters that they cannot show are written as escapes."""
    if sys.platform == "win32":
        return
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: object) -> io.TextIOWrapper:
    # Streams of tests and notebooks are of another type; None stands for one that was closed from the start.
    if type(stream) is not io.TextIOWrapper:
        return stream  # type: ignore[return-value]
    if isinstance(getattr(stream.buffer, "raw", stream.buffer), _OpenOutput):
        return stream
    stream.flush()
    raw = _OpenOutput(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
