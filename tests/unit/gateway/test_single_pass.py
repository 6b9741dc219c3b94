"""One pass over a folder, as a processing module of mercure does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from gateway_setup import RULE, image_bytes, settings
from lexiseg.gateway.single_pass import predict_folder
from lexiseg.inference.predictor import Predictor
from lexiseg.outputs.folder_lock import FolderLock
from refusals import refuses


@pytest.fixture(autouse=True)
def _load_once(shipped: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lexiseg.gateway.single_pass.load_predictors",
        lambda configuration: {rule.run: shipped for rule in configuration.rules},
    )


def test_objects_and_result_json_are_what_mercure_takes(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    for number in (1, 2):
        (images / f"2.25.2#2.25.1000{number}.dcm").write_bytes(image_bytes(number))
    (images / "2.25.2#2.25.10001.tags").write_text("{}")
    (images / "task.json").write_text("{}")
    (images / "ultrasound.dcm").write_bytes(image_bytes(3, modality="US"))
    (images / "text.dcm").write_bytes(b"no image")
    summary = predict_folder(settings(tmp_path), images, out)
    assert (summary.predicted, summary.left_out, len(summary.failed)) == (2, 1, 1)
    result = json.loads((out / "result.json").read_text())
    assert result["notice"] == "Research use only. Not for diagnosis."
    assert result["__mercure_notification"]["text"].startswith("2 images segmented, ")
    by_file = {image["file"]: image for image in result["images"]}
    assert by_file["text.dcm"]["code"] == "LEX-DATA-1233"
    assert by_file["ultrasound.dcm"]["state"] == "left_out"
    assert by_file["ultrasound.dcm"]["reason"] == "No rule fits it."
    assert [name for name, _ in summary.failed] == ["text.dcm"]
    objects = by_file["2.25.2#2.25.10001.dcm"]["objects"]
    assert sorted(dcmread(out / name).Modality for name in objects) == ["SEG", "SR"]
    for name in objects:
        written = dcmread(out / name)
        assert name == f"{written.SeriesInstanceUID}#{written.SOPInstanceUID}.dcm"
    assert len(by_file["2.25.2#2.25.10001.dcm"]["prediction"]["words"]) > 0
    # Nothing else is there, and the input is as it was.
    assert len(list(out.iterdir())) == 5
    assert len(list(images.iterdir())) == 6


@pytest.mark.parametrize("uid", ["x" * 300, "../../../evil", "a\0b:c"])
def test_any_text_may_stand_for_an_uid(tmp_path: Path, uid: str) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    (images / "a.dcm").write_bytes(image_bytes(1))
    (images / "b.dcm").write_bytes(image_bytes(2, SOPInstanceUID=uid))
    rules = [{**RULE, "write": ["mask"]}]
    summary = predict_folder(settings(tmp_path, rules=rules), images, out)
    assert (summary.predicted, summary.failed) == (2, ())
    result = json.loads((out / "result.json").read_text())
    names = [name for image in result["images"] for name in image["objects"]]
    assert "2.25.2#2.25.10001-mask.png" in names
    assert sorted([*names, "result.json"]) == sorted(file.name for file in out.iterdir())
    assert len(names) == 2


def test_files_with_the_same_uids_do_not_replace_each_other(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        (images / f"{name}.dcm").write_bytes(image_bytes(1, seed=seed))
    rules = [{**RULE, "write": ["mask"]}]
    summary = predict_folder(settings(tmp_path, rules=rules), images, out)
    # The third one is a copy of the first.
    assert (summary.predicted, summary.left_out) == (1, 1)
    assert [name for name, _ in summary.failed] == ["b.dcm"]
    (failed,) = [one for one in json.loads((out / "result.json").read_text())["images"] if one["code"]]
    assert (failed["code"], "the SOP instance UID of a.dcm" in failed["reason"]) == ("LEX-DATA-2034", True)


@pytest.mark.parametrize("batch", [1, 8])
def test_copies_and_equal_uids_of_two_series_do_not_depend_on_the_batch(tmp_path: Path, batch: int) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    (images / "a.dcm").write_bytes(image_bytes(1))
    (images / "copy.dcm").write_bytes(image_bytes(1))
    (images / "other.dcm").write_bytes(image_bytes(1, seed=5, SeriesInstanceUID="2.25.99"))
    summary = predict_folder(settings(tmp_path, batch=batch), images, out)
    assert (summary.predicted, summary.left_out, len(summary.failed)) == (1, 1, 1)
    outcomes = {image["file"]: image for image in json.loads((out / "result.json").read_text())["images"]}
    assert outcomes["copy.dcm"]["reason"] == "It holds the same as a.dcm."
    assert outcomes["other.dcm"]["code"] == "LEX-DATA-2034"
    assert len(list(out.glob("*.dcm"))) == 2  # SEG and SR of one image


def test_what_a_killed_pass_left_is_removed(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    (images / "a.dcm").write_bytes(image_bytes())
    (out / ".partial-pass-ab12cd34" / "0-0").mkdir(parents=True)
    (out / ".partial-ab12cd34.json").write_text("{")
    predict_folder(settings(tmp_path), images, out)
    assert [file.name for file in out.iterdir() if file.name.startswith(".")] == []
    lock = FolderLock.beside(out / "pass")
    assert lock.take() is None
    try:
        with refuses("LEX-USE-746", "in use"):
            predict_folder(settings(tmp_path), images, out)
    finally:
        lock.release()


def test_a_pass_that_is_repeated_writes_the_same(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    images.mkdir()
    (images / "a.dcm").write_bytes(image_bytes())
    predict_folder(settings(tmp_path), images, out)
    first = {file.name: file.read_bytes() for file in out.iterdir()}
    predict_folder(settings(tmp_path), images, out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == first


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-DATA-1250", "absent"):
        predict_folder(settings(tmp_path), tmp_path / "absent", tmp_path / "out")
