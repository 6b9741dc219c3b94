"""The manifest of a run folder: typed, and the same on disk as what 0.1.0 wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexiseg.errors import RunError
from lexiseg.files import write_json
from lexiseg.runs.manifest import (
    FORMAT_VERSION,
    DataRecord,
    DescriptionsRecord,
    MasksRecord,
    TrainingRecord,
    read_manifest,
)
from lexiseg.runs.run import Run


@pytest.fixture
def shipped() -> Run:
    return Run.open("covid-xray")


def written(folder: Path, **changes: Any) -> Path:
    """Write the shipped run.json with some changes."""
    value = json.loads((Run.open("covid-xray").path / "run.json").read_text(encoding="utf-8"))
    write_json(folder / "run.json", {**value, **changes})
    return folder


def test_the_shipped_manifest_is_written_again_as_it_is(shipped: Run, tmp_path: Path) -> None:
    copy = Run.create(tmp_path, shipped.manifest)
    assert (copy.path / "run.json").read_bytes() == (shipped.path / "run.json").read_bytes()
    assert read_manifest(tmp_path) == shipped.manifest


def test_the_shipped_manifest_is_typed(shipped: Run) -> None:
    data, training = shipped.manifest.data, shipped.finished_training
    assert (data.name, data.layout, data.samples) == ("COVID-Xray", "published", {"train": 5713, "val": 1429})
    assert (data.descriptions, data.masks, data.shuffled_words) == (None, None, False)
    assert (training.steps, training.minutes, training.selected_step) == (3823, 60.7, 3750)
    assert (training.validation.cases, training.validation.dice) == (1429, 0.75807)
    assert shipped.vocabulary is not None
    assert shipped.vocabulary.name == "chest"


def test_only_what_is_known_is_written() -> None:
    assert DataRecord().model_dump() == {}
    assert TrainingRecord(finished=False, seed=0).model_dump() == {"finished": False, "seed": 0}
    masks = MasksRecord(share=None, with_mask=3, without_mask=1, left_out=0, unmasked="words")
    file = DescriptionsRecord(file="/a.jsonl", sha256="0", lines=2)
    assert DataRecord(name="d", descriptions=file, masks=masks, shuffled_words=True).model_dump() == {
        "name": "d",
        "descriptions": {"file": "/a.jsonl", "sha256": "0", "lines": 2},
        "masks": {"share": None, "with_mask": 3, "without_mask": 1, "left_out": 0, "unmasked": "words"},
        "shuffled_words": True,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format_version": "one"}, "LEX-RUN-003"),
        ({"format_version": FORMAT_VERSION + 1}, "LEX-RUN-004"),
        ({"data": {"nmae": "x"}}, "LEX-RUN-005"),
        ({"training": {"steps": "many"}}, "LEX-RUN-005"),
        ({"vocabulary": {"name": "chest"}}, "LEX-RUN-005"),
        ({"class_names": None}, "LEX-RUN-005"),
    ],
)
def test_a_damaged_manifest_is_one_error(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(RunError, match=rf"{tmp_path}(?s:.*){code}"):
        Run.open(written(tmp_path, **changes))


def test_an_unfinished_or_converted_run_has_no_finished_training(tmp_path: Path) -> None:
    run = Run.open(written(tmp_path, training={"finished": False, "seed": 3}))
    with pytest.raises(RunError, match=r"does not state finished, steps, minutes(?s:.*)LEX-RUN-570"):
        _ = run.finished_training
    run = run.updated(training=TrainingRecord(finished=True, converted_from="net.pth", sha256="0"))
    with pytest.raises(RunError, match=r"does not state seed, steps(?s:.*)LEX-RUN-570"):
        _ = run.finished_training
