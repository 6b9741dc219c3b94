"""`lexiseg.predict_volume` and `lexiseg.predict_volumes_to_files`, given paths: what is found and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner

import lexiseg
from dicom_files import dicom_file, ramp
from lexiseg.cli.app import app
from lexiseg.clinic import detection
from lexiseg.clinic.view import View
from lexiseg.inference.volumes import targets as volume_targets
from lexiseg.inference.volumes import volume_inputs
from lexiseg.inference.volumes.targets import find_volumes
from lexiseg.runs.run import Run
from pictures import png_file, soft_picture
from refusals import refuses
from volume_files import UpperRight, body, corners, ct_series, enhanced_ct, nifti, stored

PREDICTOR: Any = UpperRight()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return nifti(tmp_path / "scan.nii.gz", *stored(body(), (0, 1, 2), (1, 1, 1)))


def two_series(folder: Path) -> Path:
    """Write two series into one folder, and one slice of a third, which is no volume."""
    ct_series(folder)
    for file in folder.iterdir():
        file.rename(folder / f"first-{file.name}")
    ct_series(folder, SeriesInstanceUID="2.25.8", SeriesNumber=8)
    dicom_file(folder / "localizer.dcm", ramp(20, 20), modality="CT", SeriesInstanceUID="2.25.9")
    return folder


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "volumes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("options", [{}, {"axis": "coronal", "smooth_slices": True}])
@pytest.mark.parametrize("kind", ["file", "series"])
def test_a_volume_is_predicted_as_the_command_predicts_it(
    made: tuple[Run, nn.Module], scan: Path, tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    path = scan if kind == "file" else tmp_path / "ct"
    if kind == "series":
        ct_series(path)
    out = tmp_path / "out"
    given = ["--axis", "coronal", "--smooth-slices"] if options else []
    done = CliRunner().invoke(app, ["predict", str(made[0].path), str(path), "--out", str(out), *given])
    assert done.exit_code == 0, done.output
    (record,) = lines(out)
    found = lexiseg.predict_volume(made[0].path, path, **options)
    assert isinstance(found, lexiseg.VolumePrediction)
    assert (found.labels.shape, found.labels.dtype) == ((12, 10, 8), np.uint8)
    assert found.labels.any()
    written = nibabel.nifti1.load(out / record["mask"])
    assert np.array_equal(np.asarray(written.dataobj), found.labels)
    assert record["voxels"] == found.voxels
    assert record["volume_mm3"] == pytest.approx(found.volume_mm3)
    assert [word["phrase"] for word in record["words"]] == [word.phrase for word in found.words]
    assert [one["area_px"] for one in record["slices"]] == [one.area_px for one in found.slices]
    assert (record["plane"], record["flagged"]) == (found.plane, found.flagged)
    assert repr(found).startswith(f"VolumePrediction(12 x 10 x 8, {len(found.slices)} {found.plane} slices, ")


def test_a_run_is_loaded_by_its_name_its_folder_or_as_it_is(made: tuple[Run, nn.Module], scan: Path) -> None:
    run = made[0]
    wanted = lexiseg.predict_volume(lexiseg.load(run.path), scan)
    for given in (run, run.path, str(run.path)):
        assert np.array_equal(lexiseg.predict_volume(given, str(scan)).labels, wanted.labels)
    with refuses("LEX-RUN-001", "no-such-run"):
        lexiseg.predict_volume("no-such-run", scan)


def test_what_holds_one_volume_is_taken(tmp_path: Path, scan: Path) -> None:
    """The folder of a series, a folder above it with pictures beside, a file of frames, and a target."""
    ct_series(tmp_path / "patient" / "ct")
    (tmp_path / "patient" / "a.png").write_bytes(png_file(soft_picture(1)))
    frames = enhanced_ct(tmp_path / "frames.dcm")
    for path in (scan, tmp_path / "patient" / "ct", tmp_path / "patient", frames):
        found = lexiseg.predict_volume(PREDICTOR, path, axis="axial")
        assert np.array_equal(found.labels > 0, corners(left=True, front=True)), path
    (target,) = find_volumes([frames]).targets
    found = lexiseg.predict_volume(PREDICTOR, target, axis="axial")
    assert np.array_equal(found.labels > 0, corners(left=True, front=True))


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    for call in (
        lambda: lexiseg.predict_volume(PREDICTOR, tmp_path / "no.nii"),
        lambda: lexiseg.predict_volumes_to_files(PREDICTOR, [tmp_path / "no.nii"], tmp_path / "out"),
        lambda: lexiseg.predict_volumes_to_files(PREDICTOR, [tmp_path / "no*.nii"], tmp_path / "out"),
    ):
        with refuses("LEX-DATA-1905", str(tmp_path / "no")):
            call()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["picture", "text", "slice", "folder", "empty folder", "archive"])
def test_a_path_that_is_no_volume_is_refused(tmp_path: Path, scan: Path, kind: str) -> None:
    path, words = tmp_path / "given", (".nii.gz", "DICOM series")
    if kind == "picture":
        path = tmp_path / "a.png"
        path.write_bytes(png_file(soft_picture(1)))
    elif kind == "text":
        path.write_text("no volume")
    elif kind == "slice":
        path, words = ct_series(tmp_path / "ct")[0], ("folder of its series",)
    elif kind == "folder":
        path.mkdir()
        (path / "a.png").write_bytes(png_file(soft_picture(1)))
    elif kind == "empty folder":
        path.mkdir()
    else:
        path, words = tmp_path / "a.zip", ("unpack it",)
        path.write_bytes(b"PK")
    with refuses("LEX-DATA-1906", str(path), *words):
        lexiseg.predict_volume(PREDICTOR, path)
    # One such path stops all, before anything is written.
    with refuses("LEX-DATA-1906", str(path), *words):
        lexiseg.predict_volumes_to_files(PREDICTOR, [scan, path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("beside", ["frames.dcm", "scan.nii.gz"])
def test_a_pattern_of_slices_beside_volumes_is_refused(tmp_path: Path, beside: str) -> None:
    folder = tmp_path / "in"
    ct_series(folder)
    if beside == "frames.dcm":
        enhanced_ct(folder / beside)
    else:
        nifti(folder / beside, *stored(body(), (0, 1, 2), (1, 1, 1)))
    pattern = folder / ("*.dcm" if beside == "frames.dcm" else "*")
    with refuses("LEX-DATA-2030", str(pattern), "8 slices", "Give the folder of the series"):
        lexiseg.predict_volumes_to_files(PREDICTOR, [pattern], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # The folder names the same slices whole.
    found = volume_inputs.all_volumes([pattern, folder], tmp_path / "out", View())
    assert len(found) == 2


def test_a_folder_of_several_volumes_names_them(tmp_path: Path) -> None:
    folder = two_series(tmp_path / "ct")
    with refuses(
        "LEX-DATA-1907", "2 volumes", "series 8, 8 slices", "find_volumes", "predict_volumes_to_files"
    ):
        lexiseg.predict_volume(PREDICTOR, folder)
    for target in find_volumes([folder]).targets:
        assert lexiseg.predict_volume(PREDICTOR, target, axis="axial").labels.any()
    (tmp_path / "many").mkdir()
    for number in range(7):
        nifti(tmp_path / "many" / f"{number}.nii", *stored(body(), (0, 1, 2), (1, 1, 1)))
    with refuses("LEX-DATA-1907", "7 volumes", "0.nii", "4.nii; and others") as caught:
        lexiseg.predict_volume(PREDICTOR, tmp_path / "many")
    assert "5.nii" not in str(caught.value)


def test_a_url_is_refused(tmp_path: Path) -> None:
    for call in (
        lambda: lexiseg.predict_volume(PREDICTOR, "https://host/a.nii.gz?token=secret"),
        lambda: lexiseg.predict_volumes_to_files(PREDICTOR, ["s3://bucket/a.nii.gz"], tmp_path / "out"),
    ):
        with refuses("LEX-USE-1909", "a.nii.gz", "Download") as caught:
            call()
        assert "secret" not in str(caught.value)


def test_a_chosen_frame_makes_dicom_files_images(tmp_path: Path, scan: Path) -> None:
    predictor: Any = UpperRight()
    predictor.options = replace(predictor.options, view=View(frame=3))
    with refuses("LEX-DATA-1906", "frame 3", "without a frame"):
        lexiseg.predict_volume(predictor, enhanced_ct(tmp_path / "frames.dcm"))
    assert lexiseg.predict_volume(predictor, scan).labels.any()


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ct_series(tmp_path / "ct")
    for module in (volume_targets, volume_inputs, detection):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with refuses("LEX-USE-940", "dicom"):
        lexiseg.predict_volume(PREDICTOR, tmp_path / "ct")
    # A volume that can be read beside it is not "the only one".
    nifti(tmp_path / "scan.nii", *stored(body(), (0, 1, 2), (1, 1, 1)))
    with refuses("LEX-USE-940", "dicom"):
        lexiseg.predict_volume(PREDICTOR, tmp_path)
    with refuses("LEX-USE-940", "dicom"):
        lexiseg.predict_volumes_to_files(PREDICTOR, [tmp_path], tmp_path / "out")


def test_paths_become_files_as_the_command_writes_them(
    made: tuple[Run, nn.Module], scan: Path, tmp_path: Path
) -> None:
    two_series(tmp_path / "in" / "ct")
    predictor, paths = lexiseg.load(made[0].path), [scan, tmp_path / "in", str(scan)]
    summary = lexiseg.predict_volumes_to_files(
        predictor, paths, tmp_path / "python", formats=["mask", "overlay"], axis="axial"
    )
    assert isinstance(summary, lexiseg.VolumeSummary)
    assert (summary.done, summary.slices, summary.failed) == (3, 24, ())
    assert repr(summary).startswith("VolumeSummary(3 volumes, 24 slices, ")
    arguments = ["predict", made[0].path, scan, tmp_path / "in" / "ct", "--write", "mask,overlay"]
    out = tmp_path / "command"
    done = CliRunner().invoke(app, [*map(str, arguments), "--axis", "axial", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert [line["voxels"] for line in lines(tmp_path / "python")] == [line["voxels"] for line in lines(out)]
    for name in ("nifti/scan.nii.gz", "overlays/scan.png"):
        assert (tmp_path / "python" / name).read_bytes() == (out / name).read_bytes()


def test_targets_and_paths_together(tmp_path: Path, scan: Path, made: tuple[Run, nn.Module]) -> None:
    ct_series(tmp_path / "ct")
    predictor = lexiseg.load(made[0].path)
    (target,) = find_volumes([tmp_path / "ct"]).targets
    summary = lexiseg.predict_volumes_to_files(predictor, [scan, target], tmp_path / "out")
    assert [line["name"] for line in lines(tmp_path / "out")] == ["ct", "scan"]
    assert (summary.done, summary.results) == (2, tmp_path / "out" / "volumes.jsonl")
    (tmp_path / "other").mkdir()
    other = nifti(tmp_path / "other" / "ct.nii", *stored(body(), (0, 1, 2), (1, 1, 1)))
    with refuses("LEX-DATA-1200", "'ct'"):
        lexiseg.predict_volumes_to_files(predictor, [other, target], tmp_path / "out")


def test_a_generator_of_paths_is_read_once(tmp_path: Path, scan: Path, made: tuple[Run, nn.Module]) -> None:
    predictor = lexiseg.load(made[0].path)
    summary = lexiseg.predict_volumes_to_files(predictor, (path for path in [scan]), tmp_path / "out")  # type: ignore[arg-type]
    assert summary.done == 1


def test_arguments_that_cannot_be(tmp_path: Path, scan: Path) -> None:
    with refuses("LEX-USE-1908", "list"):
        lexiseg.predict_volumes_to_files(PREDICTOR, str(scan), tmp_path / "out")
    with refuses("LEX-USE-571", "'bitmap'"):
        lexiseg.predict_volumes_to_files(PREDICTOR, [scan], tmp_path / "out", formats=["bitmap"])
    with refuses("LEX-USE-1180"):
        lexiseg.predict_volume(PREDICTOR, scan, axis="upwards")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
