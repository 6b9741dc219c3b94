"""Where images come from that are no files of this computer: URLs, and members of tar archives.

URLs are read through fsspec, so every file system that it knows works, such as s3, gs, https and memory. An
image is copied to a file in small parts, and never more than `MAX_IMAGE_BYTES` of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lexiseg.data.file_limits import refuse_large
from lexiseg.errors import DataError
from lexiseg.inference.remote.file_systems import (
    file_system,
    is_url,
    is_web_address,
    remote_errors,
    server_of,
    shown_url,
)
from lexiseg.open_files import open_errors

#: Bytes of an archive that are read at a time.
_PART_BYTES = 8 << 20


class ImageSource(Protocol):
    """Where an image comes from that is no file of this computer."""

    @property
    def label(self) -> str:
        """What the image is called in results and messages."""
        ...

    @property
    def local_file(self) -> Path | None:
        """The file of this computer that holds the image; None for a URL."""
        ...

    @property
    def server(self) -> str | None:
        """The protocol and the bucket or host of a URL; None for a file of this computer."""
        ...

    def copy_to(self, file: Path) -> None:
        """Write the content of the image file to a file.

        Args:
            file: An empty file.

        Raises:
            DataError: It is gone, cannot be read, or is too large.
            UsageError: There are no credentials.
            OSError: The file cannot be written.
        """
        ...


def files_that_tell(files: tuple[Path, ...], copied_from: str | None) -> tuple[Path, ...]:
    """Return the files of this computer whose times tell whether an image or a volume was changed.

    Args:
        files: Its files.
        copied_from: The archive or the address of which they are private copies, which each command makes
            anew; None where they are no copies.

    Returns:
        The files themselves, or the archive; none for an address, where nothing tells it.
    """
    if copied_from is None:
        return files
    return () if is_url(copied_from) else (Path(copied_from),)


@dataclass(frozen=True)
class RemoteFile:
    """An image at a URL."""

    url: str

    @property
    def label(self) -> str:
        """The URL, without a key."""
        return shown_url(self.url)

    @property
    def local_file(self) -> Path | None:
        """None: it is on another computer."""
        return None

    @property
    def server(self) -> str | None:
        """The protocol and the bucket or host."""
        return server_of(self.url)

    def copy_to(self, file: Path) -> None:
        """Write the content of the image file to a file; see `ImageSource.copy_to`."""
        from fsspec.callbacks import Callback

        label = self.label

        class Bounded(Callback):  # type: ignore[misc]  # fsspec has no types
            """Stops a transfer that is too large, at the latest when too much has come."""

            def call(self, *_: object, **__: object) -> None:
                refuse_large(label, max(self.size or 0, self.value))

        system, path = file_system(self.url)
        with remote_errors(self.url):
            system.get_file(path, str(file), callback=Bounded())


@dataclass(frozen=True)
class TarMember:
    """An image in a tar archive that is not compressed.

    Attributes:
        archive: Path or URL of the archive.
        name: Name of the member.
        offset: Where its content begins in the archive, in bytes.
        size: Length of its content in bytes.
    """

    archive: str
    name: str
    offset: int
    size: int

    @property
    def label(self) -> str:
        """The archive and the member, as in "shard.tar::a.png"."""
        return f"{shown_url(self.archive)}::{self.name}"

    @property
    def local_file(self) -> Path | None:
        """The archive, where it is a file of this computer."""
        return None if is_url(self.archive) else Path(self.archive)

    @property
    def server(self) -> str | None:
        """The protocol and the bucket or host of the archive, where it is at a URL."""
        return server_of(self.archive) if is_url(self.archive) else None

    def copy_to(self, file: Path) -> None:
        """Write the content of the member to a file; see `ImageSource.copy_to`."""
        refuse_large(self.label, self.size)
        with open(file, "wb") as copy:
            for part in self._parts():
                copy.write(part)
            written = copy.tell()
        if written != self.size:
            raise DataError(
                f"{shown_url(self.archive)} ends in the middle of {self.name}: the archive was cut or "
                "changed. Copy it again.",
                code="LEX-DATA-1287",
            )

    def _parts(self) -> Iterator[bytes]:
        """Yield the content in parts; fewer bytes than `size` where the archive ends before."""
        end = self.offset + self.size
        if not is_url(self.archive):
            with tar_errors(self.archive), open(self.archive, "rb") as archive:
                archive.seek(self.offset)
                while part := archive.read(min(_PART_BYTES, end - archive.tell())):
                    yield part
            return
        for start in range(self.offset, end, _PART_BYTES):
            with remote_errors(self.archive):
                part = _remote_part(self.archive, start, min(start + _PART_BYTES, end))
            yield part


def _remote_part(archive: str, start: int, end: int) -> bytes:
    """Return the bytes of an archive at a URL from one position to another.

    Raises:
        DataError: The server of the archive sends whole files only.
    """
    system, path = file_system(archive)
    if not is_web_address(archive):
        part: bytes = system.cat_file(path, start=start, end=end)
        return part
    # A web server may answer with the whole file, of which `cat_file` would read all.
    try:
        with system.open(path, "rb", cache_type="none", size=end) as file:
            file.seek(start)
            part = file.read(end - start)
    except ValueError as error:
        raise whole_files_only(archive) from error
    return part


def whole_files_only(archive: str) -> DataError:
    """Return the error of an archive at a URL of which no parts can be read."""
    return DataError(
        f"{shown_url(archive)} cannot be read in parts: its server sends whole files only. Download the "
        "archive, and predict the copy.",
        code="LEX-DATA-1478",
    )


@contextmanager
def tar_errors(archive: str) -> Iterator[None]:
    """Turn errors of reading an archive of this computer into errors meant for the user.

    Raises:
        DataError: It does not exist or cannot be read.
    """
    try:
        with open_errors(archive):
            yield
    except OSError as error:
        raise DataError(
            f"{archive} cannot be read: {error.strerror or error}. Check the path and its permissions.",
            code="LEX-DATA-1290",
        ) from error


@contextmanager
def opened_archive(archive: str) -> Iterator[io.BufferedIOBase]:
    """Open an archive, of this computer or at a URL, for reading.

    Raises:
        DataError: It does not exist or cannot be read.
        UsageError: There are no credentials.
    """
    if is_url(archive):
        system, path = file_system(archive)
        with remote_errors(archive), system.open(path, "rb") as file:
            yield file
    else:
        with tar_errors(archive), open(archive, "rb") as file:
            yield file
