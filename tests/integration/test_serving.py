"""A real server on this machine, without torch, and the client of the package."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydicom import dcmread

import lexiseg
from dicom_files import dicom_file
from lexiseg.runs.run import Run
from lexiseg.schemas import schema
from lexiseg.serving.tokens import new_token
from pictures import png_file, soft_picture
from refusals import refuses
from server_process import ServerProcess, served


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with served("covid-xray", "--max-file-mb", "0.2", "--max-seconds", "20") as server:
        yield server


def assert_same(found: Any, expected: Any) -> None:
    """Check that two results are equal to the last bit."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    elif dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name))
    else:
        assert found == expected


def test_the_client_gives_the_results_of_the_package(server: ServerProcess, tmp_path: Path) -> None:
    predictor = lexiseg.load("covid-xray", engine="onnx")
    plain = tmp_path / "plain.png"
    plain.write_bytes(png_file(soft_picture(1)))
    mirrored = dicom_file(
        tmp_path / "a.dcm", soft_picture(3), PatientOrientation=["R", "F"], PixelSpacing=[0.2, 0.1]
    )
    with lexiseg.Client(server.address) as client:
        for image in (soft_picture(1), np.dstack([soft_picture(2)] * 3), mirrored):
            assert_same(client.predict(image), predictor.predict(image))
        expected = lexiseg.refine(predictor, mirrored, say={"left": "lower left lung"})
        assert_same(client.refine(mirrored, say={"left": "lower left lung"}), expected)
        objects = client.corrected_objects(mirrored, say={"left": "lower left lung"})
        assert [str(dcmread(io.BytesIO(content)).Modality) for content in objects.values()] == ["SEG", "SR"]
        with refuses("LEX-REQ-1459", "seg", "is no DICOM file"):
            client.corrected_objects(plain, say={"left": "lower left lung"}, formats=("seg",))
        images = [soft_picture(seed, 50 + seed, 70) for seed in range(9)]
        for found, image in zip(client.predict_many(images), images, strict=True):
            assert_same(found, predictor.predict(image))
        (model,) = client.models()
        assert model.weights_sha256 == Run.open("covid-xray").weights_sha256()


def test_requests_at_the_same_time_do_not_change_each_other(server: ServerProcess) -> None:
    images = [soft_picture(seed) for seed in range(4)]
    with lexiseg.Client(server.address) as client, ThreadPoolExecutor(8) as pool:
        alone = [client.predict(image) for image in images]
        for found, number in zip(
            pool.map(lambda number: client.predict(images[number % 4]), range(24)), range(24), strict=True
        ):
            assert_same(found, alone[number % 4])


def test_the_client_says_what_the_server_refuses(server: ServerProcess, tmp_path: Path) -> None:
    broken = tmp_path / "a.png"
    broken.write_bytes(b"no image")
    with lexiseg.Client(server.address) as client:
        with refuses("LEX-REQ-1140", "a.png", "LEX-DATA-013"):
            client.predict(broken)
        with refuses("LEX-REQ-1143", "LEX-USE-303", "lower left lung"):
            client.refine(soft_picture(1), say="left: lower left hand")
        with refuses("LEX-REQ-1143", "LEX-REQ-1106"):
            client.predict(np.random.default_rng(0).integers(0, 256, (500, 500), dtype=np.uint8))
    with lexiseg.Client(server.address, model="other") as client, refuses("LEX-REQ-1143", "LEX-REQ-1109"):
        client.predict(soft_picture(1))
    with lexiseg.Client("http://127.0.0.1:9") as client, refuses("LEX-REQ-1141", "does not answer"):
        client.predict(soft_picture(1))


def test_a_body_that_does_not_end_does_not_hold_the_server(server: ServerProcess) -> None:
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode())
        with lexiseg.Client(server.address) as client:
            client.predict(soft_picture(1))
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, b"LEX-REQ-1126" in answer.read()) == (503, True)


def test_overload_is_refused_and_passes() -> None:
    content = png_file(soft_picture(1))
    with served("covid-xray", "--max-waiting", "2") as server, ThreadPoolExecutor(16) as pool:

        def send(number: int) -> httpx2.Response:
            files = {"image": ("a.png", content)}
            return httpx2.post(f"{server.address}/v1/predict", files=files, timeout=60)

        answers = list(pool.map(send, range(48)))
        assert {answer.status_code for answer in answers} == {200, 429}
        refused = [answer for answer in answers if answer.status_code == 429]
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert send(0).status_code == 200
        assert server.end() == 0


