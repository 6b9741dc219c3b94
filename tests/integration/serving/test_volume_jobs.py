"""Volumes in jobs: the same labels as `lexiseg predict`, within limits, one slice at a time."""

from __future__ import annotations

import io
import json
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from gzip import decompress as gunzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK
from PIL import Image
from starlette.testclient import TestClient

import lexiseg
from dicom_files import dicom_dataset
from lexiseg.clinic.view import parse_view
from lexiseg.data.volumes.voxel_file import open_volume_file
from lexiseg.inference.volumes.batch import predict_volumes_to_files
from lexiseg.inference.volumes.prediction import predict_volume
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.serving.limits import Limits
from lexiseg.serving.volumes.process_client import VolumeProcess
from lexiseg.serving.volumes.reading_process import VolumeRequest
from pictures import png_file, soft_picture
from refusals import refuses
from serving_fixtures import ended
from volume_files import body, ct_series, enhanced_ct, nifti, stored

IDENTITY = ((0, 1, 2), (1, 1, 1))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let private folders be made where the test sees them."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a NIfTI file with slices of slowly changing grey values."""
    values, affine = stored(body(), *IDENTITY)
    grey = np.stack([soft_picture(k, 32, 40) for k in range(values.shape[2])], axis=-1)
    return nifti(tmp_path_factory.mktemp("volumes") / "scan.nii.gz", grey, affine)


def run(client: TestClient, *uploads: tuple[str, bytes], **fields: str) -> dict[str, Any]:
    files = [("image", upload) for upload in uploads]
    answer = client.post("/v1/jobs", files=files, data=fields)
    assert answer.status_code == 202, answer.text
    return ended(client, answer.json()["id"], looks=1200)


def outputs(client: TestClient, job: dict[str, Any]) -> zipfile.ZipFile:
    assert job["state"] == "done", job
    return zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job['id']}/result").content))


def lines(archive: zipfile.ZipFile, name: str = "volumes.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).decode().splitlines()]


def labels(archive: zipfile.ZipFile, name: str, folder: Path) -> npt.NDArray[Any]:
    return np.asarray(nibabel.loadsave.load(archive.extract(name, folder)).dataobj)  # type: ignore[attr-defined]


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [".nii.gz", ".mha", ".nrrd"])
def test_a_volume_gives_what_predict_gives(
    serving: Callable[..., TestClient], source: Path, tmp_path: Path, kind: str
) -> None:
    file = source
    if kind != ".nii.gz":
        file = tmp_path / f"scan{kind}"
        SimpleITK.WriteImage(SimpleITK.ReadImage(str(source)), str(file), True)
    client = serving()
    job = run(client, (f"scan{kind}", file.read_bytes()), window="128,256", axis="axial")
    assert (job["images"], job["done"], job["failed"], job["slices"], job["slices_done"]) == (1, 1, 0, 8, 8)
    archive = outputs(client, job)
    assert archive.namelist() == ["volumes.jsonl", "nifti/scan.nii.gz"]
    (line,) = lines(archive)
    assert (line["image"], line["plane"], len(line["slices"])) == (f"scan{kind}", "axial", 8)
    wanted = predict_volume(
        lexiseg.load("covid-xray"),
        open_volume_file(file, parse_view("128,256")),
        axis="axial",
    )
    assert np.array_equal(labels(archive, "nifti/scan.nii.gz", tmp_path), wanted.labels)
    assert line["voxels"] == wanted.voxels
    assert [word["phrase"] for word in line["words"]] == [word.phrase for word in wanted.words]
    assert line["slices"][3]["area_px"] == wanted.slices[3].area_px


