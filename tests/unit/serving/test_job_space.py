"""Finished jobs go, the oldest first, where there are too many or the disk is full."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from lexiseg.errors import DiskError
from lexiseg.outputs.private_folder import PrivateFolder
from lexiseg.serving.gate import refusal_of
from lexiseg.serving.jobs.job import JobSettings
from lexiseg.serving.jobs.job_list import JobList
from lexiseg.serving.jobs.work import StoppedError
from lexiseg.serving.limits import Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.records.common import ModelVersion
from refusals import refuses


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let private folders be made where the test sees them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def done(client: TestClient, picture: bytes, **fields: str) -> dict[str, Any]:
    number = client.post("/v1/jobs", files={"image": ("a.png", picture)}, data=fields).json()["id"]
    for _ in range(1200):
        job: dict[str, Any] = client.get(f"/v1/jobs/{number}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def listed(client: TestClient) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]


def test_the_oldest_finished_jobs_go_first(
    serving: Callable[..., TestClient], temporary: Path, picture: bytes
) -> None:
    client = serving(limits=Limits(kept_jobs=2))
    made = [done(client, picture)["id"] for _ in range(3)]
    assert listed(client) == [made[2], made[1]]
    assert client.get(f"/v1/jobs/{made[0]}/result").json()["error"]["code"] == "LEX-REQ-1138"
    until = time.monotonic() + 30
    while len(list(temporary.rglob("result.zip"))) > 2 and time.monotonic() < until:
        time.sleep(0.02)  # files are removed beside the loop
    assert len(list(temporary.rglob("result.zip"))) == 2


def test_finished_jobs_make_room_on_the_disk(
    serving: Callable[..., TestClient], temporary: Path, picture: bytes
) -> None:
    size = done(serving(), picture)["bytes"]
    # The body of a request is a little larger than its image.
    body = len(picture) + 400
    client = serving(limits=Limits(job_disk_bytes=2 * size + body, job_bytes=4 * size + body))
    made = [done(client, picture)["id"] for _ in range(4)]
    assert listed(client)[:2] == [made[3], made[2]]
    assert made[0] not in listed(client)
    # What finished jobs do not hold is no space that they could give.
    full = client.post("/v1/jobs", files={"image": ("a.png", bytes(2 * size + body))})
    assert (full.status_code, full.json()["error"]["code"]) == (507, "LEX-REQ-1452")
    assert int(full.headers["Retry-After"]) > 0
    assert made[3] in listed(client)


def test_bytes_of_jobs_that_arrive_and_run_are_counted() -> None:
    async def arrive() -> None:
        jobs = JobList(Limits(job_disk_bytes=10), Metrics())
        with jobs.place() as one, jobs.place() as other:
            one.hold(6)
            other.hold(4)
            with refuses("LEX-REQ-1452", "no space for 1 bytes"):
                other.hold(1)
        with jobs.place() as later:
            later.hold(10)

    asyncio.run(arrive())


def test_a_removed_job_counts_until_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ends = threading.Event(), threading.Event()

    def run_job(*_: object) -> int:
        begun.set()
        ends.wait(30)
        raise StoppedError

    monkeypatch.setattr("lexiseg.serving.jobs.job_list.run_job", run_job)

    async def remove() -> None:
        jobs = JobList(Limits(job_disk_bytes=10), Metrics())
        number, folder = await jobs.new_folder()
        model: Any = SimpleNamespace(
            predictor=None, version=ModelVersion(name="a", version="b", lexiseg_version="c")
        )
        job = jobs.add(
            number, folder, owner="", model=model, settings=JobSettings(), uploads={}, held_bytes=6
        )
        await asyncio.to_thread(begun.wait, 30)
        await asyncio.sleep(0)
        jobs.remove(job)
        with jobs.place() as place:
            with refuses("LEX-REQ-1452", "5 bytes"):
                place.hold(5)
            ends.set()
            await asyncio.gather(*jobs._running)
            place.hold(5)
        await jobs.stop()

    asyncio.run(remove())


def test_a_folder_that_is_made_while_the_server_ends_does_not_stay(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, made = threading.Event(), threading.Event()
    new = PrivateFolder.new

    def slow(private: PrivateFolder, name: str) -> Path:
        begun.set()
        assert made.wait(30)
        return new(private, name)

    monkeypatch.setattr(PrivateFolder, "new", slow)

    async def end() -> None:
        jobs = JobList(Limits(), Metrics())
        asking = asyncio.create_task(jobs.new_folder())
        await asyncio.to_thread(begun.wait, 30)
        ending = asyncio.create_task(jobs.stop())
        await asyncio.sleep(0.1)
        made.set()
        await asyncio.gather(asking, ending)

    asyncio.run(end())
    assert not list(temporary.iterdir())


def test_outputs_of_a_job_have_a_limit(serving: Callable[..., TestClient], picture: bytes) -> None:
    client = serving(limits=Limits(result_bytes=100))
    job = done(client, picture, formats="mask,probability")
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-REQ-1453")


def test_a_full_disk_is_no_busy_server() -> None:
    answer = refusal_of(DiskError("full", code="LEX-DISK-001"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (507, "60")
