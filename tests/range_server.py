"""A server on this machine that behaves as badly as it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, how it is served, and what was asked of it.

    `cuts` are the bytes sent before each of the next connections breaks; `failures` the status codes of the
    next answers.
    """

    content: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    stated_length: bool = True
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    redirect: str | None = None
    retry_after: str | None = None
    wrong_range: bool = False
    conditional: bool = True
    modified_in_parts: bool = True
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve the file at `served.url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            served.requests.append({key.lower(): value for key, value in self.headers.items()})
            if served.redirect is not None:
                self.send_response(302)
                self.send_header("Location", served.redirect)
                self.end_headers()
                return
            if served.failures:
                self.send_response(served.failures.pop(0))
                if served.retry_after is not None:
                    self.send_header("Retry-After", served.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(served.content)

        def _send(self, content: bytes) -> None:
            part = self._part(len(content))
            if part is None:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, end = part
            if start and served.wrong_range:  # another range than was asked for
                start += 1
            is_part = (start, end) != (0, len(content))
            self.send_response(206 if is_part else 200)
            if is_part:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            if served.stated_length:
                self.send_header("Content-Length", str(end - start))
            if served.etag is not None:
                self.send_header("ETag", served.etag)
            if served.modified is not None and (served.modified_in_parts or not is_part):
                self.send_header("Last-Modified", served.modified)
            self.end_headers()
            body = content[start:end]
            if served.cuts:
                body = body[: served.cuts.pop(0)]
            self.wfile.write(body)
            self.wfile.flush()
            self.close_connection = True

        def _part(self, length: int) -> tuple[int, int] | None:
            """Return where to begin and to end; None for a range that is not there."""
            asked = self.headers.get("Range")
            if asked is None or not served.ranges:
                return 0, length
            if served.conditional and self.headers.get("If-Range") not in (served.etag, served.modified):
                return 0, length
            start, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1, length) if last else length
            return (int(start), end) if int(start) < length else None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/file.zip"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