def test_models_are_replaced_without_dropping_a_request(tmp_path: Path) -> None:
    run = tmp_path / "chest"
    shutil.copytree(Run.open("covid-xray").path, run)
    with served(run) as server, ThreadPoolExecutor(2) as pool:
        seen: list[tuple[int, str]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answer = httpx2.post(
                    f"{server.address}/v1/predict",
                    files={"image": ("a.png", png_file(soft_picture(1)))},
                    timeout=60,
                )
                seen.append((answer.status_code, answer.json()["model"]["version"]))

        asking = [pool.submit(ask) for _ in range(2)]
        while len(seen) < 4:
            time.sleep(0.02)
        manifest = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**manifest, "review_below": 0.123}))
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while len({version for _, version in seen}) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        # A run that cannot be loaded leaves the one that is.
        (run / "run.json").write_text("{}")
        server.process.send_signal(signal.SIGHUP)
        while "not replaced" not in server.log.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        stop.set()
        for task in asking:
            task.result()
        assert {status for status, _ in seen} == {200}
        assert len({version for _, version in seen}) == 2
        assert "LEX-RUN-003" in server.log.read_text()
        assert server.end() == 0


def test_running_requests_end_before_the_server_does() -> None:
    images = [soft_picture(seed, 200, 200) for seed in range(20)]
    with (
        served("covid-xray") as server,
        ThreadPoolExecutor(1) as pool,
        lexiseg.Client(server.address) as client,
    ):
        answer = pool.submit(client.predict_many, images)
        while 'lexiseg_waiting_images{model="covid-xray"} 0' in httpx2.get(f"{server.address}/metrics").text:
            time.sleep(0.01)
        assert server.end() == 0
        assert len(answer.result()) == 20
        assert "The server has ended." in (server.process.stdout.read() if server.process.stdout else "")


def test_a_job_that_is_followed_does_not_hold_a_server_that_ends() -> None:
    image = soft_picture(0)
    files = [("image", (f"{number}.png", png_file(image))) for number in range(400)]
    with served("covid-xray", "--stop-seconds", "300") as server:
        job = httpx2.post(f"{server.address}/v1/jobs", files=files, timeout=60).json()
        events = []
        with httpx2.stream("GET", f"{server.address}/v1/jobs/{job['id']}/events", timeout=60) as stream:
            lines = stream.iter_lines()
            while not (events and events[-1]["done"]):
                events += told(next(lines))
            server.process.send_signal(signal.SIGTERM)
            for line in lines:
                events += told(line)
        assert (events[-1]["state"], events[-1]["done"] < len(files)) == ("cancelled", True)
        assert events[-1]["error"]["code"] == "LEX-REQ-2081"
        assert server.process.wait(120) == 0


def told(line: str) -> list[dict[str, Any]]:
    """Return the record in a line of a stream of events, if it holds one."""
    return [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []


def test_jobs_leave_nothing_when_the_server_is_killed_and_another_starts(tmp_path: Path) -> None:
    files = [("image", (f"{i}.png", png_file(soft_picture(i)))) for i in range(20)]
    with served("covid-xray", TMPDIR=str(tmp_path)) as server:
        assert httpx2.post(f"{server.address}/v1/jobs", files=files).status_code == 202
        server.end(signal.SIGKILL)
    assert list(tmp_path.rglob("*.png"))
    with served("covid-xray", TMPDIR=str(tmp_path)) as server:
        assert httpx2.post(f"{server.address}/v1/jobs", files=files[:1]).status_code == 202
        assert not list(tmp_path.rglob("19.png"))
        assert server.end() == 0
    assert not list(tmp_path.glob("lexiseg-jobs-*"))


def test_tokens_and_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "1"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *made, *subject], check=True, capture_output=True)
    tokens = tmp_path / "tokens.json"
    token = new_token(tokens, "ward", ("predict",))
    options = ("--token-file", tokens, "--tls-certificate", certificate, "--tls-key", key)
    with served("covid-xray", *options) as server:
        assert server.address.startswith("https://")
        import ssl

        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx2.Client(base_url=server.address, verify=trusted) as http:
            assert http.get("/v1/models").status_code == 401
            answer = http.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_the_address_is_in_the_result_and_in_the_log() -> None:
    import sys

    command = [
        sys.executable,
        "-m",
        "lexiseg",
        "serve",
        "covid-xray",
        "--port",
        "0",
        "--json",
        "--decoders",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=60)
    result = json.loads("".join(lines) + rest)
    Draft202012Validator(schema("serve")).validate(result)
    assert result["runs"] == ["covid-xray"]
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [event["address"] for event in events if event["event"] == "listening"] == [result["address"]]


def test_a_server_that_cannot_start_says_why() -> None:
    import sys

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, code, said in (
            (["covid-xray", "--port", port], 2, "LEX-USE-1112"),
            (["nothing", "--port", "0"], 4, "LEX-RUN-001"),
            (["covid-xray", "covid-xray", "--port", "0"], 2, "LEX-USE-1102"),
            (["covid-xray", "--host", "0.0.0.0"], 2, "LEX-USE-1109"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "lexiseg", "serve", *words],
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (
                code,
                True,
                False,
            ), done.stderr
