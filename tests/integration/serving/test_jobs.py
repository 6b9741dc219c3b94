from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pydicom
import pytest
from PIL import Image
from starlette.testclient import TestClient

import lexiseg
from dicom_files import dicom_dataset
from lexiseg.data import portable_names
from lexiseg.extras import install_hint
from lexiseg.inference.records.predictions_file import FailureRecord
from lexiseg.inference.writers import loading
from lexiseg.serving.jobs import work
from lexiseg.serving.jobs.job_list import JobList
from lexiseg.serving.limits import Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.tokens import new_token, revoke_token
from pictures import png_file, soft_picture
from refusals import refuses
from serving_fixtures import ended

# A process that begins with it does not find packages of extras.
_WITHOUT_EXTRAS = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *place: None if name in ("pydicom", "nibabel") else find(name, *place)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let private folders be made where the test sees them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(serving: Callable[..., TestClient]) -> TestClient:
    return serving()


def dicom_file() -> bytes:
    buffer = io.BytesIO()
    dicom_dataset(
        np.asarray(soft_picture(2)), PatientOrientation=["L", "F"], PatientName="Smith", PixelSpacing=[1, 1]
    ).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_a_job_gives_what_predict_writes(client: TestClient, temporary: Path, picture: bytes) -> None:
    uploads = [
        ("image", ("a.png", picture)),
        ("image", ("a.png", png_file(soft_picture(1)))),
        ("image", ("b.dcm", dicom_file())),
        ("image", ("c.png", b"no image")),
    ]
    answer = client.post("/v1/jobs", files=uploads, data={"formats": "mask, seg,sr"})
    assert answer.status_code == 202, answer.text
    job = ended(client, answer.json()["id"])
    assert (job["state"], job["images"], job["done"], job["failed"]) == ("done", 4, 3, 1)
    download = client.get(f"/v1/jobs/{job['id']}/result")
    assert (download.headers["content-type"], len(download.content)) == ("application/zip", job["bytes"])
    archive = zipfile.ZipFile(io.BytesIO(download.content))
    assert set(archive.namelist()) == {
        "predictions.jsonl", "masks/a.png", "masks/a-2.png", "masks/b.png", "seg/b.dcm", "sr/b.dcm",
    }  # fmt: skip
    lines = [json.loads(line) for line in archive.read("predictions.jsonl").decode().splitlines()]
    assert sorted(line["image"] for line in lines) == ["a.png", "a.png", "b.dcm", "c.png"]
    assert str(temporary) not in archive.read("predictions.jsonl").decode()
    failed = next(line for line in lines if "error" in line)
    assert failed["error"].startswith("c.png is not a readable image")
    written = next(line for line in lines if line.get("name") == "a-2")
    assert written["not_written"]["seg"].startswith("a.png is no DICOM file")
    predictor = lexiseg.load("covid-xray")
    mask = np.asarray(Image.open(io.BytesIO(archive.read("masks/a-2.png"))))
    assert np.array_equal(mask > 0, predictor.predict(soft_picture(1)).mask > 0)
    report = pydicom.dcmread(io.BytesIO(archive.read("sr/b.dcm")))
    assert report.PatientName == "Smith"


def test_a_server_with_windows_stores_names_that_windows_forbids(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable_names, "_IS_WINDOWS", True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x?.png", picture)
    uploads = [("image", ("a:b.png", picture)), ("image", ("nul.zip", packed.getvalue()))]
    job = ended(client, client.post("/v1/jobs", files=uploads).json()["id"])
    assert (job["state"], job["done"]) == ("done", 2)
    result = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    assert {name for name in result.namelist() if name.endswith(".png")} == {
        "masks/a%3Ab.png", "masks/x%3F.png",
    }  # fmt: skip
    lines = [json.loads(line) for line in result.read("predictions.jsonl").decode().splitlines()]
    assert lines[0]["image"] == "a:b.png"


def test_no_answer_says_where_the_server_is_installed(
    serving: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None if name == "highdicom" else True)
    (tmp_path / "sitecustomize.py").write_text(_WITHOUT_EXTRAS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    client = serving()
    upload = ("image", ("b.dcm", dicom_file()))
    formats = client.post("/v1/jobs", files=[upload], data={"formats": "seg"})
    image = client.post("/v1/predict", files=[upload])
    job = client.post("/v1/jobs", files=[upload], data={"single_slices": "true"}).json()
    ended(client, job["id"])
    result = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))
    errors = (formats.json()["error"], image.json()["results"][0]["error"])
    assert [error["code"] for error in errors] == ["LEX-USE-943", "LEX-USE-940"]
    for said in (
        *(error["message"] for error in errors),
        json.loads(result.read("predictions.jsonl"))["error"],
    ):
        assert said.endswith("Install the extra 'dicom' on the server.")
    volume = client.post("/v1/jobs", files=[("image", ("a.nii", bytes(400)))]).json()
    said = ended(client, volume["id"])["error"]["message"]
    assert said.endswith("Install the extra 'volumes' on the server.")


