"""The command `lexiseg train`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import narrator, say
from lexiseg.errors import DiskError
from lexiseg.systems.registry import DEFAULT, names, systems


class _Unmasked(StrEnum):
    WORDS = "words"
    PSEUDO_LABELS = "pseudo_labels"
    LEAVE_OUT = "leave_out"


def _one_of(known: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """Return the check of an option that takes one of some names."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(known)}.")
        return value

    return check


#: "stpnet (STPNet), ..." and "stpnet compact: small, trains on a CPU; ...", for `--help`.
_MODELS = ", ".join(dict.fromkeys(f"{system.name} ({system.title})" for system in systems()))
_PRESETS = "; ".join(f"{system.name} {system.preset}: {system.summary}" for system in systems())


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Data set folder: images, masks and, if there are, report sentences."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    model: Annotated[
        str | None,
        typer.Option(
            callback=_one_of(names()), help=rf"The system to train: {_MODELS}. \[default: {DEFAULT}]"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            callback=_one_of(tuple(dict.fromkeys(system.preset for system in systems()))),
            help=rf"Which form of the system. {_PRESETS}. \[default: the first one listed]",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help=r"Where words come from: reports (a sheet), concepts (measured on masks), none, or a file "
            r"made by `data describe`. \[default: reports if there is a sheet, else concepts]"
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help=r"Vocabulary: chest, polyp, or a YAML file. \[default: the one that reads the sheet]"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=r"Passes over the training images. \[default: 40]")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget instead of epochs.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps instead of epochs.")] = None,
    masks: Annotated[
        float | None,
        typer.Option(
            help="Share of the training masks that are used, such as 0.05; the others are hidden by the seed."
        ),
    ] = None,
    unmasked: Annotated[
        _Unmasked | None,
        typer.Option(
            help=r"What training images without mask do: teach through their words, teach through the "
            r"network's own masks, or nothing. \[default: words]"
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help=r"Height and width in pixels. \[default: 224]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help=r"Images per step. \[default: the preset's]")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help=r"timm encoder, of compact presets. \[default: tf_efficientnet_lite0]"),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help=r"minilm (installed), a Hugging Face name, a folder. "
            r"\[default: the preset's]"
        ),
    ] = None,
    encoder_weights: Annotated[
        str | None,
        typer.Option(
            help=r"imagenet, none, or a weights file; for systems that are built on a CLIPSeg its Hugging "
            r"Face name or folder. \[default: the preset's]"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help=r"Seed of everything random. \[default: 0]")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help=r"Processes that load data. \[default: by cores]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with any field of the configuration; options win over it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")
    ] = False,
) -> None:
    """Train a model on a folder of images and masks."""
    from lexiseg import train as run_training

    try:
        run = run_training(
            data,
            out,
            resume=resume,
            config_file=config,
            console=narrator(),
            model=model,
            preset=preset,
            text=text,
            vocabulary=vocabulary,
            epochs=epochs,
            max_minutes=max_minutes,
            steps=steps,
            masks=masks,
            unmasked=None if unmasked is None else unmasked.value,
            image_size=image_size,
            batch_size=batch_size,
            encoder=encoder,
            text_encoder=text_encoder,
            encoder_weights=encoder_weights,
            seed=seed,
            workers=workers,
        )
    except KeyboardInterrupt as interrupt:
        # Lightning does not let two interrupts pass; the state of the last segment is on disk.
        if (out / "run.json").is_file():
            advice = f"Go on with: lexiseg train {data} --out {out} --resume"
        else:
            advice = "Nothing was written yet."
        raise KeyboardInterrupt(advice) from interrupt
    except DiskError as error:
        if not (out / "run.json").is_file():
            raise
        raise DiskError(
            f"{error} The run in {out} has begun, so add --resume.", code="LEX-DISK-008"
        ) from error
    say(f"The run is in {run.path}. Next: lexiseg evaluate {run.path} {data} --out {run.path}/test")