def test_a_zip_of_a_series_is_a_volume_beside_images(
    serving: Callable[..., TestClient], tmp_path: Path
) -> None:
    series = {f"ct/{file.name}": file.read_bytes() for file in ct_series(tmp_path / "ct")}
    picture = png_file(soft_picture(0))
    content = zipped({**series, "a.png": picture, "notes.txt": b"x", "notes2.txt": b"x"})
    client = serving()
    job = run(client, ("a.png", picture), ("study.zip", content), formats="mask,seg")
    assert (job["images"], job["done"], job["failed"], job["slices_done"]) == (3, 3, 0, 8)
    assert job["notes"] == [
        "Files of study.zip that are not read because of their ending: 2 .txt (such as notes.txt)."
    ]
    archive = outputs(client, job)
    assert archive.namelist() == [
        "predictions.jsonl", "volumes.jsonl", "masks/a-2.png", "masks/a.png", "nifti/ct.nii.gz", "seg/ct.dcm",
    ]  # fmt: skip
    assert [line["image"] for line in lines(archive, "predictions.jsonl")] == ["a.png", "study.zip/a.png"]
    (line,) = lines(archive)
    assert line["image"] == "study.zip/ct"
    assert line["slices"][0]["file"] == "study.zip/ct/s00.dcm"
    assert str(tempfile.gettempdir()) not in archive.read("volumes.jsonl").decode()
    written = pydicom.dcmread(io.BytesIO(archive.read("seg/ct.dcm")))
    assert (written.Modality, written.PatientName) == ("SEG", "Test^Phantom")


def test_a_header_of_many_data_files_fails_alone(serving: Callable[..., TestClient]) -> None:
    header = b"NRRD0004\ndata file: s%d.raw 1 99999999 1\n"
    content = zipped({"a.nhdr": header, "s1.raw": b"x", "b.png": png_file(soft_picture(0))})
    job = run(serving(), ("study.zip", content))
    assert (job["images"], job["done"], job["failed"]) == (2, 1, 1)
    assert "1 .raw (such as s1.raw)" in job["notes"][0]


def test_slices_that_outputs_read_are_not_counted(serving: Callable[..., TestClient], tmp_path: Path) -> None:
    files = ct_series(tmp_path / "ct")
    content = zipped({file.name: file.read_bytes() for file in files})
    client = serving()
    job = run(client, ("study.zip", content), formats="sc", axis="i")
    assert (job["done"], job["failed"], job["slices"]) == (1, 0, pydicom.dcmread(files[0]).Columns)
    assert job["slices_done"] == job["slices"]
    assert [name for name in outputs(client, job).namelist() if name.startswith("sc/")] != []


