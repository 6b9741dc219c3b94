"""Check a data set with runs that are trained on parts of it: each fold by the run that did not see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from rich.console import Console

from lexiseg.data import DatasetIndex, Sample, Split, open_dataset
from lexiseg.data.name_hashes import order_key
from lexiseg.data.patient_groups import group_of
from lexiseg.describing.description_file import read_descriptions
from lexiseg.engines.registry import get as get_engine
from lexiseg.engines.registry import with_precision
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.evaluation.options import PredictionKeywords, Progress, prediction_options
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.suspicions.find import SUSPICION_FILES, check_cases, write_suspicions
from lexiseg.evaluation.suspicions.report_words import check_vocabulary, stated_otherwise
from lexiseg.evaluation.suspicions.run_samples import RunSamples, not_learned
from lexiseg.evaluation.suspicions.suspicion_file import Suspicions
from lexiseg.files import refuse_blocked
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.printable import counted
from lexiseg.runs.manifest import MANIFEST_FILE
from lexiseg.runs.run import Run
from lexiseg.studies.fold_length import is_trained_run, say_trainings
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.checks import check_one_device
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.config_changes import changed_settings
from lexiseg.training.description_words import vocabulary_of_file
from lexiseg.training.resume import is_finished
from lexiseg.training.train import train_on
from lexiseg.words.description import DESCRIPTIONS_SUFFIX
from lexiseg.words.vocabulary import load_vocabulary

#: Folder of the runs, below that of the results.
FOLDS_FOLDER = "folds"

_FEWEST_FOLDS = 2
# Of the patients that a run learns from, one in this many is for validation.
_VALIDATION = 8


def find_suspicions_by_folds(
    data: str | Path,
    out: str | Path,
    *,
    folds: int = 5,
    config_file: str | Path | None = None,
    training: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    console: Console | None = None,
    **options: Unpack[PredictionKeywords],
) -> Suspicions:
    """Rank the cases of a data set by how wrong they look to runs that are trained on its other parts.

    Each patient is in one fold. Each run is trained on all other folds, and checks the images of its own;
    copies of images that it was trained on are left out and counted. Of an image without a mask, only the
    report is checked; it takes no part in the trainings, unless the configuration sets `unmasked`. The same
    call goes on with what an interrupted one has done; finished runs are not trained again. A call with other
    settings is refused.

    Args:
        data: The data set's folder.
        out: Folder for the results; the runs are in its folder `folds`.
        folds: Number of folds, at least 2.
        config_file: YAML file with fields of the configuration of the trainings.
        training: Fields of the configuration of the trainings, such as `max_minutes` of each; they win over
            the file.
        progress: Called after each case with the number of cases done and in all.
        console: Where the trainings show progress; None shows nothing.
        **options: Fields of `PredictionOptions`, such as `device`, for the runs that check.

    Returns:
        The content of `suspicions.json`.

    Raises:
        UsageError: There are fewer than 2 folds, an option is not possible, the engine needs a model file, or
            the runs have, or would learn, the words of another vocabulary than the data set states.
        DataError: The data set cannot be used, or is too small for the folds, or too few of its
            images have a mask.
        RunError: The folder holds runs of other folds, or with other settings.
        DiskError: There is no space or no permission.
    """
    if folds < _FEWEST_FOLDS:
        raise UsageError(f"--folds must be at least {_FEWEST_FOLDS}; got {folds}.", code="LEX-USE-901")
    refuse_blocked(out)
    settings = _settings(options)
    config = make_config(training or {}, config_file)
    _check_fields(config)
    if config.unmasked is None:
        # Three teachers per run take much time, and need words for each image without mask.
        config = config.model_copy(update={"unmasked": "leave_out"})
    index = open_dataset(data, seed=config.seed, allow_missing_masks=True)
    parts = make_folds(index, folds)
    places = [Path(out) / FOLDS_FOLDER / f"fold-{number}" for number in range(1, folds + 1)]
    for part, place in zip(parts, places, strict=True):
        _check_run(part.index, config, place)
        _check_vocabulary(index, config, place)
    with result_folder(Path(out), SUSPICION_FILES) as folder:
        if console is not None:
            say_trainings([part.index for part in parts], places, config, console)
        runs = []
        for number, (part, place) in enumerate(zip(parts, places, strict=True), 1):
            if console is not None and not is_trained_run(place):
                console.print(f"Fold {number} of {folds}: {place}", highlight=False)
            runs.append(_trained(part.index, config, place, console))
        checks = [
            # A copy of an image can be in another fold.
            RunSamples(
                predictor=Predictor(run, settings), samples=not_learned(run, part.checked, index.name)[0]
            )
            for run, part in zip(runs, parts, strict=True)
        ]
        found = check_cases(
            index,
            checks,
            left_out=len(index.samples) - sum(len(check.samples) for check in checks),
            notes=_notes(index),
            progress=progress,
        )
        write_suspicions(found, index, checks, folder)
    return found


def _settings(options: PredictionKeywords) -> PredictionOptions:
    """Return how the runs of the folds predict.

    Raises:
        UsageError: An option is not possible, or needs a model file, which these runs do not hold.
    """
    settings = prediction_options(options)
    # Said before the trainings, which may take hours.
    if settings.engine != "auto" and get_engine(settings.engine).files:
        asked, instead = f"the engine {settings.engine}", "--engine torch"
    elif settings.precision == "bf16" and all(kind.files for kind in with_precision("bf16")):
        asked, instead = "bf16", "--precision fp32"
    else:
        return settings
    raise UsageError(
        f"The runs of a check by folds hold no model file, which {asked} needs. Leave it out, or use "
        f"{instead}.",
        code="LEX-USE-2000",
    )


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One fold of a data set.

    Attributes:
        index: What its run is trained on: training and validation images of the other folds, and the images
            of the fold that have a mask as test images.
        checked: All images of the fold, with and without a mask.
    """

    index: DatasetIndex
    checked: tuple[Sample, ...]


