"""Two runs on the same cases: paired difference with interval and test, and the most different cases."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import pandas as pd

from lexiseg.data import DatasetIndex
from lexiseg.errors import DataError, UsageError
from lexiseg.evaluation.comparison.change_figures import CaseChange, ModelMasks, draw_changes
from lexiseg.evaluation.comparison.comparison_file import ComparedRun, Comparison, GroupDifference, RunPair
from lexiseg.evaluation.comparison.extreme_cases import most_different
from lexiseg.evaluation.comparison.page import build_comparison
from lexiseg.evaluation.comparison.run_table import TABLE_FILES, evaluate_runs_into, open_for_table, run_names
from lexiseg.evaluation.options import ComparisonKeywords, EvaluationOptions, Progress
from lexiseg.evaluation.provenance import options_of_command
from lexiseg.evaluation.report.page import data_notices
from lexiseg.evaluation.result_folder import result_folder
from lexiseg.evaluation.scores.case_table import ALL, case_groups, patients_of, read_cases
from lexiseg.evaluation.scores.metrics_file import Metrics
from lexiseg.evaluation.scores.statistics import few_cases, holm, paired_difference
from lexiseg.inference.predictor import Predictor
from lexiseg.json_records import record_text
from lexiseg.printable import cell
from lexiseg.runs.run import Run
from lexiseg.validation import check_keywords

#: The files of a comparison.
COMPARISON_FILES = (*TABLE_FILES, "differences.csv", "comparison.html", "comparison.json")
#: Cases named in each direction.
_SHOWN = 5


def compare(
    run_a: Run | str | Path,
    run_b: Run | str | Path,
    data: str | Path,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[ComparisonKeywords],
) -> Comparison:
    """Evaluate two runs on one split and compare them case by case.

    Args:
        run_a: A run, or its folder.
        run_b: Another one; differences are a - b.
        data: A data set folder.
        out: Folder for both evaluations, `comparison.html`, `comparison.json` and `differences.csv`; None
            writes nothing.
        progress: Called after each case, with the cases of both runs counted.
        **options: Fields of `EvaluationOptions` but `average_with`, such as `split="val"`.

    Returns:
        The comparison. Its intervals and tests are about these two trained models. They say nothing about
        other seeds.

    Raises:
        UsageError: Both are the same run.
        DataError: See `evaluate`; or no case could be scored for both.
        RunError: A run folder cannot be used.
        DiskError: The results cannot be written.
    """
    check_keywords(options, ComparisonKeywords)
    settings = EvaluationOptions.of(**options)
    runs = [Run.of(run) for run in (run_a, run_b)]
    if runs[0].path.resolve() == runs[1].path.resolve():
        raise UsageError(f"Expected two different runs, got {runs[0].shown} twice.", code="LEX-USE-082")
    named = dict(zip(run_names([run.path for run in runs]), runs, strict=True))
    index = open_for_table(named, data, settings)
    return compare_on(index, named, settings, out=None if out is None else Path(out), progress=progress)


def compare_on(
    index: DatasetIndex,
    runs: Mapping[str, Run],
    options: EvaluationOptions,
    *,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two runs on a data set that is already open; see `compare`.

    Args:
        index: The data set.
        runs: The two runs by name.
        options: How both are evaluated; without `average_with`.
        out: Folder for the results; None writes nothing.
        progress: Called after each case.

    Raises:
        UsageError: The options average the runs with another.
    """
    if options.average_with is not None:
        raise UsageError(
            "A comparison needs two single runs; `average_with` cannot be used.", code="LEX-USE-550"
        )
    place = tempfile.TemporaryDirectory(prefix="lexiseg-") if out is None else nullcontext(str(out))
    with place as path, result_folder(Path(path), COMPARISON_FILES) as folder:
        evaluations = evaluate_runs_into(folder, index, runs, options, progress=progress)
        a, b = _common_cases(*(read_cases(each.out / "cases.csv") for each in evaluations.values()))
        first, second = (evaluation.metrics for evaluation in evaluations.values())
        comparison = Comparison(
            runs=_run_pair(runs),
            data=str(index.root),
            split=options.split,
            flip_average=options.flip_average,
            n=len(b),
            pooled=(first.pooled_dice, second.pooled_dice),
            groups=_groups(a, b, seed=options.seed),
            most=most_different(_dice(a), _dice(b), shown=_SHOWN),
            few_cases=few_cases(patients_of(b)),
            notices=_notices({"A": first, "B": second}),
            failed=tuple(sorted({case.id for metrics in (first, second) for case in metrics.failed})),
        )
        folder.write_text(folder.path / "differences.csv", _differences(a, b))
        if out is not None:
            changes = _changes(index, runs, options, (a, b))
            page = build_comparison(
                comparison, (a, b), by_size=second.by_size, changes=changes,
                command=_command(index, runs, options, out),
            )  # fmt: skip
            folder.write_text(folder.path / "comparison.html", page)
        # Last: its presence means that the comparison is complete.
        folder.write_text(folder.path / "comparison.json", record_text(comparison))
    return comparison


