"""The command `lexiseg train`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.common_options import (
    PRECISION_NAMES,
    AllowLeak,
    DryRun,
    PrecisionName,
    Shared,
    name_parser,
    progress_console,
    say,
)
from lexiseg.cli.output_mode import show_result
from lexiseg.errors import DiskError, UsageError
from lexiseg.systems.registry import DEFAULT, names, systems

if TYPE_CHECKING:
    from lexiseg.training.options import TrainOptions


class _DeviceName(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class _Unmasked(StrEnum):
    WORDS = "words"
    PSEUDO_LABELS = "pseudo_labels"
    LEAVE_OUT = "leave_out"


class _Fit(StrEnum):
    STRETCH = "stretch"
    PAD = "pad"
    TILES = "tiles"
    AUTO = "auto"


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
            metavar="DATA", help="Data set folder with images, masks and, if you have them, report sentences."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to create.")],
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
            help=rf"Version of the system. {_PRESETS}. \[default: the first of the system]",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help=r"Source of the words: reports (a sheet), concepts (measured on masks), none, or a file "
            r"made by `data describe`. \[default: reports if every training and validation image has one, "
            r"concepts if none has; an error if only some have one]"
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help=r"Vocabulary: chest, polyp, or a YAML file. \[default: the one that can read the sheet]"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help=r"Number of passes over the training images. \[default: 40]")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Training time in minutes, instead of epochs.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of training steps, instead of epochs.")
    ] = None,
    masks: Annotated[
        float | None,
        typer.Option(
            help="Share of the training masks to use, such as 0.05. The seed decides which masks are hidden."
        ),
    ] = None,
    unmasked: Annotated[
        _Unmasked | None,
        typer.Option(
            help=r"How to use training images without a mask: words (teachers draw masks that fit their "
            r"words), pseudo_labels (teachers draw masks without words), leave_out. \[default: words, if "
            r"cross-validation shows that they help]"
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help=r"Height and width in pixels. \[default: 224]")
    ] = None,
    fit: Annotated[
        _Fit | None,
        typer.Option(
            help=r"How an image fits the square picture that the network sees: stretch, pad (its aspect "
            r"ratio is kept), tiles (windows at its own pixels), or auto (by the sizes of images and "
            r"lesions). \[default: stretch]"
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help=r"Number of images per training step. \[default: the preset's]")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help=r"Name of a timm encoder, for compact presets only. \[default: tf_efficientnet_lite0]"
        ),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help=r"Text encoder: minilm (installed with Lexiseg), a Hugging Face name, or a folder. "
            r"\[default: the preset's]"
        ),
    ] = None,
    encoder_weights: Annotated[
        str | None,
        typer.Option(
            help=r"Weights of the encoder: imagenet, none, or a weights file. Systems that are built on a "
            r"CLIPSeg take its Hugging Face name or folder. \[default: the preset's]"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help=r"Seed of all random choices. \[default: 0]")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help=r"Number of processes that load data. \[default: chosen by the number of cores]"
        ),
    ] = None,
    device: Annotated[
        _DeviceName | None,
        typer.Option(
            parser=name_parser(_DeviceName),
            metavar="|".join(_DeviceName),
            help=r"Where to train: auto (on a GPU if torch finds one, else on the CPU), cpu, cuda. "
            r"\[default: auto]",
        ),
    ] = None,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(
            parser=name_parser(PrecisionName),
            metavar=PRECISION_NAMES,
            help=r"Type of the numbers to compute with; auto: bf16 on a GPU, and on the CPU the faster one. "
            r"\[default: auto]",
        ),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=r"Number of processes on this machine that share each batch, one per device. \[default: 1]",
        ),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=r"Number of steps whose gradients are added up before the weights change. \[default: 1]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with any fields of the configuration. An option on the command line replaces "
            "the field of the file."
        ),
    ] = None,
    allow_leak: AllowLeak = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --out.")] = False,
    dry_run: DryRun = False,
    shared: Shared = False,
) -> None:
    """Train a model on a folder of images and masks."""
    from lexiseg import forecast_training
    from lexiseg import train as run_training

    options: TrainOptions = {
        "model": model,
        "preset": preset,
        "text": text,
        "vocabulary": vocabulary,
        "epochs": epochs,
        "max_minutes": max_minutes,
        "steps": steps,
        "masks": masks,
        "unmasked": None if unmasked is None else unmasked.value,
        "image_size": image_size,
        "fit": None if fit is None else fit.value,
        "batch_size": batch_size,
        "encoder": encoder,
        "text_encoder": text_encoder,
        "encoder_weights": encoder_weights,
        "seed": seed,
        "workers": workers,
        "accelerator": None if device is None else device.value,
        "precision": None if precision is None else precision.value,
        "devices": devices,
        "accumulate": accumulate,
        "allow_leak": allow_leak or None,
    }
    if dry_run:
        if resume:
            raise UsageError(
                "--dry-run says what a new training would do. Leave out --resume.", code="LEX-USE-1170"
            )
        forecast = forecast_training(data, out, config_file=config, console=progress_console(), **options)
        show_result(forecast)
        for sentence in forecast.sentences():
            say(sentence)
        return
    try:
        run = run_training(
            data, out, resume=resume, config_file=config, console=progress_console(), **options
        )
    except KeyboardInterrupt as interrupt:
        # Lightning does not let two interrupts pass; the state of the last segment is on disk.
        if (out / "run.json").is_file():
            advice = f"Continue with: lexiseg train {data} --out {out} --resume"
        else:
            advice = "Nothing was written yet."
        raise KeyboardInterrupt(advice) from interrupt
    except DiskError as error:
        if not (out / "run.json").is_file():
            raise
        raise DiskError(
            f"{error} The run in {out} has started, so add --resume.", code="LEX-DISK-008"
        ) from error
    show_result({"run": run.path, "training": run.manifest.training})
    say(f"The run is in {run.path}. Next: lexiseg evaluate {run.path} {data} --out {run.path}/test")
