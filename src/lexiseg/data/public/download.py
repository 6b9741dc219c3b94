"""Downloads with resumption after interrupted connections, checked by size and checksum."""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from lexiseg.errors import DataError, DiskError
from lexiseg.file_hashes import file_sha256
from lexiseg.files import disk_errors, make_folder, write_json
from lexiseg.printable import counted
from lexiseg.structured_text import read_json

#: Called with the number of bytes received, and of all bytes (None where the server does not state it).
Progress = Callable[[int, int | None], None]

#: Number of consecutive attempts without a new byte before giving up, and the longest pause between attempts.
TRIES = 6
MAX_PAUSE_S = 60.0

_CHUNK = 1 << 20
_MOST_DIGITS = 18
_TIMEOUT_S = 60.0
_SCHEMES = ("https", "http")
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CUT = (OSError, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A complete download.

    Attributes:
        path: The file.
        size: Its size in bytes.
        sha256: Its checksum.
    """

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _State:
    """State of a partial file: enough to ask the server whether its file is still the same.

    Attributes:
        url: The address.
        validator: Strong ETag or Last-Modified date.
        total: Size of the complete file; None if the server does not state it.
    """

    url: str
    validator: str
    total: int | None


class _Restart(Exception):  # noqa: N818 (not an error: the download starts again)
    """The bytes received so far cannot be used."""


class _Oversized(Exception):  # noqa: N818 (a signal inside this module)
    """The server sends more bytes than expected; its text is the expectation."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https addresses only, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse all other redirects."""
        scheme = urlsplit(newurl).scheme
        if scheme not in _SCHEMES or (urlsplit(req.full_url).scheme == "https" and scheme != "https"):
            raise DataError(f"{req.full_url} leads to {newurl}, which is not followed.", code="LEX-DATA-061")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    path: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Download:
    """Download a file; an existing complete file is checked, and a partial one is resumed.

    The bytes are written to `path` + `.part`. After an interrupted connection, a range request asks for the
    rest, on the condition (If-Range) that the file is unchanged: the same strong ETag, or else the same
    Last-Modified date. If the server provides neither, does not support ranges, or has another file now, the
    whole file is downloaded again.

    Args:
        url: An http or https address.
        path: The file to write.
        size: Expected size in bytes, where known.
        sha256: Expected checksum, where known.
        progress: Called after each received block.
        pause: Waits for a number of seconds between two attempts.

    Returns:
        The file and its checksum.

    Raises:
        DataError: The address cannot be used, the server refuses or does not answer, or the file has another
            size or checksum than expected; such a file is removed.
        DiskError: There is no space, or no permission.
    """
    path = Path(path)
    if urlsplit(url).scheme not in _SCHEMES:
        raise DataError(
            f"{url} is not a web address; only http and https are supported.", code="LEX-DATA-062"
        )
    part = path.with_name(path.name + ".part")
    with disk_errors(path.parent):
        make_folder(path.parent, private=False)
    if not path.is_file():
        _fetch_all(url, part, size=size, progress=progress, pause=pause)
    came = path if path.is_file() else part
    found = Download(path=path, size=came.stat().st_size, sha256=file_sha256(came))
    wrong = _wrong(found, size, sha256)
    if wrong:
        _remove(came)
        raise DataError(
            f"{url}: {wrong}. The file was removed. Try again; if the result is the same, compare with the "
            f"data set's home page.",
            code="LEX-DATA-063",
        )
    with disk_errors(path):
        came.replace(path)
        _state_file(part).unlink(missing_ok=True)
    return found


def _fetch_all(
    url: str,
    part: Path,
    *,
    size: int | None,
    progress: Progress | None,
    pause: Callable[[float], object],
) -> None:
    """Download until the file is complete; attempts count only while no new byte is received."""
    tries = 0
    most = part.stat().st_size if part.is_file() else 0
    while True:
        wait: float | None = None
        try:
            _fetch(url, part, size=size, progress=progress)
            return
        except _Restart:
            _remove(part)
            reason = "the file on the server has changed"
        except urllib.error.HTTPError as error:
            reason, wait = f"HTTP {error.code} {error.reason}", _retry_after(error.headers)
            if error.code not in _RETRIED:
                raise DataError(f"{url} cannot be downloaded: {reason}.", code="LEX-DATA-064") from error
        except _CUT as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        after = part.stat().st_size if part.is_file() else 0
        tries = 1 if after > most else tries + 1
        most = max(most, after)
        if tries >= TRIES:
            there = (
                f" {counted(after, 'byte is', 'bytes are')} in {part}; run the command again to resume."
                if after
                else ""
            )
            raise DataError(
                f"{url} cannot be downloaded: {reason}, {TRIES} times in a row.{there}", code="LEX-DATA-065"
            )
        pause(min(MAX_PAUSE_S, wait if wait is not None else 2.0 ** (tries - 1)))


def _fetch(url: str, part: Path, *, size: int | None, progress: Progress | None) -> None:
    """Download the missing bytes in one connection."""
    state = _read_state(part, url)
    start = part.stat().st_size if state is not None else 0
    if state is not None and start == state.total:
        return
    # Bytes are stored as received, so the server must not compress them.
    headers = {"User-Agent": "lexiseg", "Accept-Encoding": "identity"}
    if state is not None and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": state.validator}
    opener = urllib.request.build_opener(_SafeRedirects())
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _Restart from error
        raise
    with answer:
        if answer.status == http.client.PARTIAL_CONTENT:
            total = _total_of_range(answer.headers, start, state)
        else:
            start, total = 0, _number(answer.headers.get("Content-Length"))
        if size is not None and total is not None and total != size:
            _remove(part)
            raise DataError(
                f"{url}: expected {counted(size, 'byte')}, got {total:,}. The file was changed at its "
                "source.",
                code="LEX-DATA-066",
            )
        if not start:
            # Bytes of an older file must be removed before the new file's validator is stored.
            _remove(part)
            _write_state(part, url, answer.headers, total)
        most = size if size is not None else total
        try:
            _receive(answer, part, start=start, total=total, most=most, progress=progress)
        except _Oversized as error:
            _remove(part)
            raise DataError(
                f"{url}: expected {error}, but the server sends more. Compare with the data set's home page.",
                code="LEX-DATA-777",
            ) from error


def _receive(
    answer: http.client.HTTPResponse,
    part: Path,
    *,
    start: int,
    total: int | None,
    most: int | None,
    progress: Progress | None,
) -> None:
    """Write received bytes to the file; raise if the connection ends early, or if more than `most` come."""
    with disk_errors(part):
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise DiskError(
                f"{part} needs {counted(total - start, 'more byte')}, but the disk has only "
                f"{shutil.disk_usage(part.parent).free:,} free.",
                code="LEX-DISK-005",
            )
        file = part.open("ab" if start else "wb")
    with file:
        done = start
        # read1 returns what has arrived; read would lose it if the connection ends within a block.
        while piece := answer.read1(_CHUNK):
            with disk_errors(part):
                file.write(piece)
                file.flush()
            done += len(piece)
            if most is not None and done > most:
                raise _Oversized(counted(most, "byte"))
            if progress is not None:
                progress(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"the connection ended after {done:,} of {counted(total, 'byte')}")


def _total_of_range(headers: Message, start: int, state: _State | None) -> int | None:
    """Return the size of the complete file that a partial answer states; raise if it is another file."""
    stated = headers.get("Content-Range", "")
    unit, _, rest = stated.partition(" ")
    span, _, length = rest.partition("/")
    if unit != "bytes" or _number(span.partition("-")[0]) != start:
        raise _Restart
    total = _number(length)
    if state is not None:
        # A partial answer may leave out the date or the length, but neither may differ.
        name = "ETag" if state.validator.startswith('"') else "Last-Modified"
        if headers.get(name, state.validator) != state.validator:
            raise _Restart
        if None not in (total, state.total) and total != state.total:
            raise _Restart
        total = state.total if total is None else total
    return total


def _write_state(part: Path, url: str, headers: Message, total: int | None) -> None:
    """Store the file's validator; without a validator the download cannot be resumed."""
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    if validator:
        write_json(
            _state_file(part), asdict(_State(url=url, validator=validator, total=total)), private=False
        )
    else:
        _state_file(part).unlink(missing_ok=True)


def _read_state(part: Path, url: str) -> _State | None:
    """Return the state of a partial file; None if it cannot be resumed."""
    try:
        value: dict[str, Any] = read_json(_state_file(part))
        total = value["total"]
        if not (total is None or (isinstance(total, int) and total >= 0)):
            return None
        state = _State(url=str(value["url"]), validator=str(value["validator"]), total=total)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if part.is_file() and state.url == url else None


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


def _wrong(found: Download, size: int | None, sha256: str | None) -> str:
    """Return what differs from the expected size or checksum; empty if nothing does."""
    if size is not None and found.size != size:
        return f"expected {counted(size, 'byte')}, got {found.size:,}"
    if sha256 is not None and found.sha256 != sha256:
        return f"expected the SHA-256 {sha256}, got {found.sha256}"
    return ""


def _retry_after(headers: Message | None) -> float | None:
    value = _number(headers.get("Retry-After")) if headers is not None else None
    return None if value is None else float(value)


def _number(text: str | None) -> int | None:
    # A header can hold any number of digits; what is longer is no size of a file and no time.
    usable = text is not None and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if usable and text is not None else None
