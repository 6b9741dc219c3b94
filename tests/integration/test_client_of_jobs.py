"""Jobs and volumes through the client of the package, on a real server without torch."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

import lexiseg
from dicom_files import dicom_file
from lexiseg.serving.tokens import new_token
from pictures import png_file, soft_picture
from refusals import refuses
from server_process import ServerProcess, served
from volume_files import ct_series, nifti


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with served("covid-xray", "--max-job-mb", "20", "--keep-jobs", "50") as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[lexiseg.Client]:
    with lexiseg.Client(server.address) as client:
        yield client


def pictures(folder: Path, number: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for seed in range(number):
        (folder / f"{seed}.png").write_bytes(png_file(soft_picture(seed)))
    return sorted(folder.iterdir())


def test_a_job_gives_the_masks_of_the_package(client: lexiseg.Client, tmp_path: Path) -> None:
    files = pictures(tmp_path / "images", 3)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    job = client.submit([*files, broken], formats="mask,overlay")
    seen = list(job.events())
    assert [record.id for record in seen] == [job.id] * len(seen)
    assert (seen[-1].state, seen[-1].done, seen[-1].failed) == ("done", 3, 1)
    assert job.wait() == seen[-1]
    out = job.download(tmp_path / "out")
    predictor = lexiseg.load("covid-xray", engine="onnx")
    for seed in range(3):
        mask = np.asarray(Image.open(out / "masks" / f"{seed}.png"))
        assert np.array_equal(mask > 0, predictor.predict(soft_picture(seed)).mask > 0)
        assert (out / "overlays" / f"{seed}.png").is_file()
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["error"][:10] for line in lines if "error" in line] == ["broken.png"]
    assert job.download(tmp_path / "out.zip").stat().st_size == job.record.bytes
    assert job.id in [listed.id for listed in client.jobs()]
    assert job.cancel().state == "done"
    with refuses("LEX-REQ-1143", "LEX-REQ-1138"):
        job.refresh()
    with refuses("LEX-REQ-1143", "LEX-REQ-1138"):
        job.download(tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems make no such name")
def test_results_of_a_name_that_is_not_utf8_lead_back_to_the_file(
    client: lexiseg.Client, tmp_path: Path
) -> None:
    (file,) = pictures(tmp_path / "images", 1)
    latin = file.rename(file.with_name(os.fsdecode(b"M\xfcller.png")))
    assert np.array_equal(client.predict(latin).mask, client.predict(soft_picture(0)).mask)
    job = client.submit([latin, latin.parent])
    assert job.wait(timeout_s=300).done == 2
    out = job.download(tmp_path / "out")
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [unquote_to_bytes(line["image"].rpartition("/")[2]) for line in lines] == [b"M\xfcller.png"] * 2
    assert (out / "masks" / "M%FCller.png").is_file()


def test_volumes_are_files_and_folders(client: lexiseg.Client, tmp_path: Path) -> None:
    values = np.stack([soft_picture(k, 32, 40) for k in range(3)], axis=-1)
    scan = nifti(tmp_path / "scan.nii.gz", values, np.diag([1.0, 1, 3, 1]))
    ct_series(tmp_path / "ct")
    job = client.submit(
        [scan, tmp_path / "ct"], formats=("nifti", "seg"), axis="axial", window="40,400", smooth_slices=True
    )
    done = job.wait(timeout_s=300)
    assert (done.images, done.done, done.failed) == (2, 2, 0)
    assert done.slices == done.slices_done > 3
    out = job.download(tmp_path / "out")
    (mask,) = out.rglob("scan.nii.gz")
    assert nibabel.load(mask).shape == values.shape  # type: ignore[attr-defined]
    (segmentation,) = (out / "seg").rglob("*.dcm")
    assert dcmread(segmentation).Modality == "SEG"
    assert len((out / "volumes.jsonl").read_text().splitlines()) == 2


def test_corrected_objects_of_a_job(client: lexiseg.Client, tmp_path: Path) -> None:
    chest = dicom_file(tmp_path / "chest.dcm", soft_picture(2), PatientOrientation=["L", "F"])
    job = client.submit(chest, formats=("mask", "seg", "sr"), say={"left": "lower left lung"})
    assert job.wait().notes == ()
    out = job.download(tmp_path / "out")
    assert dcmread(out / "seg" / "chest.dcm").Modality == "SEG"
    # Left of the image, which is the right of the patient.
    assert "lower right lung" in str(dcmread(out / "sr" / "chest.dcm"))


def test_refusals_are_those_of_the_client(client: lexiseg.Client, tmp_path: Path) -> None:
    (file,) = pictures(tmp_path / "images", 1)
    with refuses("LEX-REQ-1143", "LEX-DATA-1107", "card"):
        client.submit(file, formats="card")
    with refuses("LEX-DATA-1650", "none.png"):
        client.submit(tmp_path / "none.png")
    damaged = tmp_path / "a.zip"
    damaged.write_bytes(b"PK")
    with refuses("LEX-REQ-1143", "LEX-REQ-1458"):
        client.submit(damaged)
    large = tmp_path / "large.nii"
    large.write_bytes(bytes(21_000_000))
    with refuses("LEX-REQ-1143", "20,000,000") as caught:
        client.submit(large)
    assert caught.value.status == 413  # type: ignore[attr-defined]


def test_a_job_is_cancelled_while_it_runs(client: lexiseg.Client, tmp_path: Path) -> None:
    files = pictures(tmp_path / "images", 30)
    job = client.submit(files * 10)
    with refuses("LEX-REQ-1143", "LEX-REQ-1139"):
        job.download(tmp_path / "early")
    with refuses("LEX-REQ-1651", "0.2 seconds", "of 300 images"):
        job.wait(timeout_s=0.2)
    assert job.cancel().state in ("queued", "running")
    with refuses("LEX-REQ-1652", "cancelled"):
        job.wait()
    assert job.id not in [listed.id for listed in client.jobs()]
    # The next one does not wait for the 300 images.
    start = time.monotonic()
    assert client.submit(files[:1]).wait().done == 1
    assert time.monotonic() - start < 30


def test_jobs_need_the_scope_of_their_token(tmp_path: Path) -> None:
    (file,) = pictures(tmp_path / "images", 1)
    tokens = tmp_path / "tokens.json"
    named = {name: new_token(tokens, name, (name,)) for name in ("jobs", "predict")}  # type: ignore[arg-type]
    with served("covid-xray", "--token-file", tokens) as server:
        with lexiseg.Client(server.address, token=named["jobs"]) as client:
            assert client.submit(file).wait().done == 1
        client = lexiseg.Client(server.address, token=named["predict"])
        with client, refuses("LEX-REQ-1143", "jobs"):
            client.submit(file)
