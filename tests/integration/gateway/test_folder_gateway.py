"""A gateway from folder to folder: right results, one reason per bad file, and the rest goes on."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_files import dicom_dataset, shipped
from gateway_setup import RULE, image_bytes, opened, picture, running, settings, wait_until
from lexiseg.clinic.segmentation_object import MANUFACTURER
from lexiseg.gateway.destinations.delivery import DeliveryWorker
from lexiseg.gateway.destinations.folder import FolderClient
from lexiseg.gateway.prediction.worker import PredictionWorker
from lexiseg.gateway.service import delete_old
from lexiseg.gateway.sources.intake import Intake
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.inputs.target_search import find_targets
from lexiseg.inference.predictor import Predictor


def with_inbox(folder: Path, **changes: Any) -> Any:
    (folder / "in").mkdir(exist_ok=True)
    source = {"kind": "folder", "path": folder / "in", "every_s": 0.05, "settle_s": 0.1}
    return settings(folder, sources={"inbox": source}, **changes)


def saved(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def of_class(uid: str, number: int) -> bytes:
    """Return a file without pixels of an SOP class."""
    dataset = dicom_dataset(picture(), number=number)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid
    return saved(dataset)


def corrupt_frames() -> bytes:
    """Return a JPEG 2000 file whose compressed frame is noise, with an UID of its own."""
    content = shipped("JPEG2000.dcm").read_bytes()
    at = content.index(b"\xff\x4f\xff\x51")
    return content[: at + 40] + b"\x00" * (len(content) - at - 40)


def test_results_are_those_of_predict_and_bad_files_have_one_reason(
    tmp_path: Path, shipped: Predictor
) -> None:
    bad = {
        "note.txt": (b"no image", "LEX-DATA-1233"),
        "pdf.dcm": (of_class("1.2.840.10008.5.1.4.1.1.104.1", 11), "LEX-DATA-941"),
        "state.dcm": (of_class("1.2.840.10008.5.1.4.1.1.11.1", 12), "LEX-DATA-942"),
        "report.dcm": (of_class("1.2.840.10008.5.1.4.1.1.88.33", 13), "LEX-DATA-943"),
        "empty.dcm": (of_class("1.2.840.10008.5.1.4.1.1.1", 14), "LEX-DATA-947"),
        "damaged.dcm": (image_bytes(15)[:700], "LEX-DATA-940"),
    }
    good = tmp_path / "good"
    good.mkdir()
    for number in (1, 2):
        (good / f"{number}.dcm").write_bytes(image_bytes(number))
    predict_to_files(shipped, find_targets([good]), tmp_path / "expected", formats=("seg", "sr"))
    with opened(with_inbox(tmp_path)) as (state, events), running(state) as gateway:
        for name, (content, _) in bad.items():
            (tmp_path / "in" / name).write_bytes(content)
        (tmp_path / "in" / "unlike.dcm").write_bytes(image_bytes(16, modality="US"))
        (tmp_path / "in" / "sub").mkdir()
        for file in good.iterdir():
            (tmp_path / "in" / "sub" / file.name).write_bytes(file.read_bytes())
        wait_until(lambda: not [f for f in (tmp_path / "in").rglob("*") if f.is_file()])
        wait_until(lambda: state.queue.open_images() == 0)
        assert state.queue.counts() == {"done": 2, "left_out": 1, "quarantined": 6}
        reasons = [json.loads(file.read_text()) for file in (tmp_path / "state/quarantine").glob("*.json")]
        assert sorted(reason["code"] for reason in reasons) == sorted(code for _, code in bad.values())
        assert all(reason["reason"] for reason in reasons)
        address = f"http://127.0.0.1:{gateway.monitoring_port}"
        health = json.loads(urllib.request.urlopen(f"{address}/health").read())
        assert (health["status"], health["images"]["done"]) == ("ok", 2)
        figures = urllib.request.urlopen(f"{address}/metrics").read().decode()
        assert 'lexiseg_sent_total{destination="out"} 2.0' in figures
        assert 'lexiseg_quarantined_total{code="LEX-DATA-941"} 1.0' in figures
        assert 'lexiseg_images{state="quarantined"} 6.0' in figures
        said = str(events())
    for number in (1, 2):
        for name in ("seg", "sr"):
            expected = (tmp_path / "expected" / name / f"{number}.dcm").read_bytes()
            assert (tmp_path / f"out/2.25.1/2.25.1000{number}/{name}.dcm").read_bytes() == expected
    assert "Phantom" not in said


def stepped(folder: Path, content: bytes, shipped: Predictor, **changes: Any) -> dict[str, int]:
    """Take one image, predict it and deliver its results, step by step; return the states."""
    with opened(settings(folder, **changes)) as (state, _):
        Intake(state).take(content, source="s", sop_uid="1")
        PredictionWorker(state, {"covid-xray": shipped}).step()
        for name, destination in state.configuration.destinations.items():
            DeliveryWorker(state, name, FolderClient(destination)).step()  # type: ignore[arg-type]
        return {str(key): count for key, count in state.queue.counts().items()}


def test_a_damaged_frame_is_a_reason(tmp_path: Path, shipped: Predictor) -> None:
    rules = [{**RULE, "modality": []}]
    assert stepped(tmp_path, corrupt_frames(), shipped, rules=rules) == {"quarantined": 1}


def test_what_is_refused_is_kept_and_the_other_object_is_sent(
    tmp_path: Path, shipped: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexiseg.errors import DataError
    from lexiseg.inference.writers.sr import ReportWriter

    def guard(*arguments: object) -> None:
        raise DataError("The side is wrong.", code="LEX-DATA-977")

    monkeypatch.setattr(ReportWriter, "save_object", guard)
    assert stepped(tmp_path, image_bytes(), shipped) == {"quarantined": 1}
    assert sorted(file.name for file in (tmp_path / "out/2.25.1/2.25.10001").iterdir()) == [
        "prediction.json",
        "seg.dcm",
    ]
    (reason,) = (tmp_path / "state/quarantine").glob("*.json")
    assert "The sr is not written: The side is wrong." in reason.read_text()
    assert '"LEX-DATA-977"' in reason.read_text()
    assert len(list((tmp_path / "state/quarantine").glob("*.dcm"))) == 1


def test_a_file_of_others_in_the_destination_stays(tmp_path: Path, shipped: Predictor) -> None:
    place = tmp_path / "out/2.25.1/2.25.10001/seg.dcm"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"of another program")
    assert stepped(tmp_path, image_bytes(), shipped) == {"quarantined": 1}
    assert place.read_bytes() == b"of another program"


def test_an_uid_names_no_other_place(tmp_path: Path, shipped: Predictor) -> None:
    content = image_bytes(StudyInstanceUID="../../../etc")
    assert stepped(tmp_path, content, shipped, rules=[{**RULE, "write": ["mask"], "send_to": ["out"]}]) == {
        "quarantined": 1
    }
    assert not (tmp_path / "out").exists()


def test_a_delivery_is_tried_again_and_given_up(tmp_path: Path, shipped: Predictor) -> None:
    (tmp_path / "out").write_bytes(b"a file in the place of the folder")
    assert stepped(tmp_path, image_bytes(), shipped) == {"predicted": 1}
    with opened(settings(tmp_path, retries={"give_up_h": 1e-9, "first_s": 0.1})) as (state, _):
        worker = DeliveryWorker(state, "out", FolderClient(state.configuration.destinations["out"]))  # type: ignore[arg-type]
        wait_until(worker.step)
        assert state.queue.counts() == {"quarantined": 1}
        (id,) = state.queue.ids("quarantined")
        assert state.queue.get(id).code == "LEX-DATA-1242"  # type: ignore[union-attr]


def test_an_image_that_ends_the_process_each_time_is_given_up(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path, retries={"predictions": 2})) as (state, _):
        Intake(state).take(image_bytes(), source="s", sop_uid="1")
        for _ in range(2):
            assert len(state.queue.begin(8)) == 1  # and the process is killed
        PredictionWorker(state, {"covid-xray": shipped}).step()
        (id,) = state.queue.ids("quarantined")
        assert state.queue.get(id).code == "LEX-DATA-1235"  # type: ignore[union-attr]


def test_a_full_disk_leaves_the_image_waiting(
    tmp_path: Path, shipped: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexiseg.errors import DiskError

    def full(*arguments: object, **options: object) -> None:
        raise DiskError("No space left.", code="LEX-DISK-002")

    with opened(settings(tmp_path)) as (state, _):
        Intake(state).take(image_bytes(), source="s", sop_uid="1")
        worker = PredictionWorker(state, {"covid-xray": shipped})
        with monkeypatch.context() as patched:
            patched.setattr("lexiseg.gateway.prediction.batch.predict_to_files", full)
            with pytest.raises(DiskError):
                worker.step()
        assert list((tmp_path / "state/work").iterdir()) == []
        (image,) = state.queue.begin(1)
        assert image.attempts == 0
        state.queue.give_back([image.id])
        worker.step()
        assert state.queue.counts() == {"predicted": 1}


def test_a_result_of_lexiseg_is_left_out_and_kept(tmp_path: Path, shipped: Predictor) -> None:
    own = image_bytes(3, Manufacturer=MANUFACTURER)
    with opened(with_inbox(tmp_path)) as (state, _), running(state):
        file = tmp_path / "in" / "own.dcm"
        file.write_bytes(own)
        wait_until(lambda: state.queue.counts() == {"left_out": 1} and not file.exists())
    with opened(settings(tmp_path)) as (state, _):
        (id,) = state.queue.ids("left_out")
        assert state.spool.image(id).read_bytes() == own
    with opened(settings(tmp_path, delete_after_days=0)) as (state, _):
        assert delete_old(state) == 1
        assert not state.spool.image(id).exists()


def test_links_and_hidden_files_are_left_alone(tmp_path: Path, shipped: Predictor) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(image_bytes(5))
    with opened(with_inbox(tmp_path)) as (state, _), running(state):
        (tmp_path / "in" / "link.dcm").symlink_to(outside)
        (tmp_path / "in" / ".hidden.dcm").write_bytes(image_bytes(6))
        (tmp_path / "in" / "seen.dcm").write_bytes(image_bytes(7))
        wait_until(lambda: state.queue.counts() == {"done": 1})
    assert outside.exists()
    assert (tmp_path / "in" / ".hidden.dcm").exists()
