"""Downloads that survive cut connections: resumed where that is safe, checked, and whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import json
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
from lexiseg.files import disk_errors, write_json

#: Called with the bytes that are there and the bytes there will be (None where the server does not say).
Progress = Callable[[int, int | None], None]

#: Tries without a single new byte before giving up, and the longest pause between two, in seconds.
TRIES = 6
MAX_PAUSE_S = 60.0

_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_SCHEMES = ("https", "http")
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CUT = (OSError, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A finished download.

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
    """What is known of a half-finished file: enough to ask the server whether it is still the same."""

    url: str
    validator: str
    total: int | None


class _Restart(Exception):  # noqa: N818 (no error: the file begins anew)
    """The bytes that are there are of no use."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web only, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse redirects that lead elsewhere."""
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
    """Download a file; a finished one is checked, an unfinished one beside it is gone on with.

    The bytes go to `path` + `.part`. A cut connection is taken up again with a range request, on the
    condition (If-Range) that the file has not changed since: by its strong ETag, else its Last-Modified date.
    A server that knows neither, does no ranges, or has another file by now, sends all of it again.

    Args:
        url: An http or https address.
        path: Where to.
        size: Bytes it must have, where known.
        sha256: Checksum it must have, where known.
        progress: Called after each piece.
        pause: Waits for some seconds between two tries.

    Returns:
        The file, with the checksum that came.

    Raises:
        DataError: The address cannot be used, the server refuses or stays silent, or what came has another
            size or checksum than it must have; such a file is removed.
        DiskError: There is no space, or no permission.
    """
    path = Path(path)
    if urlsplit(url).scheme not in _SCHEMES:
        raise DataError(
            f"{url} is no address of the web; only http and https are fetched.", code="LEX-DATA-062"
        )
    part = path.with_name(path.name + ".part")
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        _fetch_all(url, part, size=size, progress=progress, pause=pause)
    came = path if path.is_file() else part
    found = Download(path=path, size=came.stat().st_size, sha256=_checksum(came))
    wrong = _wrong(found, size, sha256)
    if wrong:
        _forget(came)
        raise DataError(
            f"{url}: {wrong}. The file was removed. Either it was changed at its source, or on its way; try "
            f"again, and if it stays so, compare with the data set's home page.",
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
    """Fetch until all is there; tries count only as long as it gets no further than ever before."""
    tries = 0
    most = part.stat().st_size if part.is_file() else 0
    while True:
        wait: float | None = None
        try:
            _fetch(url, part, size=size, progress=progress)
            return
        except _Restart:
            _forget(part)
            reason = "the server has another file by now"
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
            there = f" {after} bytes are in {part}; run the command again to go on." if after else ""
            raise DataError(
                f"{url} cannot be downloaded: {reason}, {TRIES} times in a row.{there}", code="LEX-DATA-065"
            )
        pause(min(MAX_PAUSE_S, wait if wait is not None else 2.0 ** (tries - 1)))


def _fetch(url: str, part: Path, *, size: int | None, progress: Progress | None) -> None:
    """Fetch what is missing, in one connection."""
    state = _read_state(part, url)
    start = part.stat().st_size if state is not None else 0
    if state is not None and start == state.total:
        return
    # Bytes are stored as they come, so nothing may be packed on the way.
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
            _forget(part)
            raise DataError(
                f"{url} is {total} bytes long; expected {size}. It was changed at its source.",
                code="LEX-DATA-066",
            )
        if not start:
            # Bytes of an older file must be gone before it is noted what the newer one is known by.
            _forget(part)
            _write_state(part, url, answer.headers, total)
        _receive(answer, part, start=start, total=total, progress=progress)


def _receive(
    answer: http.client.HTTPResponse,
    part: Path,
    *,
    start: int,
    total: int | None,
    progress: Progress | None,
) -> None:
    """Write what comes to the file; a connection that ends early raises."""
    with disk_errors(part):
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise DiskError(
                f"{part} needs {total - start} more bytes, but the disk has only "
                f"{shutil.disk_usage(part.parent).free} free.",
                code="LEX-DISK-005",
            )
        file = part.open("ab" if start else "wb")
    with file:
        done = start
        # read1 hands over what has come; read would lose it where the connection ends within a piece.
        while piece := answer.read1(_CHUNK):
            with disk_errors(part):
                file.write(piece)
                file.flush()
            done += len(piece)
            if progress is not None:
                progress(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _total_of_range(headers: Message, start: int, state: _State | None) -> int | None:
    """Return the length of the whole file that a partial answer states, if it goes on with the same file."""
    stated = headers.get("Content-Range", "")
    unit, _, rest = stated.partition(" ")
    span, _, length = rest.partition("/")
    if unit != "bytes" or _number(span.partition("-")[0]) != start:
        raise _Restart
    total = _number(length)
    if state is not None:
        # A server may leave out the date in a partial answer, or the length; but neither may differ.
        name = "ETag" if state.validator.startswith('"') else "Last-Modified"
        if headers.get(name, state.validator) != state.validator:
            raise _Restart
        if None not in (total, state.total) and total != state.total:
            raise _Restart
        total = state.total if total is None else total
    return total


def _write_state(part: Path, url: str, headers: Message, total: int | None) -> None:
    """Note by what the file can be known again; without that it cannot be gone on with."""
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    if validator:
        write_json(_state_file(part), asdict(_State(url=url, validator=validator, total=total)))
    else:
        _state_file(part).unlink(missing_ok=True)


def _read_state(part: Path, url: str) -> _State | None:
    """Return what is known of the unfinished file; None if it is of no use."""
    try:
        value: dict[str, Any] = json.loads(_state_file(part).read_text(encoding="utf-8"))
        state = _State(url=str(value["url"]), validator=str(value["validator"]), total=value["total"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if part.is_file() and state.url == url else None


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wrong(found: Download, size: int | None, sha256: str | None) -> str:
    """Say what is not as it must be; empty if all is."""
    if size is not None and found.size != size:
        return f"expected {size} bytes, got {found.size}"
    if sha256 is not None and found.sha256 != sha256:
        return f"expected the SHA-256 {sha256}, got {found.sha256}"
    return ""


def _retry_after(headers: Message | None) -> float | None:
    value = _number(headers.get("Retry-After")) if headers is not None else None
    return None if value is None else float(value)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