@pytest.mark.parametrize("several_frames", [False, True])
def test_the_server_reads_no_file_of_a_series_itself(
    serving: Callable[..., TestClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    several_frames: bool,
) -> None:
    formats = ("seg", "sr", "sc", "gsps")
    (tmp_path / "in").mkdir()
    if several_frames:
        path = enhanced_ct(tmp_path / "in" / "ct.dcm")
        upload = ("ct.dcm", path.read_bytes())
    else:
        path = tmp_path / "in" / "ct"
        upload = ("study.zip", zipped({f"ct/{f.name}": f.read_bytes() for f in ct_series(path)}))
    predictor = lexiseg.load("covid-xray")
    predict_volumes_to_files(predictor, find_volumes([path]).targets, tmp_path / "out", formats=formats)

    def read(file: Any, *arguments: Any, **keywords: Any) -> Any:
        raise AssertionError(f"{file} is read in the process of the server")

    monkeypatch.setattr("lexiseg.clinic.series.dcmread", read)
    monkeypatch.setattr("lexiseg.data.volumes.series_slices.stored_content", read)
    archive = outputs(client := serving(), run(client, upload, formats=",".join(formats)))
    for name in formats:
        wanted = pydicom.dcmread(tmp_path / "out" / name / "ct.dcm")
        found = pydicom.dcmread(io.BytesIO(archive.read(f"{name}/ct.dcm")))
        # The name of the run differs where it is served; all that comes from the source is the same.
        assert found == wanted, name


def test_a_file_that_ends_the_process_is_refused_and_the_job_goes_on(
    serving: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = VolumeProcess.ask

    def ends(process: VolumeProcess, request: VolumeRequest, content: bytes = b"") -> Any:
        if request.wanted == "file":
            process._process.kill()
        return ask(process, request, content)

    monkeypatch.setattr(VolumeProcess, "ask", ends)
    content = zipped({f"ct/{file.name}": file.read_bytes() for file in ct_series(tmp_path / "ct")})
    client = serving()
    archive = outputs(client, run(client, ("study.zip", content), formats="mask,seg,sr,sc"))
    assert archive.namelist() == ["volumes.jsonl", "nifti/ct.nii.gz"]
    (line,) = lines(archive)
    assert set(line["not_written"]) == {"seg", "sr", "sc"}
    assert all("LEX-DATA-1453" in why for why in line["not_written"].values())
    assert run(client, ("a.png", png_file(soft_picture(0))))["done"] == 1


def test_slices_of_a_series_can_be_images_of_their_own(
    serving: Callable[..., TestClient], tmp_path: Path
) -> None:
    content = zipped({file.name: file.read_bytes() for file in ct_series(tmp_path / "ct")[:3]})
    client = serving()
    job = run(client, ("study.zip", content), single_slices="true")
    assert (job["images"], job["done"], job["slices"]) == (3, 3, 0)
    assert outputs(client, job).namelist()[0] == "predictions.jsonl"


def test_limits_of_volumes_are_those_of_the_server(serving: Callable[..., TestClient], source: Path) -> None:
    content = source.read_bytes()  # 40 x 32 x 8 voxels
    for limits, code in (
        (Limits(voxels=40 * 32 * 8 - 1), "LEX-DATA-1450"),
        (Limits(slices=7), "LEX-DATA-1454"),
        (Limits(volume_seconds=0.001), "LEX-DATA-1452"),
    ):
        client = serving(limits=limits)
        job = run(client, ("scan.nii.gz", content))
        assert (job["done"], job["failed"]) == (0, 1)
        (line,) = lines(outputs(client, job))
        assert line["code"] == code
        assert line["error"].startswith("scan.nii.gz ")
    assert client.post("/v1/jobs", files={"image": ("a.nii", bytes(100))}).status_code == 202
    small = serving(limits=Limits(volume_bytes=99, file_bytes=200))
    refused = small.post("/v1/jobs", files={"image": ("a.nii", bytes(100))})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "LEX-REQ-1106")
    assert small.post("/v1/jobs", files={"image": ("a.png", bytes(100))}).status_code == 202


def test_frames_of_dicom_files_are_counted_before_anything_is_made_of_them(
    serving: Callable[..., TestClient], tmp_path: Path
) -> None:
    content = enhanced_ct(tmp_path / "frames.dcm").read_bytes()  # 8 frames
    # Almost as many as the file has bytes: an object for each of them would fill the memory.
    many = enhanced_ct(tmp_path / "many.dcm")
    stated = pydicom.dcmread(many)
    stated.NumberOfFrames = frames = len(content) - 1000
    stated.save_as(many)
    client = serving(limits=Limits(slices=10, job_images=10))
    assert run(client, ("frames.dcm", content))["slices"] == 8
    job = run(client, ("many.dcm", many.read_bytes()))
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-1590")
    assert job["error"]["message"].startswith(f"many.dcm has {frames:,} frames; at most 10 are read.")
    job = run(client, ("a.dcm", content), ("both.zip", zipped({"b.dcm": content})))
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-1591")
    assert "up to both.zip/b.dcm have 16 slices" in job["error"]["message"]


def test_headers_of_dicom_files_are_read_in_another_process(
    serving: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.clinic.series.slice_headers", lambda path, most=None: 1 / 0)
    content = zipped({file.name: file.read_bytes() for file in ct_series(tmp_path / "ct")})
    assert run(serving(), ("study.zip", content))["slices_done"] == 8


def test_a_process_that_ends_or_has_no_memory_says_so(
    serving: Callable[..., TestClient], source: Path
) -> None:
    process = VolumeProcess(Limits(), "a.nii", threading.Event())
    process._process.kill()
    with refuses("LEX-DATA-1453", "a.nii"):
        process.ask(VolumeRequest(wanted="volume", path=str(source)))
    process.close()
    client = serving(limits=Limits(decode_bytes=1 << 20))
    job = run(client, ("scan.nii.gz", source.read_bytes()), ("b.nii", b"no volume"))
    assert job["failed"] == 2
    codes = {line["code"] for line in lines(outputs(client, job))}
    assert codes <= {"LEX-DATA-1451", "LEX-DATA-1453"}


@pytest.mark.parametrize(
    ("name", "header", "code"),
    [
        ("a.mha", "ElementDataFile = /etc/hostname\n", "LEX-DATA-1456"),
        ("a.mhd", "ElementDataFile = ../2/b.png\n", "LEX-DATA-1456"),
        ("a.mha", "ElementDataFile = LIST\n/etc/hostname\n", "LEX-DATA-1456"),
        ("a.mha", "Comment = x\rElementDataFile = LOCAL\nElementDataFile = /etc/hostname\n", "LEX-DATA-1427"),
        ("a.mha", "", "LEX-DATA-1199"),
        ("a.mhd", "ElementDataFile = s%02d.raw 0 1 1\n", "LEX-DATA-1456"),
        ("a.nrrd", "data file: /etc/hostname\n\n", "LEX-DATA-1456"),
        ("a.nhdr", "DataFile: /etc/hostname\n", "LEX-DATA-1456"),
        ("a.nrrd", "data file: LIST\n/etc/hostname\n", "LEX-DATA-1456"),
        ("a.nrrd", "encoding: raw\n", "LEX-DATA-1199"),
    ],
)
def test_a_header_cannot_name_files_of_the_server(
    serving: Callable[..., TestClient], name: str, header: str, code: str
) -> None:
    begins = (
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\n"
        if name.endswith(("nrrd", "nhdr"))
        else "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n"
    )
    client = serving()
    job = run(client, (name, (begins + header).encode()), ("b.png", png_file(soft_picture(0))))
    assert (job["done"], job["failed"]) == (1, 1)
    (line,) = lines(outputs(client, job))
    assert (line["image"], line["code"]) == (name, code)


def test_a_data_file_beside_its_header_is_read(serving: Callable[..., TestClient], source: Path) -> None:
    folder = source.parent / "detached"
    folder.mkdir()
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(source)), str(folder / "scan.mhd"))
    content = zipped({file.name: file.read_bytes() for file in folder.iterdir()})
    client = serving()
    job = run(client, ("both.zip", content))
    assert (job["images"], job["done"], job["slices_done"]) == (1, 1, 8)


