"""Several runs on one split: an evaluation each, and one table of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lexiseg.data import Split
from lexiseg.errors import DataError, UsageError
from lexiseg.evaluation.cases import TERCILES
from lexiseg.evaluation.evaluate import Evaluation, Progress, evaluate
from lexiseg.evaluation.metrics import DEFAULT_TOLERANCE
from lexiseg.evaluation.opening import open_checked
from lexiseg.files import write_json, write_text
from lexiseg.inference.members import check_alike
from lexiseg.inference.options import BATCH_SIZE
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import shown_folder


def evaluate_runs(
    runs: Sequence[Run | str | Path],
    data: str | Path,
    *,
    split: Split = "test",
    out: str | Path,
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
    flip_average: bool = False,
    average_with: Run | str | Path | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Evaluation]:
    """Evaluate several runs on one split, each in a folder of its own below `out`, and write one table.

    Args:
        runs: The runs, or their folders.
        data: A data set folder.
        split: "train", "val" or "test".
        out: Folder for an evaluation per run, `table.csv` and `table.json`.
        batch_size: Images predicted at once.
        device: Torch device of the prediction.
        flip_average: Whether to average over each image and its mirror image, see `Predictor`.
        average_with: A second run to average each with, see `Predictor`.
        tolerance: Boundary error that surface Dice forgives, see `evaluate`.
        seed: Seed of the bootstrap intervals.
        progress: Called after each case, with the cases of all runs counted.

    Returns:
        Evaluation per run's name: the last part of its path, with as many parts before it as tell the runs
        apart.

    Raises:
        UsageError: A run is named twice, or cannot be averaged with the second.
        LexisegError: See `evaluate`. Data that does not fit one of the runs is refused before any is scored.
    """
    opened = [Run.of(run) for run in runs]
    second = None if average_with is None else Run.of(average_with)
    names = run_names([run.path for run in opened])
    # All are checked before any is scored: a refusal after an hour would be a late one.
    cases: dict[str, list[str]] = {}
    for name, run in zip(names, opened, strict=True):
        if second is not None:
            check_alike(run, second)
        index = open_checked((run,) if second is None else (run, second), data, split)
        cases[name] = sorted(sample.id for sample in index.split(split))
    _check_same_cases(cases, data, split)
    found = {}
    for position, (name, run) in enumerate(zip(names, opened, strict=True)):

        def advance(done: int, total: int, before: int = position) -> None:
            if progress is not None:
                progress(before * total + done, len(opened) * total)

        found[name] = evaluate(
            run,
            data,
            split=split,
            out=Path(out) / name,
            batch_size=batch_size,
            device=device,
            flip_average=flip_average,
            average_with=second,
            tolerance=tolerance,
            seed=seed,
            progress=advance,
        )
    rows = table_rows(found)
    write_text(Path(out) / "table.csv", _as_csv(rows))
    write_json(
        Path(out) / "table.json",
        {"data": str(data), "split": split, "average_with": second and second.shown, "runs": rows},
    )
    return found


def _check_same_cases(cases: Mapping[str, list[str]], data: str | Path, split: Split) -> None:
    """Refuse runs that would be scored on different images: those of a split made anew with other seeds."""
    first, *others = cases
    for other in others:
        if cases[other] != cases[first]:
            raise DataError(
                f"The runs {first} and {other} split {data} differently, so their {split} images are not the "
                f"same: the data set has no split of its own, and they were trained with different seeds. "
                f"Copy `splits.json` of one of them beside the data.",
                code="LEX-DATA-146",
            )


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name per run folder, which tells it from the others.

    Raises:
        UsageError: Two are the same folder.
    """
    whole = [path.resolve() for path in paths]
    twice = [path for path in whole if whole.count(path) > 1]
    if twice:
        raise UsageError(
            f"The run {shown_folder(twice[0])} is named twice. Name each run once.", code="LEX-USE-088"
        )
    for length in range(1, max(len(path.parts) for path in whole) + 1):
        names = ["-".join(part.strip("/\\:") for part in path.parts[-length:]) for path in whole]
        if len(set(names)) == len(names):
            return names
    raise UsageError(
        f"The runs {', '.join(map(str, paths))} cannot be told apart by their names.", code="LEX-USE-089"
    )


def table_rows(evaluations: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """Return one row per run: its scores with intervals, by size tercile, and its retrieval accuracies.

    Args:
        evaluations: Evaluation per run's name, all on the same split.
    """
    rows = []
    for name, evaluation in evaluations.items():
        metrics = evaluation.metrics
        row: dict[str, Any] = {"run": name, "cases": metrics["num_cases"], "failed": len(metrics["failed"])}
        row |= {"dice": metrics["dice"]["mean"]}
        row |= {"dice_low": metrics["dice"]["ci95"][0], "dice_high": metrics["dice"]["ci95"][1]}
        row |= {"pooled_dice": metrics["pooled_dice"], "iou": metrics["iou"]["mean"]}
        row |= {"hd95": metrics["hd95"]["mean"], "units": metrics["units"]}
        sizes = {stratum["tercile"]: stratum for stratum in metrics["by_size"]}
        row |= {
            f"dice_{name}": sizes[name]["dice"]["mean"] if sizes[name]["n"] else None for name in TERCILES
        }
        row |= {f"retrieval_{factor}": scores["accuracy"] for factor, scores in metrics["retrieval"].items()}
        rows.append(row)
    return rows


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    return str(pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n"))
