"""A file that arrives piece by piece: each piece goes to the disk at once and is hashed on the way."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from lexiseg.errors import DataError
from lexiseg.files import atomic_path, disk_errors
from lexiseg.gateway.site_key import KeyedHash


class IncomingFile:
    """A file that is not complete yet. Its temporary file is removed unless it is kept.

    Memory holds one piece at a time, so it does not grow with the file.

    Args:
        place: Where the complete file belongs.
        content_hash: Hashes the content.
        largest_mb: Largest size of the file in MB.

    Attributes:
        place: As given.

    Raises:
        DiskError: There is no space or no permission.
    """

    def __init__(self, place: Path, content_hash: KeyedHash, *, largest_mb: float) -> None:
        self.place = place
        self._hash, self._largest_mb, self._size = content_hash, largest_mb, 0
        self._temporary = ExitStack()
        beside = self._temporary.enter_context(atomic_path(place))
        with disk_errors(place):
            self._stream = open(beside, "wb", buffering=0)  # noqa: SIM115 - closed by `keep` or `discard`

    def __enter__(self) -> IncomingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.discard()

    def write(self, piece: bytes | memoryview, *, hashed: bool = True) -> None:
        """Add a piece.

        Args:
            piece: The piece.
            hashed: Whether it counts for the hash of the content.

        Raises:
            DataError: The file becomes larger than the limit.
            DiskError: There is no space.
        """
        self._size += len(piece)
        if self._size > self._largest_mb * 1e6:
            raise DataError(
                f"The image is larger than {self._largest_mb:g} MB (limits.largest_image_mb) and is not "
                "taken. Raise the limit if such images are expected.",
                code="LEX-DATA-1400",
            )
        if hashed:
            self._hash.update(piece)
        with disk_errors(self.place):
            rest = memoryview(piece)
            while rest:
                rest = rest[self._stream.write(rest) :]

    def content_hash(self) -> str:
        """Return the hash of the pieces so far; empty without any."""
        return self._hash.text()

    def keep(self) -> None:
        """Give the file its place; it is on the disk when this returns.

        Raises:
            DiskError: There is no space or no permission.
        """
        self._stream.close()
        self._temporary.close()

    def discard(self) -> None:
        """Remove the temporary file; a file that is kept stays."""
        self._stream.close()
        with suppress(_DiscardedError), self._temporary:
            raise _DiscardedError


class _DiscardedError(Exception):
    """Ends the writing of a temporary file."""
