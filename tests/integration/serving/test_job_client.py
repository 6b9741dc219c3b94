"""The client of jobs against answers that a healthy server does not give: broken streams, wrong files."""

from __future__ import annotations

import errno
import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import lexiseg
from lexiseg.serving import client_jobs
from lexiseg.serving.client_uploads import UploadedFile, uploads_of
from refusals import refuses

#: The body, and the length that its header states; None states none, and the connection ends with the body.
Answer = tuple[bytes, int | None]

BUSY = b'{"error": {"code": "LEX-REQ-1112", "message": "Send the request later."}, "request_id": "1"}'

#: Seconds between two signs of life of a stream, and how many come.
ALIVE, SIGNS = 0.05, 200


def record(**changes: Any) -> dict[str, Any]:
    """Return a job as a server describes it."""
    model = {"name": "m", "version": "v", "lexiseg_version": "1"}
    counts = dict.fromkeys(("images", "done", "failed", "flagged", "slices", "slices_done"), 0)
    empty = dict.fromkeys(("bytes", "error", "expires"))
    job = {
        "id": "abc",
        "state": "running",
        "model": model,
        "formats": ["mask"],
        "created": "now",
        "notes": [],
    }
    return {**job, **counts, **empty, **changes}


def event(name: str, **changes: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(record(**changes))}\n\n".encode()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Told:
    """What a server answers, by the end of the route; the last answer of a list stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {"jobs": [as_list(record())]}
        self.asked: list[str] = []

    def next(self, route: str) -> Answer:
        self.asked.append(route)
        left = self.answers[route]
        return left.pop(0) if len(left) > 1 else left[0]


def as_list(job: dict[str, Any]) -> Answer:
    return whole(json.dumps({"jobs": [job]}).encode())


def as_one(**changes: Any) -> Answer:
    return whole(json.dumps(record(**changes)).encode())


def whole(body: bytes) -> Answer:
    return body, len(body)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def job(told: Told) -> Iterator[client_jobs.ServerJob]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, stated = told.next(self.path.rpartition("/")[2])
            self.send_response(429 if body == BUSY else 200)
            if stated is not None:
                self.send_header("Content-Length", str(stated))
            self.end_headers()
            self.wfile.write(body)
            with suppress(ConnectionError):
                for _ in range(SIGNS if body.endswith(b":\n\n") else 0):
                    self.wfile.write(b":\n\n")
                    time.sleep(ALIVE)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with lexiseg.Client(f"http://127.0.0.1:{server.server_port}") as client:
            (found,) = client.jobs()
            yield found
    finally:
        server.shutdown()
        server.server_close()


Job = client_jobs.ServerJob


def test_events_are_read_until_the_last(job: Job, told: Told) -> None:
    stream = event("progress", done=1, images=2) + b":\n\n" + event("end", state="done", done=2, bytes=5)
    told.answers["events"] = [(stream + event("progress", done=9), None)]
    assert [found.done for found in job.events()] == [1, 2]
    assert (job.state, job.record.bytes) == ("done", 5)
    assert repr(job) == "ServerJob(abc, done, 2 of 0 images)"


def test_a_stream_that_ends_early_is_an_error_and_waiting_opens_it_again(
    job: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_jobs, "_PAUSE", 0.01)
    told.answers["events"] = [(event("progress"), None)]
    with refuses("LEX-REQ-1650", "abc", "wait for it"):
        list(job.events())
    # One that ends in the middle of its bytes, then one without the end, then a whole one.
    told.answers["events"] = [
        (event("progress", done=1), 10_000),
        (event("progress", done=2), None),
        (event("end", state="done", done=3), None),
    ]
    told.answers["abc"] = [as_one(done=1), as_one(done=2)]
    assert job.wait(timeout_s=600).done == 3
    assert told.asked.count("events") == 4


def test_waiting_goes_on_where_the_server_is_busy(
    job: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_jobs, "_PAUSE", 0.01)
    told.answers["events"] = [
        whole(BUSY),
        (event("progress", done=1), None),
        (event("end", state="done", done=2), None),
    ]
    told.answers["abc"] = [whole(BUSY)]
    assert job.wait(timeout_s=600).done == 2
    told.answers["events"] = [whole(BUSY)]
    job.record = client_jobs.JobRecord.model_validate(record(done=1, images=7))
    with refuses("LEX-REQ-1651", "0.1 seconds", "1 of 7 images"):
        job.wait(timeout_s=0.1)


def test_a_cut_stream_is_named_as_a_server_that_does_not_answer(job: Job, told: Told) -> None:
    told.answers["events"] = [(event("progress"), 10_000)]
    with refuses("LEX-REQ-1141", "does not answer"):
        list(job.events())


def test_waiting_ends_in_time_and_the_job_goes_on(job: Job, told: Told) -> None:
    told.answers["events"] = [(event("progress"), None)]
    told.answers["abc"] = [as_one(done=1, images=7)]
    with refuses("LEX-REQ-1651", "0.3 seconds", "1 of 7 images") as caught:
        job.wait(timeout_s=0.3)
    assert caught.value.status == 504  # type: ignore[attr-defined]


def test_signs_of_life_do_not_prolong_waiting(job: Job, told: Told) -> None:
    told.answers["events"] = [(event("progress") + b":\n\n", None)]
    told.answers["abc"] = [as_one()]
    began = time.monotonic()
    with refuses("LEX-REQ-1651", "0.3 seconds"):
        job.wait(timeout_s=0.3)
    assert time.monotonic() - began < ALIVE * SIGNS / 2


def test_jobs_without_outputs_are_errors(job: Job, told: Told) -> None:
    error = {"code": "LEX-DATA-054", "message": "a.zip is damaged."}
    told.answers["events"] = [(event("end", state="failed", error=error), None)]
    with refuses("LEX-REQ-1653", "abc", "a.zip is damaged. [LEX-DATA-054]"):
        job.wait()
    job.record = client_jobs.JobRecord.model_validate(record(state="cancelled"))
    with refuses("LEX-REQ-1652", "cancelled."):
        job.wait()
    why = {"code": "LEX-REQ-2081", "message": "The server ends."}
    job.record = client_jobs.JobRecord.model_validate(record(state="cancelled", error=why))
    with refuses("LEX-REQ-1652", "cancelled: The server ends. [LEX-REQ-2081]"):
        job.wait()


def test_what_is_no_event_of_a_job_is_refused(job: Job, told: Told) -> None:
    told.answers["events"] = [(b"data: <html>\n\n", None)]
    with refuses("LEX-REQ-1142", "version"):
        list(job.events())


def outputs(job: Job, told: Told, content: bytes, *, stated: int | None = None) -> None:
    told.answers["abc"] = [as_one(state="done", bytes=len(content) if stated is None else stated)]
    told.answers["result"] = [(content, None)]


def test_outputs_become_a_file_or_a_folder(job: Job, told: Told, tmp_path: Path) -> None:
    content = zipped({"predictions.jsonl": b"{}", "masks/a.png": b"png"})
    outputs(job, told, content)
    assert job.download(tmp_path / "new" / "outputs.zip").read_bytes() == content
    (tmp_path / "empty").mkdir()
    for name in ("folder", "empty"):
        folder = job.download(str(tmp_path / name))
        assert (folder / "masks" / "a.png").read_bytes() == b"png"
        assert sorted(path.name for path in folder.iterdir()) == ["masks", "predictions.jsonl"]
    with refuses("LEX-USE-1651", "folder", "new folder"):
        job.download(tmp_path / "folder")
    assert [path.name for path in tmp_path.rglob(".*")] == []


@pytest.mark.parametrize("name", ["outputs.zip", "folder"])
def test_outputs_that_are_cut_leave_nothing(job: Job, told: Told, tmp_path: Path, name: str) -> None:
    content = zipped({"a.png": b"png"})
    place = tmp_path / "place"
    outputs(job, told, content, stated=len(content) + 1)
    with refuses("LEX-REQ-1654", f"{len(content) + 1} bytes", f"{len(content)} came"):
        job.download(place / name)
    told.answers["result"] = [(content, len(content) + 1)]
    with refuses("LEX-REQ-1141"):
        job.download(place / name)
    assert [path for path in place.rglob("*") if path.is_file()] == []
    assert not (place / name).exists()


@pytest.mark.parametrize("inside", ["../outside.png", "/root.png"])
def test_outputs_never_leave_their_folder(job: Job, told: Told, tmp_path: Path, inside: str) -> None:
    outputs(job, told, zipped({"a.png": b"png", inside: b"png"}))
    with refuses("LEX-DATA-056", "The zip file of the job abc", inside) as caught:
        job.download(tmp_path / "folder")
    assert str(tmp_path) not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_no_zip_file_is_refused(job: Job, told: Told, tmp_path: Path) -> None:
    outputs(job, told, b"<html>a login page</html>")
    with refuses("LEX-DATA-053", "The zip file of the job abc", "web page"):
        job.download(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_uploads_are_files_and_folders_as_zip_files(tmp_path: Path) -> None:
    series = tmp_path / "series"
    (series / "deep" / ".hidden").mkdir(parents=True)
    (series / "b.dcm").write_bytes(b"b" * 100_000)
    (series / "deep" / "a.dcm").write_bytes(b"a")
    (series / ".notes").write_bytes(b"x")
    (series / "deep" / ".hidden" / "c.dcm").write_bytes(b"x")
    (tmp_path / "empty.png").touch()
    with uploads_of([series / "b.dcm", series, tmp_path / "empty.png"]) as uploads:
        assert [name for name, _ in uploads] == ["b.dcm", "series.zip", "empty.png"]
        contents = [read(upload) for _, upload in uploads]
    assert contents[0] == b"b" * 100_000
    assert contents[2] == b""
    with zipfile.ZipFile(io.BytesIO(contents[1])) as archive:
        assert archive.namelist() == ["b.dcm", "deep/a.dcm"]


def test_a_file_of_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(b"a")

    def refused(self: zipfile.ZipFile, path: Path, name: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(zipfile.ZipFile, "write", refused)
    with (
        refuses("LEX-DATA-1651", f"{folder / 'a.dcm'} cannot be read: Permission denied"),
        uploads_of([folder]),
    ):
        pass

    def full(self: zipfile.ZipFile, path: Path, name: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with refuses("LEX-DISK-002", "0.zip"), uploads_of([folder]):
        pass


def read(upload: UploadedFile) -> bytes:
    """Read as the HTTP package does: the size first, then from the beginning in pieces."""
    size = upload.seek(0, io.SEEK_END)
    upload.seek(0)
    pieces = list(iter(lambda: upload.read(65536), b""))
    assert sum(map(len, pieces)) == size
    return b"".join(pieces)


def test_files_that_cannot_be_sent_are_named(tmp_path: Path) -> None:
    file, empty = tmp_path / "a.nii.gz", tmp_path / "empty"
    empty.mkdir()
    file.write_bytes(b"12345")
    upload = UploadedFile(file, file)
    assert upload.read(2) == b"12"
    for code, words, paths in (
        ("LEX-DATA-1650", ("none.png", "does not exist"), [tmp_path / "none.png"]),
        ("LEX-DATA-1653", ("empty", "no file"), [empty]),
        ("LEX-USE-1650", ("at least one",), []),
    ):
        with refuses(code, *words), uploads_of(paths):
            pass
    file.write_bytes(b"123456")
    with refuses("LEX-DATA-1652", "a.nii.gz", "has changed"):
        upload.read(3)
    file.unlink()
    with refuses("LEX-DATA-1651", "a.nii.gz", "cannot be read"):
        upload.read(3)
