"""Files and folders that a client sends: read piece by piece while they are sent."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lexiseg.errors import DataError, UsageError
from lexiseg.files import disk_errors
from lexiseg.outputs.private_folder import PrivateFolder


def sent_name(name: str) -> str:
    r"""Return a name as it is sent, where a request holds UTF-8 alone.

    A name that is UTF-8 stays. In any other, "%" and two digits stand for each byte that is not, and for "%":
    `urllib.parse.unquote_to_bytes` gives the bytes of the name back.

    Args:
        name: Name or path of a file, as the system gives it.

    Examples:
        >>> sent_name("Müller.png"), sent_name("M\udcfcller.png")
        ('Müller.png', 'M%FCller.png')
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return "".join(map(_sent, name))
    return name


def _sent(character: str) -> str:
    if character != "%" and not "\ud800" <= character <= "\udfff":
        return character
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


class UploadedFile:
    """A file that is open only while a piece of it is read, so thousands of them need no limit of the system.

    Args:
        path: The file.
        shown: What messages call it.

    Raises:
        DataError: It does not exist, or cannot be read.
    """

    def __init__(self, path: Path, shown: Path) -> None:
        self._path, self._shown, self._sent = path, shown, 0
        try:
            with open(path, "rb") as file:
                self._state = os.fstat(file.fileno())
        except FileNotFoundError as error:
            raise DataError(f"{shown} does not exist.", code="LEX-DATA-1650") from error
        except OSError as error:
            raise _unreadable(shown, error) from error

    def tell(self) -> int:
        """Return the number of bytes that are sent."""
        return self._sent

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place counted from the beginning or the end, and return it; httpx2 asks so for the size."""
        self._sent = offset + (self._state.st_size if whence == os.SEEK_END else 0)
        return self._sent

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            DataError: The file has changed since its size was stated, or cannot be read any more.
        """
        try:
            with open(self._path, "rb") as file:
                state = os.fstat(file.fileno())
                file.seek(self._sent)
                piece = file.read(size)
        except OSError as error:
            raise _unreadable(self._shown, error) from error
        if _version(state) != _version(self._state):
            raise DataError(
                f"{self._shown} has changed while it was sent. Send it again when it is complete.",
                code="LEX-DATA-1652",
            )
        self._sent += len(piece)
        return piece


@contextmanager
def uploads_of(paths: Sequence[Path]) -> Iterator[list[tuple[str, UploadedFile]]]:
    """Yield what is sent, each with its name; folders are sent as zip files.

    Args:
        paths: Files and folders.

    Raises:
        UsageError: There is none.
        DataError: One does not exist, cannot be read, or is a folder without files.
        DiskError: There is no space for a zip file.
    """
    if not paths:
        raise UsageError("Expected at least one file or folder to send, got none.", code="LEX-USE-1650")
    with PrivateFolder("upload") as place:
        sent = []
        for number, path in enumerate(paths):
            if path.is_dir():
                packed = place.path / f"{number}.zip"
                _pack(path, packed)
                name = sent_name(path.resolve().name or "folder")
                sent.append((f"{name}.zip", UploadedFile(packed, path)))
            else:
                sent.append((sent_name(path.name), UploadedFile(path, path)))
        yield sent


def _pack(folder: Path, packed: Path) -> None:
    """Write a folder as a zip file, without hidden files.

    Raises:
        DataError: It holds no such file, one that cannot be read, or two that would be sent under one name.
        DiskError: There is no space for the zip file.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise DataError(
            f"{folder} holds no file that can be sent. Give a folder of images or volumes.",
            code="LEX-DATA-1653",
        )
    # Not compressed: most files of images are already. Zip files cannot state a time before 1980.
    with disk_errors(packed), zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
        for name, path in _named(folder, files).items():
            try:
                archive.write(path, name)
            except OSError as error:
                if error.filename is None:  # the zip file cannot be written
                    raise
                raise _unreadable(path, error) from error


def _named(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Return the files of a folder by the names under which they are sent.

    Raises:
        DataError: Two have the same one.
    """
    found: dict[str, Path] = {}
    for path in files:
        name = sent_name(path.relative_to(folder).as_posix())
        if name in found:
            raise DataError(
                f"{found[name]} and {path} would both be sent as {name}, because one name is not UTF-8. "
                "Rename one of them.",
                code="LEX-DATA-1841",
            )
        found[name] = path
    return found


def _unreadable(shown: Path, error: OSError) -> DataError:
    return DataError(f"{shown} cannot be read: {error.strerror or error}.", code="LEX-DATA-1651")


def _version(state: os.stat_result) -> tuple[int, int, int]:
    """Return what differs where a file was changed or replaced."""
    return state.st_ino, state.st_size, state.st_mtime_ns
