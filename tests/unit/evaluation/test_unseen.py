"""Images a run has learned from are not evaluated as test images."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lexiseg.data import open_dataset
from lexiseg.data.name_hashes import names_sha256
from lexiseg.errors import DataError
from lexiseg.evaluation import evaluation_data
from lexiseg.evaluation.evaluate import evaluate, evaluate_on
from lexiseg.evaluation.evaluation_data import open_for_runs, seen_by
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.provenance import in_sample
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.inference.reliability.calibration import CalibrationData
from lexiseg.json_records import write_record
from lexiseg.runs.image_hashes import ImageHashesRecord
from lexiseg.runs.manifest import DataRecord, MasksRecord, StartRecord, TrainingRecord
from lexiseg.runs.run import Run
from refusals import refuses

SPLITS = {"train": ["t1", "t2"], "val": ["v1"], "test": ["s1"]}


@pytest.fixture
def data(tmp_path: Path, write_case: Any, disc: Any) -> Path:
    for split, names in SPLITS.items():
        for name in names:
            write_case(tmp_path / "lungs", name, disc(32, 16, 8, 5), split)
    return tmp_path / "lungs"


@pytest.fixture
def run_with(tmp_path: Path, fake_run: Any) -> Any:
    """Make a run trained on the data set `name` with these splits; None for one that does not say."""

    def make(splits: dict[str, list[str]] | None, name: str = "lungs") -> Run:
        run: Run = fake_run(text_source="none")
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        if splits is not None:
            (folder / "splits.json").write_text(json.dumps(splits))
        manifest = run.manifest.model_copy(update={"data": DataRecord(name=name)})
        return replace(run, path=folder, manifest=manifest)

    return make


@pytest.fixture
def attempt(data: Path, tmp_path: Path, fake_predictor: Any) -> Any:
    def go(run: Run, split: str = "test") -> Any:
        answers = {n: (np.zeros((32, 32), np.uint8), ()) for names in SPLITS.values() for n in names}
        predictor = fake_predictor(run, answers)
        options = EvaluationOptions(split=split)  # type: ignore[arg-type]
        evaluate_on(open_dataset(data), predictor, options, out=tmp_path / "out")
        return predictor

    return go


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the report, which is not looked at here."""
    import importlib

    module = importlib.import_module("lexiseg.evaluation.evaluate")
    monkeypatch.setattr(module, "build_report", lambda *args, **options: "")


def test_the_training_s_own_split_is_evaluated(run_with: Any, attempt: Any) -> None:
    for split in SPLITS:
        attempt(run_with(SPLITS), split)


@pytest.mark.parametrize("known_as", ["train", "val"])
def test_test_images_the_run_has_seen_are_refused(
    run_with: Any, attempt: Any, tmp_path: Path, known_as: str
) -> None:
    run = run_with({"train": ["t1"], "val": ["t2"], known_as: ["s1", "x"]})
    with refuses("LEX-DATA-139", "splits.json"):
        attempt(run)
    assert not (tmp_path / "out").exists()


def test_validation_images_may_have_selected_but_not_trained(run_with: Any, attempt: Any) -> None:
    attempt(run_with({"train": ["t1"], "val": ["v1"]}), "val")
    with refuses("LEX-DATA-139", "The val split", "1 image"):
        attempt(run_with({"train": ["v1"], "val": ["t1"]}), "val")


def test_images_that_were_left_out_are_of_the_training_split_all_the_same(
    run_with: Any, attempt: Any
) -> None:
    lists = {"train": ["s1", "t1", "t2"], "val": ["v1"], "left_out": ["s1", "t2"]}
    with refuses("LEX-DATA-139", "example s1)"):
        attempt(run_with(lists))
    attempt(run_with(lists), "train")
    attempt(run_with({**lists, "train": ["t1", "t2"], "left_out": ["t2"]}))
    with refuses("LEX-DATA-139", "The test split", "1 image"):
        attempt(run_with({**lists, "left_out": ["t2"]}))


def test_training_images_may_be_scored_as_such(run_with: Any, attempt: Any) -> None:
    attempt(run_with({"train": ["t1", "t2"], "val": []}), "train")


