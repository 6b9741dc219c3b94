"""The commands that compare: audit and compare, and the tables they share with evaluate."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lexiseg.cli.common_options import (
    RUN_HELP,
    Device,
    FlipAverage,
    SplitName,
    Tolerance,
    narrator,
    progress_bar,
    say,
)
from lexiseg.errors import PartialFailureError
from lexiseg.systems.registry import names

if TYPE_CHECKING:
    from lexiseg.evaluation.comparison_file import Comparison
    from lexiseg.evaluation.evaluate import Evaluation


def audit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the audit; machines that share it share the work.")],
    models: Annotated[
        str | None,
        typer.Option(
            help=rf"Systems to audit, by commas: {', '.join(names(without_text=True))}. \[default: all]"
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            help=r"What to teach with, by commas: none, pseudo_labels, shuffled, reports, concepts. "
            r"\[default: all that the data set allows]"
        ),
    ] = None,
    arms_file: Annotated[
        Path | None, typer.Option(help="YAML file with further arms, see the page on the audit.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per arm; a verdict needs at least 2.")] = 3,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help=r"Passes over the training images, the same steps in every arm. \[default: 40]"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps per arm instead.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget per arm instead; less fair.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help=r"Height and width in pixels. \[default: 224]")
    ] = None,
    masks: Annotated[
        float | None,
        typer.Option(
            help=r"Share of the training masks that are used, above 0 to 1; what the other images do "
            r"depends on the arm. \[default: all]"
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=2, help=r"Train on this many images, the same in every arm. \[default: all]"),
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Which split to compare on.")] = SplitName.TEST,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with further fields of the configuration, for all arms.")
    ] = None,
    stale_minutes: Annotated[
        float,
        typer.Option(min=0.1, help="Minutes of silence after which another process's arm is taken over."),
    ] = 10.0,
) -> None:
    """Find out what the text bought: train arms that differ only in their words, and compare them."""
    from lexiseg import audit as run_audit

    try:
        found = run_audit(
            data,
            out,
            models=None if models is None else _names(models),
            arms=None if arms is None else _names(arms),
            arms_file=arms_file,
            seeds=seeds,
            epochs=epochs,
            steps=steps,
            max_minutes=max_minutes,
            image_size=image_size,
            masks=masks,
            limit=limit,
            split=split.value,
            config_file=config,
            stale_minutes=stale_minutes,
            console=narrator(),
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("Give the same command again to go on.") from interrupt
    for verdict in found.result.verdicts:
        say(f"{verdict.model}: {verdict.words}")
    for comparison in found.result.comparisons:
        if comparison.group == "all":
            say(f"  {comparison.model}: {comparison.words}")
    say(f"Report: {out / 'audit.html'}")


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help=RUN_HELP)],
    run_b: Annotated[
        Path, typer.Argument(metavar="RUN_B", help="The run or model that it is compared with.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder.")],
    split: Annotated[SplitName, typer.Option(help="Which split to compare on.")] = SplitName.TEST,
    out: Annotated[
        Path | None,
        typer.Option(help=r"Folder for both evaluations and the comparison. \[default: nothing is kept]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    device: Device = "cpu",
    flip_average: FlipAverage = False,
    tolerance: Tolerance = 2.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap intervals.")] = 0,
) -> None:
    """Compare two runs case by case: difference with interval, by lesion size, and where they differ most."""
    from lexiseg import compare as run_comparison

    with progress_bar() as progress:
        task = progress.add_task("evaluating", total=None)
        found = run_comparison(
            run_a,
            run_b,
            data,
            split=split.value,
            out=out,
            device=device,
            flip_average=flip_average,
            tolerance=tolerance,
            seed=seed,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        _show_comparison(found)
    if found.failed:
        raise PartialFailureError(
            f"{len(found.failed)} cases could not be scored: {', '.join(found.failed[:5])}.",
            code="LEX-PART-006",
        )


def show_runs(evaluations: Mapping[str, Evaluation], out: Path) -> None:
    """Print one row per run.

    Args:
        evaluations: Evaluation per run's name, as `evaluate_runs` returns them.
        out: The folder that they are in.
    """
    from lexiseg.evaluation.run_table import run_row

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
            f"{row.dice_low:.3f} to {row.dice_high:.3f}",
            *("-" if score is None else f"{score:.3f}" for score in scores),
        )
    _console().print(table)
    say("small, medium, large: Dice by lesion size; words: retrieval accuracy, mean of the factors.")
    say(f"Table: {out / 'table.csv'}; each run's report is in the folder of its name below {out}.")


def _show_comparison(found: Comparison) -> None:
    a, b = found.runs.a.name, found.runs.b.name
    say(f"A: {a}; B: {b}; Dice of {found.n} cases, {found.split} split; A - B.")
    table = _table("cases", "n", "A", "B", "difference", "95 % interval", "p (Holm)")
    for group in found.groups:
        low, high = group.ci95
        table.add_row(
            group.group,
            str(group.n),
            f"{group.mean_a:.4f}",
            f"{group.mean_b:.4f}",
            f"{group.mean:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            f"{group.p_holm:.3g}",
        )
    _console().print(table)
    for way, cases in (("better", found.most.better), ("worse", found.most.worse)):
        if cases:
            listed = ", ".join(f"{case.id} ({case.difference:+.3f})" for case in cases)
            say(f"A is {way} most on: {listed}")
    say("These are two trained models: what another seed would give is not in the interval.")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _console() -> Console:
    """Return a console that is wide where no terminal limits it: a log keeps rows whole."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
