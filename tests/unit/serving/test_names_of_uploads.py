"""File names that are not UTF-8 reach a server in a form that leads back to the file."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote_to_bytes

import pytest

import lexiseg
from lexiseg.serving.client_uploads import sent_name, uploads_of
from refusals import refuses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems make no such name")

LATIN = b"M\xfcller.png"


@pytest.fixture
def bodies() -> Iterator[tuple[str, list[bytes]]]:
    """Return the address of a server that refuses all, and the bodies that reach it."""
    found: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(422)
            self.end_headers()
            self.wfile.write(b'{"error": {"code": "LEX-REQ-1117", "message": "no"}, "request_id": "1"}')

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()
    server.server_close()


def latin_file(folder: Path, picture: bytes) -> Path:
    path = folder / os.fsdecode(LATIN)
    path.write_bytes(picture)
    return path


@pytest.mark.parametrize("name", [LATIN, b"100%\xff.png", b"a/M\xfc/\xe4.dcm"])
def test_the_name_of_the_file_comes_back(name: bytes) -> None:
    sent = sent_name(os.fsdecode(name))
    assert sent.isascii()
    assert unquote_to_bytes(sent) == name


@pytest.mark.parametrize("name", ["Müller.png", "100%.png", "肺.dcm"])
def test_other_names_stay(name: str) -> None:
    assert sent_name(name) == name


def test_images_with_such_names_are_sent(
    bodies: tuple[str, list[bytes]], tmp_path: Path, picture: bytes
) -> None:
    address, found = bodies
    image = latin_file(tmp_path, picture)
    with lexiseg.Client(address) as client:
        for send in (
            lambda: client.predict(image),
            lambda: client.refine(image, say="left"),
            lambda: client.submit(image),
        ):
            with refuses("LEX-REQ-1143"):
                send()
    assert [b'filename="M%FCller.png"' in body for body in found] == [True] * 3


def test_a_folder_with_such_a_name_is_sent(tmp_path: Path, picture: bytes) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    latin_file(folder, picture)
    (folder / "ä.png").write_bytes(picture)
    with uploads_of([folder]) as [(name, file)]:
        assert name == "caf%E9.zip"
        with zipfile.ZipFile(file._path) as archive:
            assert sorted(archive.namelist()) == ["M%FCller.png", "ä.png"]
            assert archive.read("M%FCller.png") == picture
    (folder / "M%FCller.png").write_bytes(picture)
    with refuses("LEX-DATA-1841", "M%FCller.png", "Rename"), uploads_of([folder]):
        pass
