"""The engine of all studies: arms are trained and evaluated, each training once, by any number of processes.

A study is a data set and a list of arms. An arm is a name, changes of the configuration, and seeds; each seed
is one trial: a run folder with its evaluation. An interrupted study continues where it stopped. Several
processes, also on several machines, may work on one study at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console

from lexiseg.data import DatasetIndex
from lexiseg.errors import RunError
from lexiseg.evaluation.evaluate import evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.files import remove_leftover_folders, remove_leftovers
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.printable import counted
from lexiseg.studies.study_data import with_hidden
from lexiseg.studies.trial_claims import STALE_MINUTES, Claims, share_out
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.checks import check_one_device
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.config_changes import changed_settings
from lexiseg.training.train import train_on

#: In a study's folder: which process works on which trial.
CLAIMS_FOLDER = "claims"


@dataclass(frozen=True, kw_only=True)
class StudyArm:
    """One arm of a study.

    Attributes:
        name: Its name, unique in the study.
        changes: Fields of the configuration that make the arm what it is.
        seeds: Seeds of its trainings.
    """

    name: str
    changes: Mapping[str, JsonValue]
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of a study.

    Attributes:
        arm: Name of the arm.
        seed: Seed of everything random in it.
        config: Its configuration.
    """

    arm: str
    seed: int
    config: TrainConfig

    @property
    def name(self) -> str:
        """Name of its run folder."""
        return f"{self.arm}-s{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """Trials on one data set.

    Attributes:
        index: The data set; it names masks that are hidden from some trials.
        trials: The trials, in the order they should be done.
        folder: Folder of their run folders.
        claims_folder: Folder of the claims on them.
        evaluation: How they are evaluated.
    """

    index: DatasetIndex
    trials: tuple[Trial, ...]
    folder: Path
    claims_folder: Path
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run_folder(self, trial: Trial) -> Path:
        """Return a trial's run folder."""
        return self.folder / trial.name

    def evaluation_folder(self, trial: Trial) -> Path:
        """Return the folder of a trial's evaluation."""
        return self.run_folder(trial) / self.evaluation.split

    def is_done(self, trial: Trial) -> bool:
        """Return whether a trial is trained and evaluated; `metrics.json` is written last."""
        return (self.evaluation_folder(trial) / "metrics.json").is_file()


def plan_trials(
    arms: Sequence[StudyArm], options: Mapping[str, object], config_file: Path | None
) -> tuple[Trial, ...]:
    """Return the trials of a study, seed by seed, so that a study cut short has whole seeds.

    Args:
        arms: The arms.
        options: Fields of the configuration that all arms share; those that are None count as not given.
        config_file: YAML file with further fields.

    Raises:
        UsageError: A field is not possible, or asks for several devices.
    """
    seeds = sorted({seed for arm in arms for seed in arm.seeds})
    trials = tuple(
        Trial(
            arm=arm.name,
            seed=seed,
            config=make_config({**options, **arm.changes, "seed": seed}, config_file),
        )
        for seed in seeds
        for arm in arms
        if seed in arm.seeds
    )
    for trial in trials:
        check_one_device(
            trial.config,
            what="each training of an audit or a study takes",
            remedy="Remove it from the --config file. To use several devices, start the same command once "
            "for each, with another CUDA_VISIBLE_DEVICES: the processes share the trainings.",
        )
    return trials


def run_study(
    study: Study, *, stale_minutes: float = STALE_MINUTES, console: Console, poll_seconds: float = 10.0
) -> None:
    """Train and evaluate every trial that is not done, together with whoever else works on the study.

    Args:
        study: The study.
        stale_minutes: Minutes without a heartbeat after which another process's trial is taken over.
        console: Where progress is shown.
        poll_seconds: Pause before looking again at trials that others work on.

    Raises:
        RunError: A run folder holds a training with other settings.
        LexisegError: A training or an evaluation is not possible.
    """
    check_trials(study)
    trials = {trial.name: trial for trial in study.trials}

    def say(message: str) -> None:
        console.print(message, markup=False, highlight=False)

    if not all(study.is_done(trial) for trial in study.trials):
        for assumption in study.index.assumptions:
            say(assumption)

    def work(name: str) -> str | None:
        # The lock of a training: a person may resume the run folder of an arm meanwhile.
        lock = FolderLock.beside(study.run_folder(trials[name]))
        holder = lock.take()
        if holder is not None:
            return holder
        try:
            done = sum(study.is_done(trial) for trial in study.trials)
            say(f"Arm {name} ({done} of {len(trials)} are done).")
            train_and_evaluate(study, trials[name], console=console)
        finally:
            lock.release()
        return None

    share_out(
        list(trials),
        is_done=lambda name: study.is_done(trials[name]),
        work=work,
        claims=Claims(study.claims_folder, stale_minutes=stale_minutes, say=say),
        poll_seconds=poll_seconds,
    )


def check_trials(study: Study) -> None:
    """Refuse a study whose folder holds a training with other settings.

    Raises:
        RunError: A training differs in a field that can change its result.
    """
    for trial in study.trials:
        if (study.run_folder(trial) / "run.json").is_file():
            check_trial(study.run_folder(trial), trial.config)


def check_trial(folder: Path, config: TrainConfig) -> None:
    """Refuse a training that was begun with another configuration.

    Args:
        folder: The run folder.
        config: The configuration that it must have.

    Raises:
        RunError: They differ in a field that can change a result.
    """
    differing = changed_settings(make_config({}, folder / CONFIG_FILE), config)
    if differing:
        raise RunError(
            f"{folder} was trained with settings that differ from those of this study: "
            f"{'; '.join(differing)}. Remove the "
            f"folder to train the arm again, or choose another --out.",
            code="LEX-RUN-022",
        )


def train_and_evaluate(study: Study, trial: Trial, *, console: Console) -> None:
    """Train a trial, or continue where it was interrupted, and evaluate it.

    Args:
        study: The study.
        trial: One of its trials.
        console: Where progress is shown.

    Raises:
        RunError: The folder holds a training with other settings.
        DataError: The data set does not fit the trial, for example because it has no reports.
    """
    folder = study.run_folder(trial)
    index = with_hidden(study.index, trial.config)
    # What a killed process left half-written; only the holder of the run folder's lock comes here.
    remove_leftover_folders(folder)
    remove_leftovers(folder)
    resume = (folder / "run.json").is_file()
    if resume:
        check_trial(folder, trial.config)
    # A run folder's configuration also has the fields that the first start resolved, such as `workers`.
    config = make_config({}, folder / CONFIG_FILE) if resume else trial.config
    run = train_on(index, config, folder, resume=resume, console=console)
    evaluation = evaluate_on(index, run, study.evaluation, out=study.evaluation_folder(trial))
    console.print(
        f"{folder.name}: {study.evaluation.split} Dice {evaluation.metrics.dice.mean:.4f} over "
        f"{counted(evaluation.metrics.num_cases, 'case')}.",
        highlight=False,
    )
