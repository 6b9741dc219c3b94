"""The command `lexiseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.commands.train_options import (
    Accumulate,
    BatchSize,
    Config,
    Data,
    Device,
    Devices,
    Encoder,
    EncoderWeights,
    Epochs,
    Fit,
    ImageSize,
    Masks,
    MaxMinutes,
    Model,
    Out,
    Precision,
    Preset,
    Resume,
    Seed,
    StartFrom,
    Steps,
    Text,
    TextEncoder,
    Unmasked,
    Vocabulary,
    Workers,
)
from lexiseg.cli.options.common import AllowLeak, DryRun, Shared
from lexiseg.cli.terminal.messages import progress_console, say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.errors import DiskError, UsageError, rebuild_error
from lexiseg.open_files import NO_HANDLE_CODE
from lexiseg.printable import command_word

if TYPE_CHECKING:
    from lexiseg.training.options import TrainOptions


def train(
    data: Data,
    out: Out,
    model: Model = None,
    preset: Preset = None,
    start_from: StartFrom = None,
    text: Text = None,
    vocabulary: Vocabulary = None,
    epochs: Epochs = None,
    max_minutes: MaxMinutes = None,
    steps: Steps = None,
    masks: Masks = None,
    unmasked: Unmasked = None,
    image_size: ImageSize = None,
    fit: Fit = None,
    batch_size: BatchSize = None,
    encoder: Encoder = None,
    text_encoder: TextEncoder = None,
    encoder_weights: EncoderWeights = None,
    seed: Seed = None,
    workers: Workers = None,
    device: Device = None,
    precision: Precision = None,
    devices: Devices = None,
    accumulate: Accumulate = None,
    config: Config = None,
    allow_leak: AllowLeak = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    shared: Shared = False,
) -> None:
    """Train a model on a folder of images and masks."""
    options: TrainOptions = {
        "model": model,
        "preset": preset,
        "start_from": start_from,
        "text": text,
        "vocabulary": vocabulary,
        "epochs": epochs,
        "max_minutes": max_minutes,
        "steps": steps,
        "masks": masks,
        "unmasked": unmasked,
        "image_size": image_size,
        "fit": fit,
        "batch_size": batch_size,
        "encoder": encoder,
        "text_encoder": text_encoder,
        "encoder_weights": encoder_weights,
        "seed": seed,
        "workers": workers,
        "accelerator": device,
        "precision": precision,
        "devices": devices,
        "accumulate": accumulate,
        "allow_leak": allow_leak or None,
    }
    if dry_run:
        if resume:
            raise UsageError(
                "--dry-run says what a new training would do. Leave out --resume.", code="LEX-USE-1170"
            )
        _show_forecast(data, out, config, options)
    else:
        _train(data, out, config, options, resume=resume)


def _show_forecast(data: Path, out: Path, config: Path | None, options: TrainOptions) -> None:
    """Say what a training would do."""
    from lexiseg import forecast_training

    forecast = forecast_training(data, out, config_file=config, console=progress_console(), **options)
    show_result(forecast)
    for sentence in forecast.sentences():
        say(sentence)


def _train(data: Path, out: Path, config: Path | None, options: TrainOptions, *, resume: bool) -> None:
    """Train, and say how to go on, also where something stops it.

    Raises:
        KeyboardInterrupt: A person stopped it; the message says how it goes on.
        DiskError: There is no space or no permission.
    """
    from lexiseg import train as run_training

    try:
        run = run_training(
            data, out, resume=resume, config_file=config, console=progress_console(), **options
        )
    except KeyboardInterrupt as interrupt:
        # Lightning does not let two interrupts pass; the state of the last segment is on disk.
        if (out / "run.json").is_file():
            advice = f"Continue with: lexiseg train {command_word(data)} --out {command_word(out)} --resume"
        else:
            advice = "Nothing was written yet."
        raise KeyboardInterrupt(advice) from interrupt
    except DiskError as error:
        if not (out / "run.json").is_file():
            raise
        message = f"{error} The run in {out} has started, so add --resume."
        if error.code == NO_HANDLE_CODE:  # no fault of the disk, so it keeps its code
            raise rebuild_error(DiskError, message, error.code) from error
        raise DiskError(message, code="LEX-DISK-008") from error
    show_result({"run": run.path, "training": run.manifest.training})
    say(f"The run is in {run.path}. Next: lexiseg calibrate {command_word(run.path)} {command_word(data)}")
