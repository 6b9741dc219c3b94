"""`lexiseg predict` on volumes and DICOM series: real command lines with the model that comes with
Lexiseg."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import nibabel
import numpy as np
import pydicom
import pytest
from fsspec.implementations.local import LocalFileSystem
from typer.testing import CliRunner

from dicom_files import dicom_file, ramp
from lexiseg.cli.app import app
from lexiseg.data.volumes.series_slices import SeriesVolume
from lexiseg.errors import DiskError, PartialFailureError, UsageError
from lexiseg.inference.predictor import Predictor
from volume_files import body, ct_series, nifti, stored

RUNNER = CliRunner()


def test_a_folder_of_volumes_series_and_images(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    ct_series(root / "ct")
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    nifti(root / "mr.nii.gz", values, affine)
    dicom_file(root / "cr.dcm", ramp(20, 20))
    done = RUNNER.invoke(app, ["predict", "covid-xray", str(root), "--out", str(out), "--smooth-slices"])
    assert done.exit_code == 0, done.output
    assert "2 of 2 volumes segmented, 16 slices (axial (k): 2)" in done.output
    assert "1 of 1 image segmented" in done.output
    records = [json.loads(line) for line in (out / "volumes.jsonl").read_text().splitlines()]
    assert [record["name"] for record in records] == ["mr", "ct"]
    assert [len(record["slices"]) for record in records] == [8, 8]
    assert all(record["smoothed"] and len(record["words"]) == 4 for record in records)
    assert records[1]["side"] == "image"
    for name in ("ct", "mr"):
        assert nibabel.nifti1.load(out / "nifti" / f"{name}.nii.gz").shape == (12, 10, 8)
    assert [path.name for path in (out / "masks").iterdir()] == ["cr.png"]
    # A second prediction of the same folder replaces its own outputs; below the images, none is taken for
    # one.
    again = RUNNER.invoke(app, ["predict", "covid-xray", str(tmp_path), "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert "2 of 2 volumes segmented" in again.output


def test_what_is_known_of_volumes_is_said_before_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    nifti(root / "mr.nii.gz", values, affine)
    dicom_file(root / "cr.dcm", ramp(20, 20))

    def full(*arguments: object, **keywords: object) -> None:
        raise DiskError("There is no space.", code="LEX-DISK-001")

    monkeypatch.setattr("lexiseg.inference.batches.batch.predict_to_files", full)
    done = RUNNER.invoke(app, ["predict", "covid-xray", str(root), "--out", str(out)])
    assert getattr(done.exception, "code", None) == "LEX-DISK-001"
    assert "1 of 1 volume segmented" in done.output
    assert str(out / "volumes.jsonl") in done.output


def test_a_nifti_2_volume_is_segmented_like_one_of_nifti_1(tmp_path: Path) -> None:
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    (tmp_path / "in").mkdir()
    nifti(tmp_path / "in" / "one.nii", values, affine)
    image = nibabel.nifti2.Nifti2Image(values, affine)
    image.header["descrip"] = image.header["aux_file"] = b"Doe^Jane"
    image.to_filename(tmp_path / "in" / "two.nii.gz")
    out = tmp_path / "out"
    done = RUNNER.invoke(app, ["predict", "covid-xray", str(tmp_path / "in"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 of 2 volumes segmented" in done.output
    one = nibabel.nifti1.Nifti1Image.from_filename(out / "nifti" / "one.nii.gz")
    two = nibabel.nifti2.Nifti2Image.from_filename(out / "nifti" / "two.nii.gz")
    assert np.array_equal(np.asarray(one.dataobj), np.asarray(two.dataobj))
    assert np.array_equal(two.affine, affine)
    assert b"Doe" not in gzip.decompress((out / "nifti" / "two.nii.gz").read_bytes())


def test_a_window_an_axis_and_a_segmentation(tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")
    out = tmp_path / "out"
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", str(out)]
    done = RUNNER.invoke(app, [*arguments, "--write", "seg", "--axis", "coronal", "--window", "100,200"])
    assert done.exit_code == 0, done.output
    assert "10 slices (coronal (j): 1)" in done.output
    (record,) = [json.loads(line) for line in (out / "volumes.jsonl").read_text().splitlines()]
    assert record["shown"] == "window 100, 200, chosen"
    assert record["mask"] is None
    assert pydicom.dcmread(out / "seg" / "ct.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"


def test_the_result_as_json(tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", str(tmp_path / "out"), "--json"]
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    volumes = result["volumes"]
    assert (volumes["done"], volumes["slices"], volumes["failed"]) == (1, 8, [])
    assert volumes["results"] == str(tmp_path / "out" / "volumes.jsonl")


def test_refused_series_name_the_way_out(tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")[3].unlink()
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", str(tmp_path / "out")]
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 1
    assert "1 slice is missing" in done.output
    alone = RUNNER.invoke(app, [*arguments, "--single-slices"])
    assert alone.exit_code == 0, alone.output
    assert "7 of 7 images segmented" in alone.output


def test_a_volume_without_planes_needs_a_voxel_axis(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.zeros((8, 8, 2), np.int16), np.eye(4), code=0)
    arguments = ["predict", "covid-xray", str(path), "--out", str(tmp_path / "out")]
    refused = RUNNER.invoke(app, [*arguments, "--axis", "coronal"])
    assert refused.exit_code == 1, refused.output
    assert "voxel axis: i, j, k" in " ".join(refused.output.split())
    done = RUNNER.invoke(app, [*arguments, "--axis", "i"])
    assert done.exit_code == 0, done.output
    assert "8 slices (unknown (i): 1)" in done.output


def test_an_archive_is_predicted_under_its_own_name(tmp_path: Path) -> None:
    files = ct_series(tmp_path / "ct")
    study = tmp_path / "study.zip"
    with zipfile.ZipFile(study, "w") as archive:
        for file in files:
            archive.write(file, f"ct/{file.name}")
        archive.write(dicom_file(tmp_path / "cr.dcm", ramp(20, 20)), "cr.dcm")
        archive.writestr("bad.dcm", b"\0" * 128 + b"DICM" + b"no DICOM")
    out = tmp_path / "out"
    done = RUNNER.invoke(app, ["predict", "covid-xray", str(study), "--out", str(out)])
    assert done.exit_code == 1
    assert "lexiseg-" not in done.output
    (volume,) = [json.loads(line) for line in (out / "volumes.jsonl").read_text().splitlines()]
    images = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert volume["image"] == f"{study}/ct"
    assert volume["slices"][0]["file"] == f"{study}/ct/s00.dcm"
    assert [image["image"] for image in images] == [f"{study}/bad.dcm", f"{study}/cr.dcm"]
    assert images[0]["error"].startswith(f"{study}/bad.dcm")


def test_volumes_are_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ct_series(tmp_path / "ct")
    memory, url = fsspec.filesystem("memory"), "memory://volumes/out"
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", url]
    forecast = RUNNER.invoke(app, [*arguments, "--dry-run"])
    assert forecast.exit_code == 0, forecast.output
    assert not memory.exists("/volumes")
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]
    done = RUNNER.invoke(app, [*arguments, "--json", "--write", "nifti,probability"])
    assert isinstance(done.exception, PartialFailureError)
    assert f"{url}/volumes.jsonl" in str(done.exception)
    assert f"Results of volumes: {url}/volumes.jsonl" in done.stderr
    assert "lexiseg-upload" not in done.output + str(done.exception)
    result = json.loads(done.stdout)
    assert result["volumes"]["results"] == f"{url}/volumes.jsonl"
    assert "results" not in result
    assert sorted(memory.find("/volumes")) == ["/volumes/out/nifti/ct.nii.gz", "/volumes/out/volumes.jsonl"]
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]
    memory.rm("/volumes", recursive=True)


@pytest.mark.parametrize("with_images", [False, True])
def test_results_of_an_upload_that_was_left_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_images: bool
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ct_series(tmp_path / "in" / "ct")
    if with_images:
        dicom_file(tmp_path / "in" / "cr.dcm", ramp(20, 20))
    url = f"file://{(tmp_path / 'out').as_posix()}"
    arguments = ["predict", "covid-xray", str(tmp_path / "in"), "--out", url, "--json"]

    def gone(self: Any, *names: str, **options: Any) -> None:
        raise ConnectionError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalFileSystem, "put_file", gone)
        assert RUNNER.invoke(app, arguments).exit_code != 0
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    named = {"failed": 0, "volumes": {"results": f"{url}/volumes.jsonl"}}
    if with_images:
        named["results"] = f"{url}/predictions.jsonl"
    assert json.loads(done.stdout) == named
    assert (tmp_path / "out" / "volumes.jsonl").is_file()
    assert (tmp_path / "out" / "predictions.jsonl").is_file() is with_images


def test_a_given_pixel_size_is_said_not_to_hold_for_volumes(tmp_path: Path) -> None:
    ct_series(tmp_path / "ct")
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", str(tmp_path / "out")]
    assert "--spacing-mm" not in RUNNER.invoke(app, arguments).output
    done = RUNNER.invoke(app, [*arguments, "--spacing-mm", "1", "1"])
    assert done.exit_code == 0, done.output
    assert "--spacing-mm is not used for volumes" in " ".join(done.output.split())


@pytest.mark.parametrize("stopped_at", ["volume", "image"])
def test_an_interrupted_command_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    ct_series(root / "ct")
    values, affine = stored(body(), (0, 1, 2), (1, 1, 1))
    nifti(root / "mr.nii.gz", values, affine)
    dicom_file(root / "cr.dcm", ramp(20, 20))
    arguments = ["predict", "covid-xray", str(root), "--out", str(out)]

    def stop(*given: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        place = {"volume": SeriesVolume, "image": Predictor}[stopped_at]
        patch.setattr(place, {"volume": "slices", "image": "predict_paths"}[stopped_at], stop)
        stopped = RUNNER.invoke(app, arguments)
    assert "Run the command again: it goes on with the rest." in str(stopped.exception)
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    kept = {"volume": "1 volume", "image": "2 volumes"}[stopped_at]
    assert f"Not predicted again, as an interrupted command had finished them: {kept}." in done.output
    assert "2 of 2 volumes segmented, 16 slices (axial (k): 2)" in done.output
    assert sorted(path.name for path in out.iterdir() if path.is_file() and path.name[0] != ".") == [
        "predictions.jsonl",
        "volumes.jsonl",
    ]
    assert "Not predicted again" not in RUNNER.invoke(app, arguments).output


def test_volumes_have_no_shards(tmp_path: Path) -> None:
    # Each shard would predict all of them, into the same files.
    ct_series(tmp_path / "ct")
    arguments = ["predict", "covid-xray", str(tmp_path / "ct"), "--out", str(tmp_path / "out")]
    refused = RUNNER.invoke(app, [*arguments, "--shard", "1/2"])
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.code == "LEX-USE-1185"
    assert not (tmp_path / "out").exists()


def test_failures_of_images_and_of_volumes_are_both_counted(tmp_path: Path) -> None:
    for name in ("picture.png", "volume.nii.gz"):
        (tmp_path / name).write_bytes(b"no image")
    files = [str(tmp_path / name) for name in ("picture.png", "volume.nii.gz")]
    done = RUNNER.invoke(app, ["predict", "covid-xray", *files, "--out", str(tmp_path / "out")])
    assert "1 of 1 volume could not be predicted" in done.output
    assert "1 of 1 image could not be read" in done.output + str(done.exception)
