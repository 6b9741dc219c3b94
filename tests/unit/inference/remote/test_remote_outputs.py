"""Lists of results at URLs: they are looked for with few requests, and other content is none."""

from __future__ import annotations

import functools
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.remote import outputs
from lexiseg.inference.remote.folder import UPLOAD_FILE, UploadRecord
from lexiseg.json_records import record_text
from lexiseg.outputs.manifest import OUTPUTS_FILE
from threshold_predictor import write_image

PATIENTS = 4
LISTS = tuple(outputs._ALL_LISTS)


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Return patients, each with a folder that has the name of an output format; one holds results."""
    for number in range(PATIENTS):
        write_image(tmp_path / "in" / f"p{number}" / "masks" / f"{number}.png")
    line = json.dumps({"image": "0.png", "name": "0", "mask": "masks/0.png"})
    (tmp_path / "in" / "p0" / "predictions.jsonl").write_text(line + "\n")
    return tmp_path / "in"


class Web(SimpleHTTPRequestHandler):
    """Notes what is asked; files that are not there are answered with a page, hidden ones may be refused."""

    asked: list[str]
    start_page = False
    forbids_hidden = False
    lists_hidden = True

    def list_directory(self, path: Any) -> Any:
        page = super().list_directory(path)
        if page is None or self.lists_hidden:
            return page
        # Spaces stand for what is left out, so that the stated length stays true.
        return io.BytesIO(re.sub(rb"<li>.*?>\..*", lambda line: b" " * len(line[0]), page.read()))

    def do_GET(self) -> None:
        self.answer(super().do_GET)

    def do_HEAD(self) -> None:
        self.answer(super().do_HEAD)

    def answer(self, with_file: Any) -> None:
        self.asked.append(self.path)
        if self.forbids_hidden and "/." in self.path:
            self.send_error(403)
        elif self.start_page and not Path(self.translate_path(self.path)).exists():
            self.send_response(200)
            self.send_header("Content-Length", "0" if self.command == "HEAD" else "17")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"<html>Start\n</ht>"[:17])
        else:
            with_file()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(patients: Path) -> Iterator[tuple[str, type[Web]]]:
    handler = type("Handler", (Web,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(patients)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("pattern", "listings"), [("", 0), ("/p*/masks/*.png", PATIENTS), ("/**/*.png", 4)])
def test_lists_are_looked_for_with_few_requests(
    patients: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, listings: int
) -> None:
    system = type(fsspec.filesystem("file"))
    opened: list[str] = []
    listed: list[str] = []
    real_open, real_names = system._open, outputs.names_in

    def count_open(self: Any, path: str, *rest: Any, **options: Any) -> Any:
        opened.append(path)
        return real_open(self, path, *rest, **options)

    def count_names(folder: str) -> frozenset[str]:
        listed.append(folder)
        return real_names(folder)

    monkeypatch.setattr(system, "_open", count_open)
    monkeypatch.setattr(outputs, "names_in", count_names)
    found = find_images([f"file://{patients.as_posix()}{pattern}"])
    assert (len(found.targets), len(found.unread.earlier)) == (PATIENTS - 1, 1)
    assert [Path(path).name for path in opened] == ["predictions.jsonl"]
    assert len(listed) == len(set(listed)) == listings


@pytest.mark.parametrize("pattern", ["/**/*.png", "/p*/masks/*.png"])
def test_a_web_server_is_asked_for_no_list_that_is_not_there(
    web: tuple[str, type[Web]], patients: Path, pattern: str
) -> None:
    url, handler = web
    for folder in patients.iterdir():
        (folder / ".shown").touch()  # so this index shows hidden files
    found = find_images([f"{url}{pattern}"])
    assert (len(found.targets), len(found.unread.earlier)) == (PATIENTS - 1, 1)
    assert {path for path in handler.asked if path.endswith(LISTS)} == {"/p0/predictions.jsonl"}
    # Each folder is listed once for its pictures, and once for its lists of results.
    for number in range(PATIENTS):
        assert handler.asked.count(f"/p{number}/") <= 2


@pytest.mark.parametrize("pattern", ["/**/*.png", "/p*/masks/*.png"])
@pytest.mark.parametrize("answer", ["plain", "start_page"])
def test_hidden_lists_that_an_index_leaves_out_are_found(
    web: tuple[str, type[Web]], patients: Path, pattern: str, answer: str
) -> None:
    url, handler = web
    handler.lists_hidden = False
    handler.start_page = answer == "start_page"
    record = {"file": "masks/1.png", "sha256": "0" * 64}
    (patients / "p1" / OUTPUTS_FILE).write_text(json.dumps(record) + "\n")
    upload = UploadRecord(id="a", command="b")
    (patients / "p2" / UPLOAD_FILE).write_text(record_text(upload))
    found = find_images([f"{url}{pattern}"])
    assert [target.name.name for target in found.targets] == ["3"]
    assert len(found.unread.earlier) == 3


@pytest.mark.parametrize("answer", ["start_page", "forbids_hidden"])
def test_answers_that_are_no_lists(web: tuple[str, type[Web]], answer: str) -> None:
    """The folder above a pattern is asked for each list."""
    url, handler = web
    setattr(handler, answer, True)
    assert len(find_images([f"{url}/p1/masks/*.png"]).targets) == 1
    assert f"/p1/{UPLOAD_FILE}" in handler.asked


@pytest.mark.parametrize("content", ["", "{}", "<html></html>", "[1]", '{"id": "a"}'])
def test_a_file_that_marks_no_upload(patients: Path, content: str) -> None:
    (patients / "p1" / UPLOAD_FILE).write_text(content)
    assert len(find_images([f"file://{patients.as_posix()}"]).targets) == PATIENTS - 1
