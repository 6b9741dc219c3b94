"""The provenance of scores: the run, the data, the command, the versions and the machine."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from lexiseg.data.name_hashes import names_sha256
from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.engines.registry import engine_packages
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.scores.metrics_file import (
    EvaluatedData,
    EvaluatedManifest,
    EvaluatedModelFile,
    EvaluatedRun,
    Execution,
)
from lexiseg.evaluation.scores.statistics import RESAMPLES
from lexiseg.file_hashes import file_sha256
from lexiseg.inference.reliability.calibration import CalibrationData
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run

#: Options of an evaluation that have a value in its command.
_VALUES_OF_COMMAND = ("seed", "tolerance", "device", "engine", "precision")
# Packages that compute, beside those of the engines.
_PACKAGES = ("numpy", "scipy", "scikit-image", "Pillow")
# Names of their modules, where they differ.
_MODULES = {"scikit-image": "skimage", "Pillow": "PIL"}


def describe_run(run: Run, weights_sha256: str) -> EvaluatedRun:
    """Return which run was evaluated, with these weights."""
    manifest = run.manifest.model_dump(mode="json", exclude={"vocabulary"})
    return EvaluatedRun(
        folder=run.shown,
        manifest=EvaluatedManifest.model_validate(manifest),
        weights_sha256=weights_sha256,
    )


def describe_data(index: DatasetIndex, samples: Sequence[Sample], split: Split) -> EvaluatedData:
    """Return which data were evaluated."""
    return EvaluatedData(
        folder=str(index.root),
        name=index.name,
        layout=index.layout,
        split=split,
        samples=len(samples),
        ids_sha256=names_sha256(sorted(sample.id for sample in samples)),
        assumptions=index.assumptions,
        left_out=tuple(item.sentence for item in index.left_out),
        leaks=index.leaks,
    )


def in_sample(predictor: PathPredictor, index: DatasetIndex, split: Split) -> str | None:
    """Say which figures are no estimate for new images: a run learned from the split, or was chosen on it.

    Args:
        predictor: The predictor, with the calibration it uses.
        index: The data set.
        split: The split that is scored.

    Returns:
        Some sentences; None if nothing is known to have been learned from these cases or chosen on them.

    Raises:
        RunError: The hashes of the images of a run are damaged.
    """
    if split == "test":
        return None  # `check_unseen` refuses what a run has learned
    run, fitted, total = predictor.run, predictor.calibration, len(index.split(split))
    counts = [_learned_here(one, index, split) for one in predictor.runs]
    said = [
        _learned_sentence(count, total, split, of=one.shown if len(counts) > 1 else None)
        for one, count in zip(predictor.runs, counts, strict=True)
        if count
    ]
    if split == "train":
        return " ".join(said) or None
    selected_here = counts[0] > 0
    fitted_here = selected_here if fitted is None else _is_fitted_on(fitted.data, index, selected_here)
    if fitted is not None and fitted_here:
        said.append(
            "Temperature and review flag were fitted on the validation split: calibration error, expected "
            "Dice, and the Dice of flagged cases and the rest are in-sample; take them from the test split."
        )
    elif fitted_here and run.spoken_vocabulary is not None:
        said.append(
            "The limit of the review flag was chosen on the validation split: number and Dice of the flagged "
            "cases are in-sample; take them from the test split."
        )
    return " ".join(said) or None


def _learned_here(run: Run, index: DatasetIndex, split: Split) -> int:
    """Return on how many images of a split a run is known to have been trained or selected.

    Args:
        run: The run.
        index: The data set; with the name of that of the training it counts as that, else the files of its
            images are compared.
        split: "train" or "val".
    """
    learned, samples = LearnedImages(run), index.split(split)
    if learned.same_data(index.name):
        return len(samples)
    # Of a test split, validation images count as learned, as they do here.
    return len(learned.by_file(samples, split="test" if split == "val" else split))


def _learned_sentence(count: int, total: int, split: Split, *, of: str | None) -> str:
    """Say what scores are worth where a run has learned some images of a split.

    Args:
        count: Number of these images.
        total: Number of all images of the split.
        split: "train" or "val".
        of: The run; None where there is one only.
    """
    name = "" if of is None else f" {of}"
    how = (
        f"run{name} learned from" if split == "train" else f"weights{' of' * bool(of)}{name} were selected on"
    )
    if count < total:
        some = f"{count} of these {total} images (the files are equal)"
        return f"The {how} {some}, which flatters the mean scores here."
    if split == "val":
        return f"The {how} this validation split, which flatters all scores here."
    return (
        f"The {how} these images: all scores here are in-sample, and say nothing of new images. Take them "
        "from the test split."
    )


def _is_fitted_on(data: CalibrationData, index: DatasetIndex, selected_here: bool) -> bool:
    """Return whether a calibration was fitted on the validation split of a data set, whatever its name."""
    if data.name == index.name:
        return True
    return selected_here and data.ids_sha256 == names_sha256(sorted(s.id for s in index.split("val")))


def options_of_command(options: EvaluationOptions) -> list[str]:
    """Return the options of an evaluation that are not the usual ones, as its command line has them."""
    defaults = EvaluationOptions()
    given = [(name, getattr(options, name)) for name in _VALUES_OF_COMMAND]
    found = [
        part
        for name, value in given
        if value != getattr(defaults, name)
        for part in (f"--{name}", str(value))
    ]
    if options.flip_average:
        found.append("--flip-average")
    if options.allow_leak:
        found.append("--allow-leak")
    return found


def describe_execution(
    predictor: PathPredictor, data: Path, options: EvaluationOptions, *, out: Path, seconds: float
) -> Execution:
    """Return how to repeat an evaluation: command, seed, versions, machine and date.

    Args:
        predictor: The predictor. Its runs appear by `Run.shown`, so that the command is true on another
            machine too.
        data: The data set's folder.
        options: The options of the evaluation.
        out: The folder of the results.
        seconds: The duration.
    """
    first, *others = (run.shown for run in predictor.runs)
    command = ["lexiseg", "evaluate", first, str(data), "--split", options.split, "--out", str(out)]
    command += options_of_command(options)
    for other in others:
        command += ["--average-with", other]
    return Execution(
        command=shlex.join(command),
        flip_average=options.flip_average,
        average_with=tuple(others),
        average_with_sha256=predictor.weights_sha256[1:],
        seed=options.seed,
        resamples=RESAMPLES,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        engine=str(predictor.engine.description),
        model_file=_model_file(predictor.engine.description.file),
        versions=_versions(),
        machine=f"{platform.platform()}, {os.cpu_count()} CPUs",
    )


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that compute."""
    names = dict.fromkeys(("lexiseg", *engine_packages(), *_PACKAGES))
    found = {name: version(name) for name in names if find_spec(_MODULES.get(name, name)) is not None}
    return {"python": platform.python_version()} | found


def _model_file(path: Path | None) -> EvaluatedModelFile | None:
    return None if path is None else EvaluatedModelFile(name=path.name, sha256=file_sha256(path))
