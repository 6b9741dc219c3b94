"""A small DICOMweb service on a free port of this machine, for tests: QIDO-RS and WADO-RS of given files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom


@dataclass
class Service:
    """A running service.

    Attributes:
        address: Such as "http://127.0.0.1:1234/dicom-web".
        tokens: The Authorization header of each request.
        refused: The HTTP status of images that cannot be fetched, by SOP instance UID; 0 gives no answer.
        most: Most answers to one search; the others need an offset.
        knows_offset: Whether it does not begin each answer with the first image.
        offsets: The offset of each search.
        after_last: The HTTP status of a search from an offset at which nothing is left.
        unnamed: Tags that answers to searches lack, by SOP instance UID.
        pages: SOP instance UIDs of images in whose place a web page comes.
        empty_search: The HTTP status of each search, whose answer is empty and calls itself HTML; 0 for
            true answers.
    """

    address: str
    tokens: list[str | None] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    most: int | None = None
    knows_offset: bool = True
    offsets: list[int] = field(default_factory=list)
    after_last: int = 200
    unnamed: dict[str, str] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)
    empty_search: int = 0


@contextmanager
def dicomweb_service(files: Sequence[Path]) -> Iterator[Service]:
    """Serve files until the block ends."""
    headers = [(path, pydicom.dcmread(path, stop_before_pixels=True)) for path in files]
    service = Service(address="")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.tokens.append(self.headers.get("Authorization"))
            parts = urlsplit(self.path)
            names = parts.path.removeprefix("/dicom-web/").split("/")
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            uids = dict(zip(names[::2], names[1::2], strict=False))
            chosen = [
                (path, found)
                for path, found in headers
                if uids.get("studies", found.StudyInstanceUID) == found.StudyInstanceUID
                and uids.get("series", found.SeriesInstanceUID) == found.SeriesInstanceUID
                and uids.get("instances", found.SOPInstanceUID) == found.SOPInstanceUID
                and query.get("PatientID", found.PatientID) == found.PatientID
            ]
            if len(names) % 2:  # a search
                self._answer_search(names[-1], chosen, int(query.get("offset", 0)))
            elif uids.get("instances") in service.refused:
                status = service.refused[uids["instances"]]
                if status:
                    self.send_error(status)
            elif uids.get("instances") in service.pages:
                self._send("text/html", b"<html>login</html>")
            elif chosen:
                self._answer_images([path for path, _ in chosen])
            else:
                self.send_error(404, "Not Found")

        def _answer_search(self, level: str, chosen: Any, offset: int) -> None:
            unique: dict[str, Any] = {}
            for _, found in chosen:
                of_level = {"studies": found.StudyInstanceUID, "instances": found.SOPInstanceUID}
                unique[of_level.get(level, found.SeriesInstanceUID)] = {
                    "00080018": {"vr": "UI", "Value": [found.SOPInstanceUID]},
                    "0020000D": {"vr": "UI", "Value": [found.StudyInstanceUID]},
                    "0020000E": {"vr": "UI", "Value": [found.SeriesInstanceUID]},
                    "00080060": {"vr": "CS", "Value": [found.Modality]},
                }
            for uid, tag in service.unnamed.items():
                del unique[uid][tag]
            service.offsets.append(offset)
            if service.empty_search:
                self.send_response(service.empty_search)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if service.empty_search != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()
                return
            rest = list(unique.values())[offset if service.knows_offset else 0 :][: service.most]
            if offset > 0 and not rest and service.after_last != 200:
                self.send_response(service.after_last)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send("application/dicom+json", json.dumps(rest).encode())

        def _answer_images(self, paths: list[Path]) -> None:
            part = b"--cut\r\nContent-Type: application/dicom\r\n\r\n"
            body = b"".join(part + path.read_bytes() + b"\r\n" for path in paths) + b"--cut--\r\n"
            self._send('multipart/related; type="application/dicom"; boundary=cut', body)

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.address = f"http://127.0.0.1:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
