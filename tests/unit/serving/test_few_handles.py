"""A job of many files needs few open files; where those run out, the answer says so, and names no disk."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from lexiseg.files import disk_errors, temporary_folder
from lexiseg.serving.gate import refusal_of
from refusals import refuses

pytest.importorskip("resource")

_STORE = """
import asyncio, resource, sys
from pathlib import Path
from starlette.requests import Request
from lexiseg.serving.limits import Limits
from lexiseg.serving.routes.jobs import _store

count, folder = int(sys.argv[1]), Path(sys.argv[2])
part = '--b\\r\\nContent-Disposition: form-data; name="image"; filename="{}.png"\\r\\n\\r\\nbytes of {}\\r\\n'
body = "".join(part.format(number, number) for number in range(count)) + "--b--\\r\\n"
pieces = [body[start : start + 1000].encode() for start in range(0, len(body), 1000)]

async def receive():
    return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

headers = [(b"content-type", b"multipart/form-data; boundary=b")]
request = Request({"type": "http", "method": "POST", "headers": headers}, receive)

async def run():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return await _store(request, folder, Limits())

uploads, _ = asyncio.run(run())
assert len(uploads) == count
for number, (path, name) in enumerate(uploads.items()):
    assert (name, path.read_text()) == (f"{number}.png", f"bytes of {number}")
"""


def test_a_job_of_many_files_needs_few_handles(tmp_path: Path) -> None:
    stored = subprocess.run(
        [sys.executable, "-c", _STORE, "300", str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert stored.returncode == 0, stored.stderr


def test_a_server_without_handles_says_so(tmp_path: Path) -> None:
    with (
        refuses("LEX-DISK-740", str(tmp_path / "job")) as refused,
        temporary_folder(tmp_path / "job") as folder,
        disk_errors(folder / "1"),
    ):
        raise OSError(errno.EMFILE, "Too many open files")
    answer = refusal_of(refused.value)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b"may not open more files" in bytes(answer.body)
    assert b"disk" not in bytes(answer.body)
    assert str(tmp_path).encode() not in bytes(answer.body)