def make_folds(index: DatasetIndex, folds: int) -> list[Fold]:
    """Return the folds of a data set.

    Patients are ordered by a hash of their name and dealt to the folds in turn: first those with a mask, then
    the others. Of the patients with a mask that a run learns from, some are for validation.

    Raises:
        DataError: A fold would have fewer images than there are classes, or there are too few patients, or
            too few with a mask.
    """
    with_mask = {group_of(sample) for sample in index.samples if sample.mask is not None}
    names = {group_of(sample) for sample in index.samples}
    groups = sorted(names, key=lambda name: (name not in with_mask, order_key(name)))
    fold_of = {group: number % folds for number, group in enumerate(groups)}
    sizes = [sum(fold_of[group_of(sample)] == fold for sample in index.samples) for fold in range(folds)]
    if min(sizes) < index.num_classes or len(groups) < 2 * folds:
        possible = any(
            len(groups) >= 2 * fewer and len(index.samples) // fewer >= index.num_classes
            for fewer in range(_FEWEST_FOLDS, folds)
        )
        raise DataError(
            f"{index.root} has {counted(len(index.samples), 'image')} of {counted(len(groups), 'patient')}. "
            f"With {folds} folds the smallest fold has {counted(min(sizes), 'image')}; it needs at least "
            f"{index.num_classes} (one per class, with the background), and at least {2 * folds} patients "
            f"are needed. {_remedy('images of more patients', possible)}",
            code="LEX-DATA-903",
        )
    _check_masks(index, len(with_mask), folds)
    found = []
    for fold in range(folds):
        learned = [group for group in groups if group in with_mask and fold_of[group] != fold]
        split_of: dict[str, Split] = dict.fromkeys(groups, "train")
        split_of |= dict.fromkeys(learned[::_VALIDATION], "val")
        split_of |= {group: "test" for group in groups if fold_of[group] == fold}
        samples = tuple(replace(sample, split=split_of[group_of(sample)]) for sample in index.samples)
        # Validation and test images need a mask in a training.
        trained = tuple(sample for sample in samples if sample.mask is not None or sample.split == "train")
        found.append(
            Fold(
                index=replace(index, samples=trained),
                checked=tuple(sample for sample in samples if sample.split == "test"),
            )
        )
    return found


def _check_masks(index: DatasetIndex, patients: int, folds: int) -> None:
    """Refuse a data set with too few masks: each run needs some to learn from and others for validation.

    Raises:
        DataError: Too few patients have a mask.
    """
    if patients >= 2 * folds:
        return
    masks = sum(sample.mask is not None for sample in index.samples)
    raise DataError(
        f"{index.root} has masks for {masks} of {counted(len(index.samples), 'image')}, of "
        f"{counted(patients, 'patient')}. Each run of {folds} folds learns from masks of other "
        f"folds and is validated on some of them, so masks of at least {2 * folds} patients are needed. "
        f"{_remedy('masks', folds > _FEWEST_FOLDS and patients >= 2 * _FEWEST_FOLDS)}",
        code="LEX-DATA-1811",
    )


def _notes(index: DatasetIndex) -> tuple[str, ...]:
    """Return for people how many images have no mask; nothing if all have one."""
    missing = sum(sample.mask is None for sample in index.samples)
    if missing == 0:
        return ()
    return (f"Images without a mask: {missing} of {len(index.samples)}. Of these, only reports are checked.",)


def _check_fields(config: TrainConfig) -> None:
    """Refuse fields that have no effect in a check by folds.

    Raises:
        UsageError: There is one.
    """
    if config.masks is not None:
        raise UsageError(
            f"masks: a check by folds learns from all masks, as it checks all of them; got {config.masks:g}. "
            "Remove `masks` from the --config file.",
            code="LEX-USE-1826",
        )
    check_one_device(
        config,
        what="each run of a check by folds takes",
        remedy="Remove `devices` from the --config file; CUDA_VISIBLE_DEVICES chooses the device.",
    )


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


def _check_vocabulary(index: DatasetIndex, config: TrainConfig, folder: Path) -> None:
    """Refuse, before the run of a fold is trained, words of another vocabulary than the data set states.

    Raises:
        DataError: The stated vocabulary, or the description file of the configuration, cannot be used.
        UsageError: The run has, or would learn, the words of another vocabulary.
    """
    if (folder / MANIFEST_FILE).is_file():
        check_vocabulary(index, Run.open(folder))
        return
    if config.text == "none" or not system_of(config).names_words:
        return
    if config.text.endswith(DESCRIPTIONS_SUFFIX):
        learned = vocabulary_of_file(read_descriptions(config.text), index, config.vocabulary).name
    elif config.vocabulary is not None:
        learned = load_vocabulary(config.vocabulary).name
    else:
        return  # The runs learn the vocabulary that the data set states, if it states one.
    stated = stated_otherwise(index, learned)
    if stated is not None:
        raise UsageError(
            f"{index.root} states the vocabulary '{stated}' in dataset.yaml ({index.vocabulary}), but with "
            f"this configuration the runs of --folds would learn the words of '{learned}'. Leave "
            "`vocabulary` and `text` out of the configuration, or state that vocabulary in dataset.yaml.",
            code="LEX-USE-1805",
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


def _remedy(missing: str, fewer_possible: bool) -> str:
    """Return what helps where there are too few patients."""
    fewer = "choose fewer --folds, " if fewer_possible else ""
    return f"Add {missing}, {fewer}or check the data set with a trained run: --with RUN."
