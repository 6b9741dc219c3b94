"""Where images come from that are no files of this computer: URLs, and members of tar archives.

URLs are read through fsspec, so every file system that it knows works, such as s3, gs, https and memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.extras import install_hint

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

#: Errors of credentials, by the names of their classes: their packages need not be installed.
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "DefaultCredentialsError",
    "RefreshError",
}
_REFUSED = {401, 403}


def is_url(path: str) -> bool:
    """Return whether a text is a URL, such as "s3://bucket/a.png"."""
    return _URL.match(path) is not None


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

    def read(self) -> bytes:
        """Return the content of the image file.

        Raises:
            DataError: It is gone or cannot be read.
            UsageError: There are no credentials.
        """
        ...


@dataclass(frozen=True)
class RemoteFile:
    """An image at a URL."""

    url: str

    @property
    def label(self) -> str:
        """The URL."""
        return self.url

    @property
    def local_file(self) -> Path | None:
        """None: it is on another computer."""
        return None

    def read(self) -> bytes:
        """Return the content of the image file; see `ImageSource.read`."""
        system, path = file_system(self.url)
        with remote_errors(self.url):
            content: bytes = system.cat_file(path)
        return content


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
        return f"{self.archive}::{self.name}"

    @property
    def local_file(self) -> Path | None:
        """The archive, where it is a file of this computer."""
        return None if is_url(self.archive) else Path(self.archive)

    def read(self) -> bytes:
        """Return the content of the member; see `ImageSource.read`."""
        if is_url(self.archive):
            system, path = file_system(self.archive)
            with remote_errors(self.archive):
                content: bytes = system.cat_file(path, start=self.offset, end=self.offset + self.size)
        else:
            with tar_errors(self.archive), open(self.archive, "rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        if len(content) != self.size:
            raise DataError(
                f"{self.archive} ends in the middle of {self.name}: the archive was cut or changed. Copy it "
                "again.",
                code="LEX-DATA-1287",
            )
        return content


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        UsageError: The kind of URL is unknown, its package is not installed, or there are no credentials.
    """
    scheme = url.partition("://")[0]
    try:
        import fsspec.core

        with remote_errors(url):
            system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{url} needs packages that are not installed ({error}). {install_hint('cloud')}",
            code="LEX-USE-1282",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{url} cannot be used: {error}. Expected a path, or a URL such as s3://, gs:// or https://; "
            f"'{scheme}' is none that is known here.",
            code="LEX-USE-1283",
        ) from error
    return system, str(path)


@contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Turn errors of reading or writing a URL into errors meant for the user.

    Raises:
        UsageError: Credentials are missing or not accepted.
        DataError: It does not exist, or the network or the server failed.
    """
    try:
        yield
    except (LexisegError, ImportError, ValueError):
        raise
    except Exception as error:  # each file system of fsspec has errors of its own
        if _lacks_credentials(error):
            raise UsageError(
                f"No access to {url}: credentials are missing or not accepted ({_short(error)}). For s3://, "
                "run `aws configure` or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for gs://, run "
                "`gcloud auth application-default login`.",
                code="LEX-USE-1284",
            ) from error
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{url} does not exist.", code="LEX-DATA-1288") from error
        raise DataError(
            f"{url} cannot be reached ({_short(error)}). Check the address and the network; finished work is "
            "kept, so run the command again then.",
            code="LEX-DATA-1289",
        ) from error


def _lacks_credentials(error: BaseException) -> bool:
    """Return whether an error, or one that caused it, is about credentials."""
    seen: Any = error
    while seen is not None:
        status = getattr(seen, "status", None) or getattr(seen, "code", None)
        if isinstance(seen, PermissionError) or type(seen).__name__ in _NO_CREDENTIALS or status in _REFUSED:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _short(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__)[:200]


@contextmanager
def tar_errors(archive: str) -> Iterator[None]:
    """Turn errors of reading an archive of this computer into errors meant for the user.

    Raises:
        DataError: It does not exist or cannot be read.
    """
    try:
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
