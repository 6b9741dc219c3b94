"""Trials of a study: each is trained and evaluated once, by whatever process."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rich.console import Console

from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.errors import DataError
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.studies import study_data
from lexiseg.studies.results import read_results
from lexiseg.studies.trials import Study, StudyArm, Trial, check_trial, plan_trials, run_study
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.run_lock import training_lock
from lexiseg.training.train import train_on
from refusals import refuses

pytestmark = pytest.mark.usefixtures("no_text_model")

# The package exports the function under the module's name.
audit_module = importlib.import_module("lexiseg.studies.audit")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[DatasetIndex, TrainConfig, bool]]:
    """Replace training and evaluation of trials; keep what is trained, and whether it resumes."""
    calls: list[tuple[DatasetIndex, TrainConfig, bool]] = []

    def train_on(index: Any, config: TrainConfig, out: Path, *, resume: bool, console: Console) -> Path:
        calls.append((index, config, resume))
        return out

    def evaluate_on(index: DatasetIndex, run: Path, options: object, *, out: Path) -> SimpleNamespace:
        assert index is calls[-1][0]
        out.mkdir(parents=True)
        (out / "metrics.json").touch()
        return SimpleNamespace(metrics=SimpleNamespace(dice=SimpleNamespace(mean=1.0), num_cases=3))

    monkeypatch.setattr("lexiseg.studies.trials.train_on", train_on)
    monkeypatch.setattr("lexiseg.studies.trials.evaluate_on", evaluate_on)
    return calls


QUIET = Console(quiet=True)


def study_of(index: DatasetIndex, out: Path, trials: tuple[Trial, ...]) -> Study:
    return Study(index=index, trials=trials, folder=out / "runs", claims_folder=out / "claims")


def test_arms_are_trained_and_evaluated_without_the_masks_that_are_hidden_from_them(
    index: DatasetIndex, tmp_path: Path, trained: list[tuple[DatasetIndex, TrainConfig, bool]]
) -> None:
    trials = plan_trials([StudyArm(name="few", changes={"masks": 0.5}, seeds=(0, 1))], {}, None)
    run_study(study_of(index, tmp_path, trials), console=QUIET)
    assert [given.samples for given, _, _ in trained] == [
        hide_masks(index.samples, share=0.5, seed=seed) for seed in range(2)
    ]


def test_a_study_does_each_trial_once_and_resumes_what_was_begun(
    index: DatasetIndex, tmp_path: Path, trained: list[tuple[DatasetIndex, TrainConfig, bool]]
) -> None:
    arms = [StudyArm(name="a", changes={}, seeds=(0, 2)), StudyArm(name="b", changes={"epochs": 3})]
    trials = plan_trials(arms, {"epochs": 2}, None)
    assert [(trial.name, trial.config.epochs, trial.config.seed) for trial in trials] == [
        ("a-s0", 2, 0), ("b-s0", 3, 0), ("a-s2", 2, 2),
    ]  # fmt: skip
    study = study_of(index, tmp_path, trials)
    begun = tmp_path / "runs" / "b-s0"
    begun.mkdir(parents=True)
    (begun / "run.json").touch()
    resolved = trials[1].config.model_copy(update={"workers": 3})
    half = (begun / ".partial-abcd1234.safetensors", tmp_path / "runs" / ".partial-a-s0-abcd1234")
    half[0].touch()  # as a killed process leaves it
    half[1].mkdir()
    (begun / CONFIG_FILE).write_text(yaml.safe_dump(resolved.model_dump(mode="json")))
    run_study(study, console=QUIET)
    assert [(config.epochs, config.workers, resume) for _, config, resume in trained] == [
        (2, None, False), (3, 3, True), (2, None, False),
    ]  # fmt: skip
    assert not any(path.exists() for path in half)
    run_study(study, console=QUIET)
    assert len(trained) == 3
    other = plan_trials(arms, {"epochs": 2, "image_size": 64}, None)
    with refuses("LEX-RUN-022", "this study: image_size"):
        run_study(study_of(index, tmp_path, other), console=QUIET)


def test_an_arm_that_a_person_resumes_is_waited_for(
    index: DatasetIndex,
    tmp_path: Path,
    trained: list[tuple[DatasetIndex, TrainConfig, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arms = [StudyArm(name="a", changes={}), StudyArm(name="b", changes={})]
    study = study_of(index, tmp_path, plan_trials(arms, {}, None))
    resumed = FolderLock.beside(tmp_path / "runs" / "a-s0")
    assert resumed.take() is None
    waited = []

    def end_of_training(seconds: float) -> None:
        waited.append([config.seed for _, config, _ in trained])
        if len(waited) == 2:
            resumed.release()

    monkeypatch.setattr("lexiseg.studies.trial_claims.time", SimpleNamespace(sleep=end_of_training))
    console = Console(record=True, width=200)
    run_study(study, console=console)
    # The other arm is done first, and what is waited for is said once.
    assert [len(seeds) for seeds in waited] == [1, 1]
    assert len(trained) == 2
    said = console.export_text()
    assert said.count(f"a-s0: worked on by process {os.getpid()} on ") == 1
    assert said.index("Arm b-s0 (0 of 2") < said.index("Arm a-s0 (1 of 2")


def test_an_arm_that_is_trained_is_not_resumed_by_a_person(
    index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(index, tmp_path, plan_trials([StudyArm(name="a", changes={})], {}, None))

    def resume(*_: object, **__: object) -> None:
        with refuses("LEX-RUN-740", "in use"), training_lock(tmp_path / "runs" / "a-s0", QUIET):
            pass
        raise DataError("seen")

    monkeypatch.setattr("lexiseg.studies.trials.train_and_evaluate", resume)
    with pytest.raises(DataError, match="seen"):
        run_study(study, console=QUIET)
    assert not (tmp_path / "runs").exists()


def test_a_damaged_result_is_one_clear_error(index: DatasetIndex, tmp_path: Path) -> None:
    study = study_of(index, tmp_path, plan_trials([StudyArm(name="a", changes={})], {}, None))
    file = tmp_path / "runs" / "a-s0" / "test" / "metrics.json"
    for content in (None, "{", '{"dice": 1}'):
        if content is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        with refuses("LEX-RUN-017", "metrics.json cannot be read") as bad:
            read_results(study)
        assert bad.value.code == "LEX-RUN-017"


def test_an_audit_opens_its_data_once(
    index: DatasetIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained: list[tuple[DatasetIndex, TrainConfig, bool]],
) -> None:
    opened: list[Path] = []

    def open_once(folder: Path, **options: Any) -> DatasetIndex:
        opened.append(folder)
        return open_dataset(folder, **options)

    def stopped(study: Study) -> None:
        raise InterruptedError

    monkeypatch.setattr(study_data, "open_dataset", open_once)
    monkeypatch.setattr(audit_module, "read_results", stopped)
    with pytest.raises(InterruptedError):
        audit_module.audit(
            index.root, tmp_path / "out", models=["stpnet"], arms=["none", "concepts"], seeds=2
        )
    assert len(trained) == 4
    assert opened == [index.root]


def test_an_arm_with_other_settings_is_refused(tmp_path: Path) -> None:
    trained = make_config({"text": "none", "epochs": 2, "precision": "fp32", "workers": 1, "cache": True})
    (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(trained.model_dump(mode="json")))
    check_trial(tmp_path, trained.model_copy(update={"workers": None, "cache": None}))
    with refuses("LEX-RUN-022", "those of this study:"):
        check_trial(tmp_path, trained.model_copy(update={"seed": 1}))


def test_what_the_start_of_a_training_settled_is_not_another_setting(tmp_path: Path) -> None:
    wanted = make_config({"text": "none", "epochs": 2, "fit": "auto"})
    settled = wanted.model_copy(update={"fit": "stretch", "precision": "bf16"})
    (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(settled.model_dump(mode="json")))
    check_trial(tmp_path, wanted)
    with refuses("LEX-RUN-022", "precision was 'bf16', now 'fp32'"):
        check_trial(tmp_path, wanted.model_copy(update={"precision": "fp32"}))
    with refuses("LEX-RUN-022", "fit was 'stretch', now 'pad'"):
        check_trial(tmp_path, wanted.model_copy(update={"fit": "pad"}))


def test_several_devices_are_refused(index: DatasetIndex, tmp_path: Path) -> None:
    with refuses("LEX-USE-1827", "got 2", "once for each, with another CUDA_VISIBLE_DEVICES"):
        plan_trials([StudyArm(name="a", changes={})], {"devices": 2}, None)
    with refuses("LEX-USE-1827", "got 2", "`lexiseg.train`"):
        train_on(index, make_config({"devices": 2}), tmp_path / "run")
