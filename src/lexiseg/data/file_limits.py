"""How large an image file may be, wherever it comes from, and how much of an archive is read at once."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import BinaryIO

from lexiseg.errors import DataError

#: Bytes of an image file that is read: of this computer, at a URL, or in an archive. The pixels that are read
#: (`lexiseg.data.decoding.container.pixel_limit`) take fewer, except in files with many frames.
MAX_IMAGE_BYTES = 2 << 30

# Headers of tar archives, such as long names, are read at once; contents are read in small parts.
_MAX_HEADER_BYTES = 1 << 20


def refuse_large(name: str | Path, size: int) -> None:
    """Refuse an image file that is too large to be read.

    Args:
        name: What messages call it.
        size: Its bytes, or those that came so far.

    Raises:
        DataError: It is larger than `MAX_IMAGE_BYTES`.
    """
    if size > MAX_IMAGE_BYTES:
        raise DataError(
            f"{name} is too large: expected an image file of at most {MAX_IMAGE_BYTES:,} bytes, got "
            f"{size:,} or more. Save it with fewer pixels or frames, or cut it into tiles.",
            code="LEX-DATA-1475",
        )


class TarStream(io.BufferedIOBase):
    """The bytes of a tar archive, for a reader that believes every length that the archive declares.

    Args:
        file: The archive, decompressed.
    """

    def __init__(self, file: BinaryIO | io.BufferedIOBase) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        """Read some bytes.

        Raises:
            tarfile.ReadError: More are wanted at once than any header has.
        """
        if size is None or not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header declares {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True
