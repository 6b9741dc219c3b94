"""Several runs on one split: one evaluation per run, and one table of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import pandas as pd

from lexiseg.data import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.evaluation.comparison.comparison_file import RunRow, RunTable
from lexiseg.evaluation.evaluate import Evaluation, evaluate_on
from lexiseg.evaluation.evaluation_data import check_same_cases, open_scorable
from lexiseg.evaluation.options import EvaluationKeywords, EvaluationOptions, Progress
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.inference.ensemble import check_alike
from lexiseg.json_records import record_text
from lexiseg.outputs.output_folder import OutputFolder
from lexiseg.printable import row_of_cells
from lexiseg.runs.run import Run
from lexiseg.runs.shipped import shown_folder

#: The files of a table of runs.
TABLE_FILES = ("table.csv", "table.json")


def evaluate_runs(
    runs: Sequence[Run | str | Path],
    data: str | Path,
    *,
    out: str | Path,
    progress: Progress | None = None,
    **options: Unpack[EvaluationKeywords],
) -> dict[str, Evaluation]:
    """Evaluate several runs on one split, each into a folder of its own below `out`, and write one table.

    Args:
        runs: The runs, or their folders.
        data: A data set folder.
        out: Folder for one evaluation per run, `table.csv` and `table.json`.
        progress: Called after each case, with the cases of all runs counted.
        **options: Fields of `EvaluationOptions`, such as `split="val"`; `average_with` may be a folder.

    Returns:
        Evaluation per run's name: the last part of its path, with as many parts before it as are needed to
        distinguish the runs.

    Raises:
        UsageError: A run is named twice, or cannot be averaged with the second.
        LexisegError: See `evaluate`. Data that does not fit one of the runs is refused before any is scored.
    """
    opened = [Run.of(run) for run in runs]
    named = dict(zip(run_names([run.path for run in opened]), opened, strict=True))
    settings = EvaluationOptions.of(**options)
    index = open_for_table(named, data, settings)
    with result_folder(Path(out), TABLE_FILES) as folder:
        return evaluate_runs_into(folder, index, named, settings, progress=progress)


def open_for_table(runs: Mapping[str, Run], data: str | Path, options: EvaluationOptions) -> DatasetIndex:
    """Open a data set once for several runs, and refuse it unless every run can be scored on the same cases.

    Args:
        runs: The runs by name.
        data: The data set's folder.
        options: How they will be evaluated.

    Raises:
        LexisegError: See `evaluate_runs`.
    """
    second = [] if options.average_with is None else [options.average_with]
    for other in second:
        for run in runs.values():
            check_alike(run, other)
    index = open_scorable([*runs.values(), *second], data, options.split, allow_leak=options.allow_leak)
    check_same_cases(runs, index, options.split)
    return index


def evaluate_runs_into(
    folder: OutputFolder,
    index: DatasetIndex,
    runs: Mapping[str, Run],
    options: EvaluationOptions,
    *,
    progress: Progress | None = None,
) -> dict[str, Evaluation]:
    """Evaluate several runs on a data set that `open_for_table` has opened; see `evaluate_runs`.

    Args:
        folder: The folder, which this process owns.
        index: The data set.
        runs: The runs by name.
        options: How they are evaluated.
        progress: Called after each case, with the cases of all runs counted.
    """
    found: dict[str, Evaluation] = {}
    for name, run in runs.items():

        def advance(done: int, total: int, before: int = len(found)) -> None:
            if progress is not None:
                progress(before * total + done, len(runs) * total)

        found[name] = evaluate_on(index, run, options, out=folder.path / name, progress=advance)
    second = options.average_with
    table = RunTable(
        data=str(index.root),
        split=options.split,
        average_with=None if second is None else second.shown,
        runs=tuple(run_row(name, evaluation.metrics) for name, evaluation in found.items()),
    )
    folder.write_text(folder.path / "table.csv", _as_csv(table.runs))
    folder.write_text(folder.path / "table.json", record_text(table))
    return found


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name per run folder that distinguishes it from the others.

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


def run_row(name: str, metrics: Metrics) -> RunRow:
    """Return the row of one run: its scores with intervals, by size tercile, and its retrieval accuracies.

    Args:
        name: The run's name.
        metrics: Its scores.
    """
    by_size = {stratum.tercile: stratum.dice for stratum in metrics.by_size}
    terciles = {name: None if dice is None else dice.mean for name, dice in by_size.items()}
    low, high = metrics.dice.ci95 or (None, None)
    return RunRow(
        run=name,
        cases=metrics.num_cases,
        failed=len(metrics.failed),
        dice=metrics.dice.mean,
        dice_low=low,
        dice_high=high,
        pooled_dice=metrics.pooled_dice,
        iou=metrics.iou.mean,
        hd95=metrics.hd95.mean,
        units=metrics.units,
        dice_small=terciles["small"],
        dice_medium=terciles["medium"],
        dice_large=terciles["large"],
        retrieval={factor: scores.accuracy for factor, scores in metrics.retrieval.items()},
    )


def _as_csv(rows: Sequence[RunRow]) -> str:
    """Return the rows as CSV, with one column per factor: `retrieval_FACTOR`."""
    flat = []
    for row in rows:
        scores = row.model_dump(exclude={"retrieval"})
        flat.append(scores | {f"retrieval_{factor}": value for factor, value in row.retrieval.items()})
    return str(
        pd.DataFrame([row_of_cells(row) for row in flat]).to_csv(
            index=False, float_format="%.6g", lineterminator="\n"
        )
    )