def test_lines_of_a_job_do_not_say_where_the_server_is_installed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    why = f"{tmp_path}/1/b.dcm is compressed. {install_hint('dicom')}"
    records = (
        FailureRecord(image=f"{tmp_path}/1/b.dcm", error=why, code="LEX-DATA-947").model_dump(),
        {"image": "ct", "not_written": {"seg": f"ct is compressed. {install_hint('dicom')} [LEX-DATA-947]"}},
    )
    (out / "predictions.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records), "utf-8")
    watch = Mock(spec=work._Watch)
    work._pack(out, tmp_path / "out.zip", {tmp_path / "1" / "b.dcm": "b.dcm"}, watch)
    packed = zipfile.ZipFile(tmp_path / "out.zip").read("predictions.jsonl").decode()
    image, volume = map(json.loads, packed.splitlines())
    said = "is compressed. Install the extra 'dicom' on the server."
    assert (image["image"], image["error"]) == ("b.dcm", f"b.dcm {said}")
    assert volume == {"image": "ct", "not_written": {"seg": f"ct {said} [LEX-DATA-947]"}}


def test_packing_ends_where_the_job_is_cancelled(tmp_path: Path) -> None:
    masks = tmp_path / "out" / "masks"
    masks.mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        (masks / name).write_bytes(b"png")
    watch = Mock(spec=work._Watch)
    watch.look.side_effect = [None, work.StoppedError]
    with pytest.raises(work.StoppedError):
        work._pack(tmp_path / "out", tmp_path / "out.zip", {}, watch)
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["masks/a.png"]


def test_images_are_private_and_do_not_stay(client: TestClient, temporary: Path, picture: bytes) -> None:
    job = client.post("/v1/jobs", files={"image": ("a.png", picture)}).json()
    (folder,) = temporary.glob("lexiseg-jobs-*")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    ended(client, job["id"])
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    assert [path.name for path in kept] == ["result.zip"]
    assert stat.S_IMODE(os.stat(kept[0]).st_mode) == 0o600
    removed = client.delete(f"/v1/jobs/{job['id']}")
    assert removed.json()["state"] == "done"
    assert [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"] == []
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    client.__exit__(None, None, None)
    assert list(temporary.glob("lexiseg-jobs-*")) == []
    client.__enter__()


def test_a_job_is_followed_and_cancelled(client: TestClient, temporary: Path, picture: bytes) -> None:
    uploads = [("image", (f"{i}.png", picture)) for i in range(300)]
    job = client.post("/v1/jobs", files=uploads).json()
    waiting = client.post("/v1/jobs", files={"image": ("b.png", picture)}).json()
    assert client.get(f"/v1/jobs/{waiting['id']}/result").json()["error"]["code"] == "LEX-REQ-1139"
    assert [found["id"] for found in client.get("/v1/jobs").json()["jobs"]] == [waiting["id"], job["id"]]
    assert client.delete(f"/v1/jobs/{job['id']}").json()["state"] in ("queued", "running")
    events = client.get(f"/v1/jobs/{waiting['id']}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    named = [part.split("\n")[0] for part in events.text.strip().split("\n\n")]
    assert set(named[:-1]) <= {"event: progress", ":"}
    assert named[-1] == "event: end"
    last = json.loads(events.text.strip().rpartition("data: ")[2])
    assert (last["state"], last["done"]) == ("done", 1)
    assert not any(path.name == "0.png" for path in temporary.rglob("*"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"formats": "card"}, "LEX-DATA-1107"),
        ({"formats": " ,"}, "LEX-DATA-1107"),
        ({"model": "other"}, "LEX-REQ-1109"),
        ({"colour": "red"}, "LEX-REQ-1119"),
    ],
)
def test_refused_jobs_leave_nothing(
    client: TestClient, temporary: Path, picture: bytes, fields: dict[str, str], code: str
) -> None:
    answer = client.post("/v1/jobs", files={"image": ("a.png", picture)}, data=fields)
    assert answer.json()["error"]["code"] == code
    assert list(temporary.rglob("*.png")) == []


def test_a_server_that_ends_takes_no_job_that_it_could_not_finish(
    client: TestClient, temporary: Path, picture: bytes
) -> None:
    client.app.state.service.jobs.end()  # type: ignore[attr-defined]
    answer = client.post("/v1/jobs", files={"image": ("a.png", picture)})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json()["error"]["code"] == "LEX-REQ-2081"
    assert list(temporary.rglob("*.png")) == []


def test_jobs_whose_images_arrive_take_their_places() -> None:
    jobs = JobList(Limits(jobs=2), Metrics())
    with jobs.place(), jobs.place(), refuses("LEX-REQ-1137", "2 jobs"), jobs.place():
        pass
    with jobs.place(), jobs.place():
        pass


def test_jobs_belong_to_their_token(
    serving: Callable[..., TestClient], tmp_path: Path, picture: bytes
) -> None:
    file = tmp_path / "tokens.json"
    one, other = (
        {"Authorization": f"Bearer {new_token(file, name, ('jobs',))}"} for name in ("one", "other")
    )
    client = serving(token_file=file, limits=Limits(jobs=1))
    uploads = [("image", (f"{i}.png", picture)) for i in range(30)]
    job = client.post("/v1/jobs", files=uploads, headers=one).json()
    assert client.post("/v1/jobs", files=uploads, headers=other).json()["error"]["code"] == "LEX-REQ-1137"
    for call in (client.get, client.delete):
        refused = call(f"/v1/jobs/{job['id']}", headers=other)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "LEX-REQ-1138")
    assert client.get("/v1/jobs", headers=other).json() == {"jobs": []}
    assert client.delete(f"/v1/jobs/{job['id']}", headers=one).status_code == 200


