"""The quarantine: its reasons are for a person beside an archive, who tries objects again or drops them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dicom_files import dicom_dataset
from gateway_setup import image_bytes, opened, picture, running, settings, wait_until
from lexiseg.cli.app import app
from lexiseg.errors import DataError, LexisegError
from lexiseg.gateway.prediction.worker import PredictionWorker
from lexiseg.gateway.quarantine import (
    QuarantinedObject,
    act,
    answer_requests,
    chosen_ids,
    quarantined_objects,
    request,
)
from lexiseg.gateway.queue.quarantine_record import reason_and_advice
from lexiseg.gateway.sources.intake import Intake
from lexiseg.gateway.state import GatewayState
from lexiseg.inference.predictor import Predictor
from refusals import refuses

REPORT = "1.2.840.10008.5.1.4.1.1.88.33"


def report_bytes(number: int) -> bytes:
    """Return a structured report as the content of a file."""
    dataset = dicom_dataset(picture(), number=number, modality="OT", Modality="SR")
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = REPORT
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def quarantine(state: GatewayState, shipped: Predictor, content: bytes, uid: str) -> QuarantinedObject:
    """Take something that is no image; return what the quarantine says of it."""
    Intake(state).take(content, source="port", sop_uid=uid)
    PredictionWorker(state, {"covid-xray": shipped}).step()
    return quarantined_objects(state.spool.state)[-1]


def test_a_reason_names_the_object_the_problem_and_the_remedy(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, _):
        found = quarantine(state, shipped, report_bytes(7), "2.25.10007")
    assert found.why is not None
    assert found.why.reason == ("The object is a structured report (Comprehensive SR Storage), not an image.")
    assert found.why.advice.startswith("Let the archive send images only")
    assert found.why.object.model_dump() == {
        "study_instance_uid": "2.25.1",
        "sop_instance_uid": "2.25.10007",
        "sop_class": "Comprehensive SR Storage",
        "modality": "SR",
    }
    assert (found.why.source, found.why.code, found.why.image) == ("port", "LEX-DATA-943", f"{found.id}.dcm")


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        ("LEX-DATA-940", "/s/received/ab.dcm is a damaged DICOM file: 1. 2. Export it again.",
         "The object is a damaged DICOM file: 1. 2."),
        ("LEX-DATA-953", "/s/received/ab.dcm is damaged: no frame (0). Export the file again.",
         "The object is damaged: no frame (0)."),
        ("LEX-DATA-946", "/s/received/ab.dcm is not a readable DICOM file: no known element is in it.",
         "The object is not a readable DICOM file: no known element is in it."),
        ("LEX-DATA-955", "The seg is not written: /s/work/1f/batch/seg/ab.dcm differs.",
         "The seg is not written: the object differs."),
        ("LEX-DATA-977", "The side is wrong.", "The side is wrong."),
    ],
)  # fmt: skip
def test_reasons_name_no_path_of_the_state_folder(code: str, message: str, reason: str) -> None:
    said, advice = reason_and_advice(DataError(message, code=code), Path("/s"))
    assert said == reason
    assert advice.endswith(".")


def test_objects_are_tried_again_or_dropped(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, events):
        first = quarantine(state, shipped, report_bytes(1), "2.25.10001")
        second = quarantine(state, shipped, report_bytes(2), "2.25.10002")
        folder = tmp_path / "state/quarantine"
        assert sorted(file.name for file in folder.iterdir()) == sorted(
            f"{one.id}{suffix}" for one in (first, second) for suffix in (".dcm", ".json")
        )
        assert act(state, [first.id, "absent"], "retry") == [first.id]
        assert state.queue.ids("waiting") == [first.id]
        assert state.spool.image(first.id).exists()
        assert act(state, [second.id], "drop") == [second.id]
        assert list(folder.iterdir()) == []
        assert state.queue.get(second.id) is None
        # The archive can send the mended object again.
        assert Intake(state).take(image_bytes(2), source="port", sop_uid="2.25.10002") == "new"
        assert [event["event"] for event in events()][-3:] == ["requeued", "dropped", "received"]


def in_conflict(state: GatewayState, shipped: Predictor) -> tuple[str, str]:
    """Take two objects with one UID; both are in quarantine, the second as it is in conflict."""
    first = quarantine(state, shipped, report_bytes(1), "2.25.10001").id
    Intake(state).take(image_bytes(1), source="port", sop_uid="2.25.10001")
    (second,) = set(state.queue.ids("quarantined")) - {first}
    return first, second


def test_of_two_objects_with_one_uid_one_stays(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, events):
        first, second = in_conflict(state, shipped)
        assert act(state, [second], "retry") == []
        assert events()[-1]["event"] == "stays_in_quarantine"
        assert (events()[-1]["image"], events()[-1]["code"]) == (second, "LEX-DATA-1232")
        why = next(one.why for one in quarantined_objects(tmp_path / "state") if one.id == second)
        assert why is not None
        assert why.code == "LEX-DATA-1232"
        # The one that came first is tried again, and the other one stays as long as it is known.
        assert act(state, [second, first], "retry") == [first]
        for known in ("waiting", "done", "deleted"):
            state.queue.settle(first, known)  # type: ignore[arg-type]
            assert act(state, [second], "retry") == []
        assert state.queue.ids("quarantined") == [second]


def test_of_two_objects_with_one_uid_the_other_goes_on(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, _):
        first, second = in_conflict(state, shipped)
        request(tmp_path / "state", [first], "drop")
        request(tmp_path / "state", [second], "retry")
        answer_requests(state)
        assert state.queue.ids("waiting") == [second]
        assert state.queue.get(first) is None


def test_the_command_says_why_an_object_stays(tmp_path: Path, shipped: Predictor) -> None:
    file = str(configured(tmp_path))
    with opened(settings(tmp_path)) as (state, _):
        first, second = in_conflict(state, shipped)
        asked = said(file, "--quarantine", "retry", "--image", second)
        assert "tries again within seconds: 1. Objects stay in quarantine" in " ".join(asked.split())
        answer_requests(state)
        assert state.queue.ids("waiting") == []
    done = " ".join(said(file, "--quarantine", "retry").split())
    assert "tries again when it starts: 1. Objects stay in quarantine" in done
    assert done.endswith("and send it again: 1.")
    with opened(settings(tmp_path)) as (state, _):
        assert (state.queue.ids("waiting"), state.queue.ids("quarantined")) == ([first], [second])


def test_a_running_gateway_does_what_is_asked(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, _):
        kept = quarantine(state, shipped, report_bytes(1), "2.25.10001")
        gone = quarantine(state, shipped, report_bytes(2), "2.25.10002")
        request(tmp_path / "state", [gone.id], "drop")
        with running(state):
            wait_until(lambda: state.queue.ids("quarantined") == [kept.id])
        request(tmp_path / "state", [kept.id], "retry")
    # A request outlives the end of the gateway.
    with opened(settings(tmp_path)) as (state, _):
        answer_requests(state)
        assert state.queue.ids("waiting") == [kept.id]
        assert list((tmp_path / "state/quarantine").iterdir()) == []


def test_an_object_without_its_reason_is_listed(tmp_path: Path, shipped: Predictor) -> None:
    with opened(settings(tmp_path)) as (state, _):
        found = quarantine(state, shipped, report_bytes(1), "2.25.10001")
        (tmp_path / "state/quarantine" / f"{found.id}.json").write_text("{")
        (listed,) = quarantined_objects(tmp_path / "state")
    assert (listed.id, listed.why) == (found.id, None)


def configured(folder: Path, **changes: Any) -> Path:
    """Write the configuration whose state folder is that of `settings`."""
    file = folder / "gateway.yaml"
    content = {
        "sources": {"inbox": {"kind": "folder", "path": "in"}},
        "rules": [{"name": "chest", "run": "covid-xray", "send_to": ["out"]}],
        "destinations": {"out": {"kind": "folder", "path": "out"}},
        **changes,
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["watch", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_lists_and_drops_beside_a_gateway_and_without(tmp_path: Path, shipped: Predictor) -> None:
    file = str(configured(tmp_path))
    assert "The quarantine is empty." in said(file, "--quarantine", "list")
    with opened(settings(tmp_path)) as (state, _):
        first = quarantine(state, shipped, report_bytes(1), "2.25.10001")
        second = quarantine(state, shipped, report_bytes(2), "2.25.10002")
        listed = said(file, "--quarantine", "list")
        for text in (first.id, "2.25.10001", "LEX-DATA-943", "not an image", "Objects in quarantine: 2."):
            assert text in listed
        asked = said(file, "--quarantine", "drop", "--image", first.id[:8])
        assert "the running gateway removes within seconds: 1." in asked
        answer_requests(state)
        assert state.queue.ids("quarantined") == [second.id]
    assert "tries again when it starts: 1." in said(file, "--quarantine", "retry")
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.ids("waiting") == [second.id]


def test_what_is_asked_of_the_quarantine_must_be_clear(tmp_path: Path) -> None:
    file = str(configured(tmp_path))
    for code, arguments in {
        "LEX-USE-1404": ("--quarantine", "retry", "--image", "ab"),
        "LEX-USE-1405": ("--quarantine", "drop"),
        "LEX-USE-1406": ("--image", "ab"),
    }.items():
        with pytest.raises(LexisegError) as caught:
            said(file, *arguments)
        assert caught.value.code == code
    with refuses("LEX-USE-1406"):
        said(file, "--quarantine", "list", "--once")
    with pytest.raises(LexisegError) as ambiguous:
        chosen_ids([_named("ab1"), _named("ab2")], ["ab"])
    assert "2 objects" in str(ambiguous.value)
    assert chosen_ids([_named("ab1"), _named("ab2")], []) == ["ab1", "ab2"]


def _named(id: str) -> QuarantinedObject:
    return QuarantinedObject(id=id, since="2026-11-29T00:00:00Z", why=None)  # type: ignore[arg-type]


def test_a_gateway_that_sends_nothing_does_not_start(tmp_path: Path) -> None:
    file = configured(tmp_path, rules=[{"name": "chest", "run": "covid-xray"}])
    with refuses("LEX-USE-1403", "gateway.yaml", "`send_to`", "kind folder"):
        said(str(file))


def test_a_rule_that_sends_nothing_is_named_at_the_start(tmp_path: Path) -> None:
    rules = [
        {"name": "chest", "run": "covid-xray", "send_to": ["out"], "modality": ["CR"]},
        {"name": "trial", "run": "covid-xray"},
    ]
    with opened(settings(tmp_path, rules=rules)) as (state, events), running(state):
        found = [(event["event"], event.get("rule")) for event in events()]
    assert found == [("rule_sends_nowhere", "trial"), ("started", None)]
