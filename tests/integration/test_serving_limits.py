"""Limits of a real server: large and slow uploads, volumes, and models that follow their folders."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

from lexiseg.runs.run import Run
from pictures import png_file, soft_picture
from server_process import ServerProcess, served
from volume_files import nifti

FORM = "Content-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with served("covid-xray", "--max-job-seconds", "3", "--max-job-mb", "1", "--decoders", "1") as server:
        yield server


def connected(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def head(server: ServerProcess, route: str, *headers: str) -> bytes:
    lines = (f"POST {route} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", FORM.strip(), *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer_of(connection: socket.socket) -> tuple[int, str]:
    """Return the status of an answer, and its code."""
    content = b""
    while b"request_id" not in content:
        part = connection.recv(65536)
        assert part, content
        content += part
    found = json.loads(content[content.index(b"{") : content.rindex(b"}") + 1])
    return int(content.split()[1]), found["error"]["code"]


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
@pytest.mark.parametrize("route", ["/v1/predict", "/v1/jobs"])
def test_a_body_that_states_too_much_is_refused_at_once(
    server: ServerProcess, route: str, expect: tuple[str, ...]
) -> None:
    with connected(server) as connection:
        began = time.monotonic()
        connection.sendall(head(server, route, "Content-Length: 100000000000", *expect))
        assert answer_of(connection) == (413, "LEX-REQ-1121")
        assert time.monotonic() - began < 3


def test_a_body_that_becomes_too_large_is_refused_while_it_arrives(server: ServerProcess) -> None:
    part = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    begin = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.zip"\r\n\r\n'
    with connected(server) as connection:
        connection.sendall(head(server, "/v1/jobs", "Transfer-Encoding: chunked"))
        connection.sendall(f"{len(begin):x}\r\n".encode() + begin + b"\r\n")
        for _ in range(17):  # 1.1 MB, and no end
            connection.sendall(part)
        began = time.monotonic()
        assert answer_of(connection) == (413, "LEX-REQ-1121")
        assert time.monotonic() - began < 3


def test_a_client_that_is_still_sending_sees_the_answer(server: ServerProcess) -> None:
    files = {"image": ("a.png", bytes(3_000_000))}
    answer = httpx2.post(f"{server.address}/v1/jobs", files=files, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "LEX-REQ-1121")


def test_a_job_that_arrives_byte_by_byte_loses_its_place(server: ServerProcess) -> None:
    begin = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    with connected(server) as connection:
        connection.sendall(head(server, "/v1/jobs", "Content-Length: 100000") + begin)
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        with ThreadPoolExecutor(1) as pool:
            dripping = pool.submit(drip)
            assert answer_of(connection) == (408, "LEX-REQ-1450")
            stop.set()
            dripping.result()
    files = {"image": ("a.png", png_file(soft_picture(0)))}
    assert httpx2.post(f"{server.address}/v1/jobs", files=files, timeout=60).status_code == 202


def test_a_volume_is_predicted_beside_requests(server: ServerProcess, tmp_path: Path) -> None:
    values = np.stack([soft_picture(k, 32, 40) for k in range(6)], axis=-1)
    scan = nifti(tmp_path / "scan.nii.gz", values, np.diag([1.0, 1, 3, 1]))
    with httpx2.Client(base_url=server.address, timeout=60) as http:
        files = {"image": ("scan.nii.gz", scan.read_bytes())}
        number = http.post("/v1/jobs", files=files).json()["id"]
        picture = {"image": ("a.png", png_file(soft_picture(0)))}
        assert http.post("/v1/predict", files=picture).status_code == 200
        seen = []
        with http.stream("GET", f"/v1/jobs/{number}/events") as events:
            for line in events.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
        assert [job["slices_done"] for job in seen] == sorted(job["slices_done"] for job in seen)
        assert (seen[-1]["state"], seen[-1]["slices"], seen[-1]["slices_done"]) == ("done", 6, 6)
        assert http.get(f"/v1/jobs/{number}/result").status_code == 200


def test_a_model_follows_its_folder_without_dropping_a_request(tmp_path: Path) -> None:
    run = tmp_path / "chest"
    shutil.copytree(Run.open("covid-xray").path, run)
    with served(run, "--watch-seconds", "0.3", "--decoders", "1") as server, ThreadPoolExecutor(2) as pool:
        seen: list[tuple[int, str]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                files = {"image": ("a.png", png_file(soft_picture(1)))}
                answer = httpx2.post(f"{server.address}/v1/predict", files=files, timeout=60)
                seen.append((answer.status_code, answer.json()["model"]["version"]))

        asking = [pool.submit(ask) for _ in range(2)]
        while len(seen) < 4:
            time.sleep(0.02)
        manifest = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**manifest, "review_below": 0.123}))
        until = time.monotonic() + 120
        while len({version for _, version in seen}) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        (run / "run.json").write_text("{}")
        problem = None
        while problem is None and time.monotonic() < until:
            time.sleep(0.1)
            (model,) = httpx2.get(f"{server.address}/readyz").json()["models"]
            problem = model["problem"]
        stop.set()
        for task in asking:
            task.result()
        assert {status for status, _ in seen} == {200}
        assert len({version for _, version in seen}) == 2
        assert problem is not None
        assert problem["code"] == "LEX-RUN-003"
        assert "a model is not replaced" in server.log.read_text()
        assert 'lexiseg_model_problem{model="chest"} 1.0' in httpx2.get(f"{server.address}/metrics").text
        assert server.end() == 0