def bomb() -> bytes:
    """Return a zip file of 10 kB whose files hold 10 MB."""
    return zipped({f"{number}.png": bytes(1_000_000) for number in range(10)})


def test_zip_files_that_hold_too_much_are_refused_before_they_are_unpacked(
    serving: Callable[..., TestClient], temporary: Path
) -> None:
    nested = zipped({"b.zip": zipped({"a.png": b"x"})})
    forced = io.BytesIO()
    with zipfile.ZipFile(forced, "w") as archive:
        archive.writestr("a.png", b"x")
    content = forced.getvalue()
    end = content.rindex(b"PK\x05\x06")
    zip64 = content[:end] + b"PK\x06\x07" + bytes(16) + content[end:]
    outside = zipped({"../a.png": b"x"})
    client = serving(limits=Limits(unpacked_bytes=9_999_999, job_images=10))
    for content, status, code in (
        (bomb(), 413, "LEX-REQ-1454"),
        (zipped({f"{number}.png": b"" for number in range(11)}), 413, "LEX-REQ-1455"),
        (nested, 422, "LEX-REQ-1456"),
        (zip64, 422, "LEX-REQ-1457"),
        (b"no zip file", 422, "LEX-REQ-1458"),
        (outside, 422, "LEX-DATA-056"),
    ):
        began = time.monotonic()
        answer = client.post("/v1/jobs", files={"image": ("a.zip", content)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.json()["error"]["message"].startswith("a.zip ")
        assert time.monotonic() - began < 5
    # A list of files that is longer than any that is taken is not read.
    long = zipped({f"{number}{'x' * 2000}.png": b"" for number in range(10)})
    answer = client.post("/v1/jobs", files={"image": ("a.zip", long)})
    assert answer.json()["error"]["code"] == "LEX-REQ-1455"
    assert list(temporary.rglob("*.png")) == []


def test_equal_names_in_a_zip_file_are_numbered(serving: Callable[..., TestClient], source: Path) -> None:
    picture, volume = soft_picture(0), source.read_bytes()
    jpeg = io.BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG")
    files = {
        "a.png": png_file(picture),
        "a.jpg": jpeg.getvalue(),
        "s.nii.gz": volume,
        "s.nii": gunzip(volume),
    }
    client = serving()
    job = run(client, ("study.zip", zipped(files)))
    assert (job["images"], job["done"]) == (4, 4)
    archive = outputs(client, job)
    assert [name for name in archive.namelist() if "/" in name] == [
        "masks/a-2.png", "masks/a.png", "nifti/s-2.nii.gz", "nifti/s.nii.gz",
    ]  # fmt: skip
    written = {line["image"]: line["mask"] for line in lines(archive, "predictions.jsonl")}
    assert written == {"study.zip/a.jpg": "masks/a.png", "study.zip/a.png": "masks/a-2.png"}


def test_members_that_later_ones_replace_are_said(serving: Callable[..., TestClient]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", png_file(soft_picture(0)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", png_file(soft_picture(1)))
    job = run(serving(), ("study.zip", packed.getvalue()))
    assert (job["images"], job["done"]) == (1, 1)
    (note,) = job["notes"]
    assert note.startswith("1 file is not read because study.zip holds a later one of the same name")


def test_a_zip_file_without_images_fails_the_job(serving: Callable[..., TestClient]) -> None:
    job = run(serving(), ("notes.zip", zipped({"notes.txt": b"x"})))
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-099")
    assert "notes.zip" in job["error"]["message"]
    assert str(tempfile.gettempdir()) not in job["error"]["message"]


def test_deflated_dicom_files_are_not_read(serving: Callable[..., TestClient]) -> None:
    buffer = io.BytesIO()
    dicom_dataset(soft_picture(0)).save_as(buffer, enforce_file_format=True)
    deflated = buffer.getvalue().replace(b"\x14\0001.2.840.10008.1.2.1\0", b"\x16\0001.2.840.10008.1.2.1.99")
    client = serving()
    job = run(client, ("a.zip", zipped({"a.dcm": deflated})))
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-1457")
    # 70 kB before the element that says it.
    late = (
        deflated[:144] + b"\2\0\1\0OB\0\0" + (70_000).to_bytes(4, "little") + bytes(70_000) + deflated[144:]
    )
    job = run(client, ("a.zip", zipped({"a.dcm": late})))
    assert (job["state"], job["error"]["code"]) == ("failed", "LEX-DATA-1457")
    job = run(client, ("a.dcm", deflated))
    (line,) = lines(outputs(client, job), "predictions.jsonl")
    assert line["code"] == "LEX-DATA-1101"


def test_a_volume_is_cancelled_between_two_slices(
    serving: Callable[..., TestClient], tmp_path: Path, temporary: Path
) -> None:
    values = np.repeat(np.arange(400, dtype=np.uint8)[None, None], 64, axis=0).repeat(64, axis=1)
    content = nifti(tmp_path / "long.nii", values, np.diag([1.0, 1, 3, 1])).read_bytes()
    client = serving()
    number = client.post("/v1/jobs", files={"image": ("long.nii", content)}).json()["id"]
    for _ in range(1200):
        job = client.get(f"/v1/jobs/{number}").json()
        if job["slices_done"]:
            break
        time.sleep(0.02)
    assert (job["state"], job["slices"]) == ("running", 400)
    assert client.delete(f"/v1/jobs/{number}").status_code == 200
    after = run(client, ("a.png", png_file(soft_picture(0))))
    assert after["done"] == 1
    assert [path for path in temporary.rglob("*") if path.name == "long.nii"] == []
