"""The tables that `evaluate` and `compare` print."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from lexiseg.cli.terminal.messages import result_console, say
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.evaluation.comparison.comparison_file import Comparison
    from lexiseg.evaluation.evaluate import Evaluation


def interval_text(interval: tuple[float, float] | None, form: str = ".4f") -> str:
    """Return a 95 % interval as words, or that there is none.

    Args:
        interval: Lower and upper end; None: there are too few cases.
        form: Format of each end.
    """
    if interval is None:
        return "no interval, too few cases"
    return f"95 % interval {interval[0]:{form}} to {interval[1]:{form}}"


def _ends(interval: tuple[float | None, float | None] | None, form: str) -> str:
    """Return the cell of an interval; a dash where there is none."""
    low, high = interval or (None, None)
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def show_runs(evaluations: Mapping[str, Evaluation], out: Path) -> None:
    """Print one row per run.

    Args:
        evaluations: Evaluation per run's name, as `evaluate_runs` returns them.
        out: The folder that they are in.
    """
    from lexiseg.evaluation.comparison.run_table import run_row

    # Three decimals, so that a row fits into 80 columns; the files hold more.
    table = _table("run", "Dice", "95 % interval", "pooled", "small", "medium", "large", "IoU", "words")
    for name, evaluation in evaluations.items():
        row = run_row(name, evaluation.metrics)
        read = [accuracy for accuracy in row.retrieval.values() if accuracy is not None]
        scores = [row.pooled_dice, row.dice_small, row.dice_medium, row.dice_large, row.iou]
        scores.append(sum(read) / len(read) if read else None)
        table.add_row(
            row.run,
            f"{row.dice:.3f}",
            _ends((row.dice_low, row.dice_high), ".3f"),
            *("-" if score is None else f"{score:.3f}" for score in scores),
        )
    _console().print(table)
    say("small, medium, large: Dice by lesion size; words: retrieval accuracy, mean of the factors.")
    say(f"Table: {out / 'table.csv'}; each run's report is in the folder of its name below {out}.")


def show_comparison(found: Comparison) -> None:
    """Print a row per group of cases, then the cases with the largest differences.

    Args:
        found: The comparison of two runs.
    """
    a, b = found.runs.a.name, found.runs.b.name
    say(f"A: {a}; B: {b}; Dice of {counted(found.n, 'case')}, {found.split} split; A - B.")
    table = _table("cases", "n", "A", "B", "difference", "95 % interval", "p (Holm)")
    for group in found.groups:
        table.add_row(
            group.group,
            str(group.n),
            f"{group.mean_a:.4f}",
            f"{group.mean_b:.4f}",
            f"{group.mean:+.4f}",
            _ends(group.ci95, "+.4f"),
            f"{group.p_holm:.3g}",
        )
    _console().print(table)
    for way, cases in (("better", found.most.better), ("worse", found.most.worse)):
        if cases:
            listed = ", ".join(f"{case.id} ({case.difference:+.3f})" for case in cases)
            say(f"Cases in which A is {way} by the most: {listed}")
    say("The interval holds for these two trained models; it does not include the variation between seeds.")
    for notice in (*found.notices, found.few_cases):
        if notice is not None:
            say(notice)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _console() -> Console:
    """Return a console; without a terminal it is 140 columns wide, so that a log does not break rows."""
    return result_console(highlight=False, width=None if sys.stdout.isatty() else 140)
