"""Two runs on the same cases: where one is better, by how much, and whether that is more than chance."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lexiseg.data import Split
from lexiseg.errors import DataError, UsageError
from lexiseg.evaluation.evaluate import Evaluation, Progress
from lexiseg.evaluation.metrics import DEFAULT_TOLERANCE
from lexiseg.evaluation.several import evaluate_runs
from lexiseg.evaluation.statistics import holm, paired_difference
from lexiseg.evaluation.tables import ALL, case_groups, most_different, patients_of, read_cases
from lexiseg.files import write_json, write_text
from lexiseg.runs.run import Run

#: Cases named in each direction.
_SHOWN = 5


def compare(
    run_a: Run | str | Path,
    run_b: Run | str | Path,
    data: str | Path,
    *,
    split: Split = "test",
    out: str | Path | None = None,
    device: str = "cpu",
    flip_average: bool = False,
    tolerance: float = DEFAULT_TOLERANCE,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate two runs on one split and compare them case by case.

    Args:
        run_a: A run, or its folder.
        run_b: Another one; differences are a - b.
        data: A data set folder.
        split: "train", "val" or "test".
        out: Folder for both evaluations, `comparison.json` and `differences.csv`; None writes nothing.
        device: Torch device of the prediction.
        flip_average: Whether both predict with flip averaging, see `evaluate`.
        tolerance: Boundary error that surface Dice forgives in both evaluations, see `evaluate`.
        seed: Seed of the bootstrap intervals.
        progress: Called after each case, with the cases of both runs counted.

    Returns:
        JSON-able: `runs`, `data`, `split`, `flip_average`, `n`; `groups`, per group of cases the means, the
        paired difference with its 95 % interval over patients, its Wilcoxon test, and that test adjusted by
        Holm over the strata (all cases stand alone); `most`, the cases that differ most, in both directions;
        `failed`. The interval and the test are about these two trained models; they say nothing about other
        seeds.

    Raises:
        UsageError: Both are the same run.
        DataError: See `evaluate`; or no case could be scored for both.
        RunError: A run folder cannot be used.
        DiskError: The results cannot be written.
    """
    runs = [Run.of(run) for run in (run_a, run_b)]
    if runs[0].path.resolve() == runs[1].path.resolve():
        raise UsageError(f"Expected two runs to compare, got {runs[0].shown} twice.", code="LEX-USE-082")
    place = tempfile.TemporaryDirectory(prefix="lexiseg-") if out is None else nullcontext(str(out))
    with place as folder:
        evaluations = evaluate_runs(
            runs,
            data,
            split=split,
            out=folder,
            device=device,
            flip_average=flip_average,
            tolerance=tolerance,
            seed=seed,
            progress=progress,
        )
        tables = [read_cases(evaluation.out / "cases.csv") for evaluation in evaluations.values()]
    comparison = _comparison(list(evaluations.values()), tables, seed=seed)
    names = list(evaluations)
    comparison = {
        "runs": {side: {"name": n, "folder": r.shown} for side, n, r in zip("ab", names, runs, strict=True)},
        "data": str(data),
        "split": split,
        "flip_average": flip_average,
        **comparison,
    }
    if out is not None:
        write_text(Path(out) / "differences.csv", _differences(tables))
        write_json(Path(out) / "comparison.json", comparison)
    return comparison


def _comparison(
    evaluations: Sequence[Evaluation], tables: Sequence[pd.DataFrame], *, seed: int
) -> dict[str, Any]:
    a, b = _paired(tables)
    if not len(b):
        raise DataError(
            "No case could be scored for both runs, so there is nothing to compare.", code="LEX-DATA-142"
        )
    return {
        "n": len(b),
        "pooled": [evaluation.metrics["pooled_dice"] for evaluation in evaluations],
        "groups": _groups(a, b, seed=seed),
        "most": most_different(_dice(a), _dice(b), shown=_SHOWN),
        "failed": sorted({failure.id for evaluation in evaluations for failure in evaluation.failed}),
    }


def _groups(a: pd.DataFrame, b: pd.DataFrame, *, seed: int) -> list[dict[str, Any]]:
    """Return the paired difference in every group of cases."""
    groups: list[dict[str, Any]] = []
    for name, members in case_groups(b).items():
        ours, theirs = a["dice"].to_numpy()[members], b["dice"].to_numpy()[members]
        difference = paired_difference(ours, theirs, patients_of(b[members]), seed=seed)
        groups.append(
            {
                "group": name,
                "n": int(members.sum()),
                "mean_a": float(ours.mean()),
                "mean_b": float(theirs.mean()),
                **asdict(difference),
                "ci95": list(difference.ci95),
                "p_holm": difference.p_value,
            }
        )
    strata = [group for group in groups if group["group"] != ALL]
    for group, p in zip(strata, holm([group["p_value"] for group in strata]), strict=True):
        group["p_holm"] = p
    return groups


def _dice(cases: pd.DataFrame) -> dict[str, float]:
    return {str(case): float(value) for case, value in cases["dice"].items()}


def _paired(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with the cases that both have, in one order; both runs saw the same files."""
    a, b = tables
    both = b.index[b.index.isin(a.index)]
    return a.loc[both], b.loc[both]


def _differences(tables: Sequence[pd.DataFrame]) -> str:
    a, b = _paired(tables)
    columns = {name: b[name] for name in ("patient", "tercile", "lesions")}
    table = pd.DataFrame(
        {**columns, "dice_a": a["dice"], "dice_b": b["dice"], "difference": a["dice"] - b["dice"]}
    )
    return str(table.to_csv(float_format="%.6g", lineterminator="\n"))
