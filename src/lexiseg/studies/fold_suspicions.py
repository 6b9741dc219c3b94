"""Check a data set with runs that are trained on parts of it: each fold by the run that did not see it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lexiseg.data import DatasetIndex, Sample, Split, open_dataset
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.suspicion_file import Suspicions
from lexiseg.evaluation.suspicions import (
    SUSPICION_FILES,
    Progress,
    RunSamples,
    check_cases,
    not_learned,
    write_suspicions,
)
from lexiseg.files import refuse_blocked
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.printable import counted
from lexiseg.runs.manifest import MANIFEST_FILE
from lexiseg.runs.run import Run
from lexiseg.studies.trials import changed_settings
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.resume import is_finished
from lexiseg.training.train import train_on

#: Folder of the runs, below that of the results.
FOLDS_FOLDER = "folds"

# Of the patients that a run learns from, one in this many is for validation.
_VALIDATION = 8


def find_suspicions_by_folds(
    data: str | Path,
    out: str | Path,
    *,
    folds: int = 5,
    config_file: str | Path | None = None,
    options: Mapping[str, object] | None = None,
    prediction: PredictionOptions | None = None,
    progress: Progress | None = None,
    console: Console | None = None,
) -> Suspicions:
    """Rank the cases of a data set by how wrong they look to runs that are trained on its other parts.

    Each patient is in one fold. Each run is trained on all other folds, and checks the images of its own;
    copies of images that it was trained on are left out and counted. The same call goes on with what an
    interrupted one has done; finished runs are not trained again. A call with other settings is refused.

    Args:
        data: The data set's folder.
        out: Folder for the results; the runs are in its folder `folds`.
        folds: Number of folds, at least 2.
        config_file: YAML file with fields of the configuration of the trainings.
        options: Fields of the configuration, such as `max_minutes` per training; they win over the file.
        prediction: How images are predicted.
        progress: Called after each case with the number of cases done and in all.
        console: Where the trainings show progress; None shows nothing.

    Returns:
        The content of `suspicions.json`.

    Raises:
        UsageError: There are fewer than 2 folds, or an option is not possible.
        DataError: The data set cannot be used, or is too small for the folds.
        RunError: The folder holds runs of other folds, or with other settings.
        DiskError: There is no space or no permission.
    """
    if folds < 2:
        raise UsageError(f"--folds must be at least 2; got {folds}.", code="LEX-USE-901")
    refuse_blocked(out)
    config = make_config(options or {}, config_file)
    index = open_dataset(data, seed=config.seed, allow_missing_masks=True)
    parts = fold_indices(index, folds)
    places = [Path(out) / FOLDS_FOLDER / f"fold-{number}" for number in range(1, folds + 1)]
    for part, place in zip(parts, places, strict=True):
        _check_run(part, config, place)
    settings = prediction or PredictionOptions()
    with result_folder(Path(out), SUSPICION_FILES) as folder:
        runs = [_trained(part, config, place, console) for part, place in zip(parts, places, strict=True)]
        checks = [
            # A copy of an image can be in another fold.
            RunSamples(
                predictor=Predictor(run, settings), samples=not_learned(run, part.split("test"), part.name)[0]
            )
            for run, part in zip(runs, parts, strict=True)
        ]
        left_out = len(index.samples) - sum(len(check.samples) for check in checks)
        found = check_cases(index, checks, left_out=left_out, progress=progress)
        write_suspicions(found, index, checks, folder)
    return found


def fold_indices(index: DatasetIndex, folds: int) -> list[DatasetIndex]:
    """Return the data set once per fold: the images of the fold are its test split.

    Patients are ordered by a hash of their name and dealt to the folds in turn.

    Raises:
        DataError: A fold would have fewer images than there are classes, or there are too few patients.
    """
    groups = sorted({_group(sample) for sample in index.samples}, key=_hashed)
    place = {group: number for number, group in enumerate(groups)}
    sizes = [sum(place[_group(sample)] % folds == fold for sample in index.samples) for fold in range(folds)]
    if min(sizes) < index.num_classes or len(groups) < 2 * folds:
        raise DataError(
            f"{index.root} has {counted(len(index.samples), 'image')} of {counted(len(groups), 'patient')}. "
            f"With {folds} folds the smallest fold has {counted(min(sizes), 'image')}; it needs at least "
            f"{index.num_classes} (one per class, with the background), and at least {2 * folds} patients "
            "are needed. Choose fewer --folds.",
            code="LEX-DATA-903",
        )
    found = []
    for fold in range(folds):
        learned = [group for group in groups if place[group] % folds != fold]
        validation = set(learned[::_VALIDATION])

        def split(sample: Sample, fold: int = fold, validation: set[str] = validation) -> Split:
            group = _group(sample)
            if place[group] % folds == fold:
                return "test"
            return "val" if group in validation and sample.mask is not None else "train"

        samples = tuple(replace(sample, split=split(sample)) for sample in index.samples)
        found.append(replace(index, samples=samples))
    return found


def _check_run(index: DatasetIndex, config: TrainConfig, folder: Path) -> None:
    """Refuse a run of a fold that was trained with other folds or other settings; nothing if there is none.

    Raises:
        RunError: The folder holds such a run.
    """
    if not (folder / MANIFEST_FILE).is_file():
        return
    splits = Run.open(folder).splits
    if splits is None or set(splits.test) != {sample.id for sample in index.split("test")}:
        raise RunError(
            f"{folder} holds a run that was trained with other folds. Use the same --folds and data as "
            "before, or choose another --out.",
            code="LEX-RUN-905",
        )
    changed = changed_settings(make_config({}, folder / CONFIG_FILE), config)
    if changed:
        raise RunError(
            f"{folder} holds a run with other settings than this call: {'; '.join(changed)}. All runs of a "
            "check must have the same settings: give the same --config and --max-minutes as before, or "
            "choose another --out.",
            code="LEX-RUN-1812",
        )


def _trained(index: DatasetIndex, config: TrainConfig, folder: Path, console: Console | None) -> Run:
    """Return the run of a fold, trained if it is not finished."""
    if not (folder / MANIFEST_FILE).is_file():
        return train_on(index, config, folder, console=console)
    if is_finished(folder):
        return Run.open(folder)
    # The start of the run settled fields such as the fit; it goes on with those.
    stored = make_config({}, folder / CONFIG_FILE)
    return train_on(index, stored, folder, resume=True, console=console)


def _group(sample: Sample) -> str:
    return sample.patient or sample.id


def _hashed(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()
