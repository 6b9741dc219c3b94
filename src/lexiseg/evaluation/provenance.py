"""Where figures come from: what was run on which data, by which versions, on which machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.evaluation.interface import PredictsPaths
from lexiseg.evaluation.metrics import DEFAULT_TOLERANCE
from lexiseg.evaluation.statistics import RESAMPLES

_PACKAGES = ("lexiseg", "torch", "timm", "numpy", "scipy", "scikit-image", "Pillow")


def describe_data(index: DatasetIndex, samples: Sequence[Sample], split: str) -> dict[str, Any]:
    """Return which data were evaluated; `ids_sha256` tells whether two evaluations saw the same cases."""
    ids = "\n".join(sorted(sample.id for sample in samples))
    return {
        "folder": str(index.root),
        "name": index.name,
        "layout": index.layout,
        "split": split,
        "samples": len(samples),
        "ids_sha256": hashlib.sha256(ids.encode("utf-8")).hexdigest(),
        "assumptions": list(index.assumptions),
    }


def in_sample(predictor: PredictsPaths, index: DatasetIndex, split: str) -> str | None:
    """Say which figures are no estimate for new images, as they were chosen on the very split that is scored.

    Args:
        predictor: The predictor, with the calibration it uses.
        index: The data set.
        split: The split that is scored.

    Returns:
        One or two sentences; None where nothing was chosen on these cases.
    """
    run, fitted = predictor.run, predictor.calibration
    trained_here = run.manifest.data.name == index.name
    fitted_here = trained_here if fitted is None else fitted.data.name == index.name
    if split != "val":
        return None
    said = []
    if trained_here:
        said.append("The weights were selected on this validation split, which flatters all scores here.")
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


def describe_execution(
    *,
    run: str,
    data: Path,
    split: str,
    out: Path,
    seed: int,
    tolerance: float,
    device: str,
    flip_average: bool,
    average_with: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    """Return how to do it again: command, seed, versions, machine and date.

    Runs come as they are shown (`Run.shown`), so that the command holds on another machine too.
    """
    command = ["lexiseg", "evaluate", run, str(data), "--split", split, "--out", str(out)]
    defaults = {
        "--seed": (seed, 0),
        "--tolerance": (tolerance, DEFAULT_TOLERANCE),
        "--device": (device, "cpu"),
    }
    for option, (value, default) in defaults.items():
        if value != default:
            command += [option, str(value)]
    if flip_average:
        command.append("--flip-average")
    for other in average_with:
        command += ["--average-with", other]
    return {
        "command": shlex.join(command),
        "flip_average": flip_average,
        "average_with": list(average_with),
        "seed": seed,
        "resamples": RESAMPLES,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs",
    }