def _common_cases(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of two tables for the cases in both, in the order of the second.

    Raises:
        DataError: There is none.
    """
    both = b.index[b.index.isin(a.index)]
    if not len(both):
        raise DataError(
            "No case could be scored for both runs, so there is nothing to compare.", code="LEX-DATA-142"
        )
    return a.loc[both], b.loc[both]


def _changes(
    index: DatasetIndex,
    runs: Mapping[str, Run],
    options: EvaluationOptions,
    cases: tuple[pd.DataFrame, pd.DataFrame],
) -> list[CaseChange]:
    """Return the cases that the page shows, predicted again by both runs."""
    a, b = (_dice(of_run) for of_run in cases)
    models = [
        ModelMasks(title=title, predictor=Predictor(run, options), dice=dice)
        for title, run, dice in zip("AB", runs.values(), (a, b), strict=True)
    ]
    return draw_changes({case: a[case] - b[case] for case in a}, models, index, options.split)


def _command(index: DatasetIndex, runs: Mapping[str, Run], options: EvaluationOptions, out: Path) -> str:
    """Return the command line that compares the same."""
    command = ["lexiseg", "compare", *(run.shown for run in runs.values()), str(index.root)]
    command += ["--split", options.split, "--out", str(out)]
    return shlex.join([*command, *options_of_command(options)])


def _notices(metrics: Mapping[str, Metrics]) -> tuple[str, ...]:
    """Return what limits the scores of the runs, each with the runs of which it is said."""
    said: dict[str, list[str]] = {}
    for letter, of_run in metrics.items():
        for notice in filter(None, (of_run.in_sample, *data_notices(of_run))):
            said.setdefault(notice, []).append(letter)
    return tuple(f"{' and '.join(letters)}: {notice}" for notice, letters in said.items())


def _run_pair(runs: Mapping[str, Run]) -> RunPair:
    a, b = (ComparedRun(name=name, folder=run.shown) for name, run in runs.items())
    return RunPair(a=a, b=b)


def _groups(a: pd.DataFrame, b: pd.DataFrame, *, seed: int) -> tuple[GroupDifference, ...]:
    """Return the paired difference in every group of cases; both tables have the same cases in one order."""
    groups: list[GroupDifference] = []
    for name, members in case_groups(b).items():
        ours, theirs = a["dice"].to_numpy()[members], b["dice"].to_numpy()[members]
        difference = paired_difference(ours, theirs, patients_of(b[members]), seed=seed)
        groups.append(
            GroupDifference(
                group=name,
                n=int(members.sum()),
                mean_a=float(ours.mean()),
                mean_b=float(theirs.mean()),
                **asdict(difference),
                p_holm=difference.p_value,
            )
        )
    return _adjusted(groups)


def _adjusted(groups: Sequence[GroupDifference]) -> tuple[GroupDifference, ...]:
    """Return the groups with the p-values of the strata adjusted by Holm; all cases stand alone."""
    strata = [group for group in groups if group.group != ALL]
    adjusted = dict(
        zip((group.group for group in strata), holm([group.p_value for group in strata]), strict=True)
    )
    return tuple(
        group.model_copy(update={"p_holm": adjusted.get(group.group, group.p_holm)}) for group in groups
    )


def _dice(cases: pd.DataFrame) -> dict[str, float]:
    return {str(case): float(value) for case, value in cases["dice"].items()}


def _differences(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Return the differences case by case as CSV; both tables have the same cases in one order."""
    columns = {name: b[name] for name in ("patient", "tercile", "lesions")}
    table = pd.DataFrame(
        {**columns, "dice_a": a["dice"], "dice_b": b["dice"], "difference": a["dice"] - b["dice"]}
    )
    table.index = table.index.map(cell)
    table["patient"] = table["patient"].map(cell, na_action="ignore")
    return str(table.to_csv(float_format="%.6g", lineterminator="\n"))
