"""Zip files of jobs: refused before they are unpacked where they hold more than the server takes."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from lexiseg.data.archives import archived_files, extract, is_archive
from lexiseg.errors import LexisegError, RequestError
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.serving.limits import Limits

# Bytes of a zip file in which the record at its end lies, and its parts (APPNOTE 4.3.16).
_END_BYTES = 22 + 0xFFFF
_END, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x07"
_LOCATOR_BYTES = 20
_DIRECTORY_SIZE = slice(12, 16)
# Bytes of the list of files that one of them may take.
_ENTRY_BYTES = 1024


def is_zip(name: str) -> bool:
    """Return whether a file is unpacked, by its name."""
    return name.lower().endswith(".zip")


def check_zip(path: Path, name: str, limits: Limits) -> int:
    """Refuse a zip file that holds too much; nothing is unpacked.

    Args:
        path: The file.
        name: What it is called.
        limits: Limits of the server.

    Returns:
        The bytes that its files declare; unpacking writes no more.

    Raises:
        RequestError: It holds too many files or bytes, or another archive, or is in the format ZIP64, or is
            no zip file.
        DataError: It is damaged, or holds links or paths outside a folder.
    """
    _check_list(path, name, limits)
    try:
        files = archived_files(path)
    except LexisegError as error:
        raise named(error, path, name) from error
    if len(files) > limits.job_images:
        raise _too_many_files(name, limits)
    declared = sum(file.size for file in files)
    if declared > limits.unpacked_bytes:
        raise RequestError(
            f"{name} holds {declared:,} bytes when it is unpacked; the server takes at most "
            f"{limits.unpacked_bytes:,}. Send several jobs.",
            status=413,
            code="LEX-REQ-1454",
        )
    inner = next((file.name for file in files if is_archive(Path(file.name))), None)
    if inner is not None:
        raise RequestError(
            f"{name} holds another archive, {inner[:80]!r}. Send a zip file of images, volumes and folders.",
            status=422,
            code="LEX-REQ-1456",
        )
    return declared


def unpack(path: Path, folder: Path) -> int:
    """Unpack a zip file that `check_zip` let in; return how many files a later one of the same name replaces.

    Raises:
        DataError: It is damaged.
        DiskError: There is no space.
    """
    return extract(path, folder, depth=1)


def _check_list(path: Path, name: str, limits: Limits) -> None:
    """Refuse a list of files that would take much memory, before it is read."""
    if not zipfile.is_zipfile(path):
        raise RequestError(
            f"{name} is no zip file. Make it again, and send that.", status=422, code="LEX-REQ-1458"
        )
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        end = file.read()
    # Which of several such records counts, readers decide differently.
    for found in re.finditer(re.escape(_END), end):
        at = found.start()
        if end[max(0, at - _LOCATOR_BYTES) : at].startswith(_LOCATOR_64):
            raise RequestError(
                f"{name} is a zip file in the format ZIP64, which the server does not take. Send several "
                "smaller ones.",
                status=422,
                code="LEX-REQ-1457",
            )
        if int.from_bytes(end[at:][_DIRECTORY_SIZE], "little") > _ENTRY_BYTES * limits.job_images:
            raise _too_many_files(name, limits)


def _too_many_files(name: str, limits: Limits) -> RequestError:
    return RequestError(
        f"{name} holds more than {limits.job_images:,} files, the limit of the server. Send several jobs.",
        status=413,
        code="LEX-REQ-1455",
    )