class _Held:
    """Stands for the work of a job, which lasts until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr("lexiseg.serving.jobs.job_list.run_job", self._run)

    def _run(self, *_: object) -> int:
        self.begun.set()
        assert self.go.wait(60)
        raise work.StoppedError


def test_a_stream_ends_when_its_token_is_revoked(
    serving: Callable[..., TestClient], tmp_path: Path, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.serving.jobs.job_list._ALIVE_SECONDS", 0.3)
    file, held = tmp_path / "tokens.json", _Held(monkeypatch)
    headers = {"Authorization": f"Bearer {new_token(file, 'one', ('jobs',))}"}
    client = serving(token_file=file)
    job = client.post("/v1/jobs", files={"image": ("a.png", picture)}, headers=headers).json()
    assert held.begun.wait(60)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(client.get, f"/v1/jobs/{job['id']}/events", headers=headers)
        time.sleep(1)
        assert not following.done()
        revoke_token(file, "one")
        # A later token of the same name is another one.
        new_token(file, "one", ("jobs",))
        text = following.result(timeout=30).text
    held.go.set()
    assert "event: progress" in text
    assert "event: end" not in text


def test_the_server_answers_while_it_removes_the_files_of_a_job(
    serving: Callable[..., TestClient], picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, removing, removed = _Held(monkeypatch), threading.Event(), threading.Event()
    remove = shutil.rmtree

    def slow(*given: Any, **options: Any) -> None:
        removing.set()
        assert removed.wait(60)
        remove(*given, **options)

    client = serving()
    client.post("/v1/jobs", files={"image": ("a.png", picture)})
    waiting = client.post("/v1/jobs", files={"image": ("b.png", picture)}).json()
    monkeypatch.setattr("lexiseg.serving.jobs.job_list.shutil.rmtree", slow)
    with ThreadPoolExecutor(2) as pool:
        deleting = pool.submit(client.delete, f"/v1/jobs/{waiting['id']}")
        assert removing.wait(60)
        try:
            assert pool.submit(client.get, "/healthz").result(timeout=30).status_code == 200
            assert not deleting.done()  # its answer says that the files are gone
        finally:
            removed.set()
        assert deleting.result(timeout=60).json()["state"] == "cancelled"
    held.go.set()


@pytest.mark.parametrize(
    ("asked", "status", "size"),
    [
        ("bytes=9-1", 400, None),
        ("bytes=0-1,99999999-", 416, "bytes */"),
        ("bytes=99999999-", 416, "bytes */"),
    ],
)
@pytest.mark.parametrize("address", ["/", "/styles/layout.css"])
def test_a_range_that_a_file_does_not_have_is_refused_like_other_requests(
    client: TestClient, address: str, asked: str, status: int, size: str | None
) -> None:
    answer = client.get(address, headers={"Range": asked})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "LEX-REQ-2098")
    assert (answer.headers.get("content-range") or "").startswith(size or "")
    assert (answer.headers.get("content-range") is None) == (size is None)


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=-5", 206), ("Bytes = 0-4", 206), ("bytes=0-1,5-6", 206), ("lines=1-2", 200), ("lines", 200)],
)
@pytest.mark.parametrize("address", ["/", "/styles/layout.css"])
def test_ranges_are_answered_and_those_in_other_units_ignored(
    client: TestClient, address: str, asked: str, status: int
) -> None:
    answer = client.get(address, headers={"Range": asked})
    assert answer.status_code == status
    assert len(answer.content) == int(answer.headers["content-length"])


def test_a_zip_file_of_a_data_set_leaves_its_masks_out_and_says_so(
    client: TestClient, picture: bytes
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("set/images/a.png", picture)
        archive.writestr("set/masks/a.png", picture)
    made = client.post("/v1/jobs", files={"image": ("set.zip", packed.getvalue())}).json()
    job = ended(client, made["id"])
    assert (job["state"], job["images"], job["done"]) == ("done", 1, 1)
    assert job["notes"] == [
        "Files of set.zip that are not read because their folder holds the masks of a data set: 1."
    ]
