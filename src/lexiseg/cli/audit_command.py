"""The command `lexiseg audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import AllowLeak, Shared, SplitName, progress_console, say
from lexiseg.cli.output_mode import show_result
from lexiseg.systems.registry import names


def audit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Output folder. Several machines can work on the same folder at the same time.",
        ),
    ],
    models: Annotated[
        str | None,
        typer.Option(
            help=rf"Systems to audit, separated by commas: {', '.join(names(without_text=True))}. "
            rf"\[default: all]"
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            help=r"Arms (what the models train with), separated by commas: none, pseudo_labels, shuffled, "
            r"reports, concepts. "
            r"\[default: all that the data set allows]"
        ),
    ] = None,
    arms_file: Annotated[
        Path | None, typer.Option(help="YAML file with further arms, see the documentation of the audit.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of trainings per arm; a verdict needs at least 2.")
    ] = 3,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=r"Number of passes over the training images; every arm gets the same number of steps. "
            r"\[default: 40]",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of training steps per arm, instead of epochs.")
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Training time per arm in minutes, instead of epochs; a slower arm then gets fewer steps.",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help=r"Height and width in pixels. \[default: 224]")
    ] = None,
    masks: Annotated[
        float | None,
        typer.Option(
            help=r"Share of the training masks to use, above 0 and up to 1. Each arm uses the images "
            r"without a "
            r"mask in its own way. \[default: all]"
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=2, help=r"Train on this many images, the same in every arm. \[default: all]"),
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Split to compare on.")] = SplitName.TEST,
    allow_leak: AllowLeak = False,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with further fields of the configuration, for all arms.")
    ] = None,
    stale_minutes: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="If another process gives no signal for this many minutes, this process takes over its arm.",
        ),
    ] = 10.0,
    shared: Shared = False,
) -> None:
    """Measure the effect of text: train models that differ only in their words, and compare them."""
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
            allow_leak=allow_leak,
            config_file=config,
            stale_minutes=stale_minutes,
            console=progress_console(),
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt("Run the same command again to continue.") from interrupt
    show_result(found.result)
    for verdict in found.result.verdicts:
        say(f"{verdict.model}: {verdict.words}")
    for comparison in found.result.comparisons:
        if comparison.group == "all":
            say(f"  {comparison.model}: {comparison.words}")
    say(f"Report: {out / 'audit.html'}")


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