def test_images_of_earlier_runs_that_are_not_known_are_said(
    run_with: Any, attempt: Any, tmp_path: Path
) -> None:
    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=False)
    run = run_with(SPLITS)
    for training, names in ((TrainingRecord(start=start), ("first",)), (TrainingRecord(), ())):
        attempt(replace(run, manifest=run.manifest.model_copy(update={"training": training})))
        metrics = Metrics.model_validate_json((tmp_path / "out" / "metrics.json").read_text())
        assert metrics.data.unknown_runs == names
        assert ("learned from first" in (metrics.unknown_images or "")) == bool(names)


def test_equal_names_in_another_data_set_mean_nothing(run_with: Any, attempt: Any) -> None:
    attempt(run_with({"train": ["s1"], "val": []}, name="polyps"))


@pytest.mark.parametrize(
    ("learned", "scored", "refused"),
    [
        ("train", "test", True),
        ("val", "test", True),
        ("train", "val", True),
        ("val", "val", False),
        ("train", "train", False),
    ],
)
def test_the_same_files_in_a_data_set_of_another_name_are_recognised(
    run_with: Any, attempt: Any, data: Path, learned: str, scored: str, refused: bool
) -> None:
    run = run_with({"train": ["other"], "val": []}, name="polyps")
    sample = open_dataset(data).split(scored)[0]  # type: ignore[arg-type]
    content = hashlib.sha256(sample.image.read_bytes()).hexdigest()
    write_record(run.path / "image_hashes.json", ImageHashesRecord.model_validate({learned: (content,)}))
    if refused:
        with refuses("LEX-DATA-1801", f"The {scored} split", sample.id, "files are equal", "polyps"):
            attempt(run, scored)
    else:
        attempt(run, scored)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (
            "train",
            "learned from 1 of these 2 images (the files are equal), which flatters the mean scores here.",
        ),
        ("val", "selected on this validation split, which flatters all scores here."),
    ],
)
def test_scores_on_files_of_the_training_are_in_sample_whatever_the_name_of_the_data(
    run_with: Any, fake_predictor: Any, data: Path, split: Any, said: str
) -> None:
    index = open_dataset(data)
    run = run_with({"train": ["other"], "val": []}, name="polyps")
    predictor = fake_predictor(run, {})
    assert in_sample(predictor, index, split) is None
    content = hashlib.sha256(index.split(split)[0].image.read_bytes()).hexdigest()
    write_record(run.path / "image_hashes.json", ImageHashesRecord.model_validate({split: (content,)}))
    assert said in str(in_sample(predictor, index, split))
    assert in_sample(predictor, index, "test") is None


def test_scores_are_in_sample_where_the_second_run_learned_the_images(
    run_with: Any, fake_predictor: Any, data: Path, tmp_path: Path
) -> None:
    index = open_dataset(data)
    first, second = run_with(None, name="polyps"), run_with(SPLITS)
    predictor = fake_predictor(first, {})
    predictor.runs = (first, replace(second, path=tmp_path / "second"))
    said = str(in_sample(predictor, index, "train"))
    assert said.startswith(f"The run {tmp_path / 'second'} learned from these images: all scores here are")
    assert f"The weights of {tmp_path / 'second'} were selected" in str(in_sample(predictor, index, "val"))


def test_a_calibration_on_the_same_validation_files_is_in_sample(
    run_with: Any, fake_predictor: Any, data: Path
) -> None:
    index = open_dataset(data)
    run = run_with({"train": [], "val": ["v1"]}, name="polyps")
    predictor = fake_predictor(run, {})
    fitted = {"name": "polyps", "split": "val", "samples": 1, "ids_sha256": names_sha256(["v1"])}
    predictor.calibration = SimpleNamespace(data=CalibrationData.model_validate(fitted))
    # Equal names of images alone say nothing.
    assert in_sample(predictor, index, "val") is None
    content = hashlib.sha256(index.split("val")[0].image.read_bytes()).hexdigest()
    write_record(run.path / "image_hashes.json", ImageHashesRecord(val=(content,)))
    assert "Temperature and review flag were fitted" in str(in_sample(predictor, index, "val"))


def learned(run: Run, file: Path) -> None:
    """Let the run hold the hash of a training image."""
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    write_record(run.path / "image_hashes.json", ImageHashesRecord(train=(content,)))


