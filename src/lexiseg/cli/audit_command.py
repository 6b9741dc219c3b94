"""The command `lexiseg audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import SplitName, narrator, say
from lexiseg.systems.registry import names


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


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