def test_the_same_file_under_another_name_in_the_same_data_set_is_recognised(
    run_with: Any, attempt: Any, data: Path
) -> None:
    run = run_with(SPLITS)
    learned(run, open_dataset(data).split("test")[0].image)
    with refuses("LEX-DATA-1801", "The test split", "s1", "files are equal"):
        attempt(run)


def test_a_file_that_the_data_set_holds_in_two_splits_is_left_to_the_search_for_leaks(
    run_with: Any, attempt: Any, data: Path
) -> None:
    run = run_with(SPLITS)
    index = open_dataset(data)
    first, scored = index.split("train")[0].image, index.split("test")[0].image
    scored.write_bytes(first.read_bytes())
    learned(run, first)
    attempt(run)


def test_a_run_that_does_not_say_is_evaluated(run_with: Any, attempt: Any) -> None:
    attempt(run_with(None))


def test_a_damaged_list_is_refused(run_with: Any, attempt: Any, tmp_path: Path) -> None:
    run = run_with(SPLITS)
    (tmp_path / "run" / "splits.json").write_text("{")
    with refuses("LEX-RUN-008", "splits.json is damaged"):
        attempt(run)


def test_a_split_made_anew_is_made_with_the_seed_of_the_training(
    run_with: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def opened(folder: Path, *, seed: int, **options: Any) -> Any:
        seeds.append(seed)
        raise DataError("far enough")

    monkeypatch.setattr(evaluation_data, "open_dataset", opened)
    run = run_with(SPLITS)
    for training in (TrainingRecord(seed=7), TrainingRecord()):
        manifest = run.manifest.model_copy(update={"training": training})
        with refuses("LEX-000", "far enough"):
            evaluate(replace(run, manifest=manifest), data, out=tmp_path / "out")
    assert seeds == [7, 0]


@pytest.fixture
def taught_by_one(run_with: Any, data: Path) -> Run:
    """A run from which the mask of t2 was hidden, which is no picture."""
    (data / "train" / "masks" / "t2.png").write_bytes(b"hidden")
    run: Run = run_with(SPLITS)
    (run.path / "masks.json").write_text(json.dumps({"with_mask": ["t1"]}))
    masks = MasksRecord(share=0.5, with_mask=1, without_mask=0, left_out=1, unmasked="leave_out")
    about = run.manifest.data.model_copy(update={"masks": masks})
    return replace(run, manifest=run.manifest.model_copy(update={"data": about}))


@pytest.mark.parametrize("split", ["val", "test"])
def test_hidden_masks_are_not_opened_afterwards_either(taught_by_one: Run, data: Path, split: Any) -> None:
    index = seen_by((taught_by_one,), open_for_runs((taught_by_one,), data, split), split)
    assert {sample.id for sample in index.samples if sample.mask is None} == {"t2"}
    assert index.num_classes == 2


def test_nor_are_those_that_were_hidden_from_the_second_of_two(
    taught_by_one: Run, run_with: Any, data: Path
) -> None:
    for runs in ((taught_by_one, run_with(SPLITS)), (run_with(SPLITS), taught_by_one)):
        index = seen_by(runs, open_for_runs(runs, data, "test"), "test")
        assert {sample.id for sample in index.samples if sample.mask is None} == {"t2"}


def test_masks_are_opened_where_they_are_scored_or_were_never_hidden(
    taught_by_one: Run, run_with: Any, data: Path
) -> None:
    elsewhere = taught_by_one.manifest.data.model_copy(update={"name": "polyps"})
    manifest = taught_by_one.manifest.model_copy(update={"data": elsewhere})
    another = replace(taught_by_one, manifest=manifest)
    for run, split in ((taught_by_one, "train"), (another, "test"), (run_with(SPLITS), "test")):
        with refuses("LEX-DATA-013", "t2.png"):
            open_for_runs((run,), data, split)


def test_a_run_that_does_not_say_what_was_hidden_is_refused(taught_by_one: Run, data: Path) -> None:
    (taught_by_one.path / "masks.json").unlink()
    with refuses("LEX-RUN-007", "masks.json cannot be read"):
        open_for_runs((taught_by_one,), data, "test")
