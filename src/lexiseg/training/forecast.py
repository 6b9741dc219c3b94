"""What a training would do: which images and words, how many steps, how long, which files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Unpack

from rich.console import Console

from lexiseg.console import PrintableConsole, duration_text
from lexiseg.data.patient_groups import FOLDS
from lexiseg.data.sample import DatasetIndex
from lexiseg.evaluation.fitting.training_images import MOST_IMAGES
from lexiseg.inference.reliability.training_images import FEWEST_IMAGES
from lexiseg.json_records import Record
from lexiseg.printable import counted
from lexiseg.runs.manifest import CARD_FILE
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import CurveLogger, TrainConfig
from lexiseg.training.config import make_config
from lexiseg.training.distillation.soft_targets import drawing_seconds
from lexiseg.training.distributed.global_batch import check_batch_norms
from lexiseg.training.distributed.ranks import Ranks, check_devices, uses_cuda
from lexiseg.training.few_masks.labellers import STUDENT_TIME_SHARE, fold_numbers, labeller_steps
from lexiseg.training.few_masks.pseudo_labelling import MOST_CHECKED
from lexiseg.training.fit_choice import kept_pixels, pictures_per_image
from lexiseg.training.inputs.data_loaders import most_scored
from lexiseg.training.loop import Training
from lexiseg.training.machine.resources import settle_resources
from lexiseg.training.machine.step_times import StepTimes, step_times
from lexiseg.training.options import TrainOptions
from lexiseg.training.preparation import prepare_training
from lexiseg.training.steps.curve_loggers import (
    MLFLOW_FOLDER,
    TENSORBOARD_FOLDER,
    WANDB_FOLDER,
)
from lexiseg.training.train import open_for_training
from lexiseg.training.zone_atlas import MOST_FITTED, mirrored_axes, with_places

#: A pass without gradients takes about this share of a training step.
_FORWARD_SHARE = 1 / 3


class TrainingForecast(Record):
    """What a training would do; nothing is written.

    Attributes:
        data: Name of the data set.
        images: Images per split.
        with_mask: Number of training images with a mask.
        classes: Class names, the background first.
        model: The system.
        preset: Its preset.
        text: Source of the words: "reports", "concepts", "lmm" or "none".
        vocabulary: Name of the vocabulary; None without words.
        epochs: Passes over the training images.
        steps: Number of steps; an estimate where `max_minutes` sets the length.
        seconds_per_step: The mean of the training's phases, measured on images of noise.
        minutes: Estimate of the whole training: steps, validations, teachers, and what follows the last step.
        teacher_minutes: The part of it before the first step, in which teachers are trained and draw masks;
            0 without teachers.
        device: Where it would be computed.
        precision: "fp32" or "bf16".
        out: The run folder.
        files: Files and folders that it would write there, without those that only some data allow.
    """

    data: str
    images: dict[str, int]
    with_mask: int
    classes: tuple[str, ...]
    model: str
    preset: str
    text: str
    vocabulary: str | None
    epochs: float
    steps: int
    seconds_per_step: float
    minutes: float
    teacher_minutes: float
    device: str
    precision: str
    out: str
    files: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """Return the forecast for people, one sentence per subject."""
        images = ", ".join(f"{count} {split}" for split, count in self.images.items())
        words, first = "no words", ""
        if self.vocabulary is not None:
            words = f"words of {self.text}, vocabulary {self.vocabulary}"
        if self.teacher_minutes:
            before = duration_text(60 * self.teacher_minutes)
            first = f"; teachers take about {before} of it before the first step"
        return (
            f"Data: {self.data}; images: {images}; "
            f"{counted(self.with_mask, 'training image has', 'training images have')} a mask.",
            f"Model: {self.model} {self.preset}; classes: {', '.join(self.classes[1:])}; {words}.",
            f"Length: {counted(self.steps, 'step')}, {self.epochs:.1f} passes over the training images.",
            f"Time: about {duration_text(60 * self.minutes)} on {self.device} in {self.precision} "
            f"({self.seconds_per_step:.2f} s per step){first}.",
            f"Files in {self.out}: {', '.join(self.files)}; zone_atlas.safetensors and "
            "training_images.safetensors where the data allow them.",
        )


def forecast_training(
    data: str | Path,
    out: str | Path,
    *,
    config_file: str | Path | None = None,
    console: Console | None = None,
    **options: Unpack[TrainOptions],
) -> TrainingForecast:
    """Return what `lexiseg.train` would do with the same arguments; nothing is written.

    The data set is opened and checked, the words are read and the network is built as for the training, so
    that most errors of a training are found. A few steps are measured.

    Args:
        data: The data set's folder, in any known layout.
        out: The run folder that would be made.
        config_file: YAML file with fields of the system's configuration.
        console: Where assumptions are said; None says nothing.
        **options: As for `lexiseg.train`.

    Raises:
        DataError: The data set cannot be used.
        UsageError: An option is not possible, or the training needs more memory than is free.
        RunError: `out` exists.
        WeightsError: Encoder weights cannot be found.
    """
    console = console or PrintableConsole(quiet=True)
    out = Path(out)
    config = make_config(options, config_file)
    check_devices(config, None)
    Run.refuse_existing(out, resumable=True)
    index = open_for_training(data, config, console, resume=False)
    return forecast_on(index, config, out, console=console)


def forecast_on(
    index: DatasetIndex, config: TrainConfig, out: Path, *, console: Console | None = None
) -> TrainingForecast:
    """Return what `lexiseg.training.train.train_on` would do; nothing is written.

    Args:
        index: The data set.
        config: The configuration.
        out: The run folder that would be made.
        console: Where assumptions are said; None says nothing.

    Raises:
        DataError: The data set cannot be used.
        UsageError: The configuration does not fit the data set, or the training needs more memory than is
            free.
        WeightsError: Encoder weights cannot be found.
    """
    console = console or PrintableConsole(quiet=True)
    together = Ranks(size=config.devices, local_size=config.devices)
    found = prepare_training(index, config, console, ranks=together)
    plan, config = found.plan, found.config
    training = Training(found, out=out, resume=False, console=console)
    module = training.module()
    if config.devices > 1:
        check_batch_norms(module.network)
    pixels = kept_pixels(index, config)
    _, config = settle_resources(module, config, pixels=pixels, resume=False, console=console, ranks=together)
    device = "cuda" if uses_cuda(config) else "cpu"
    times = step_times(module.network, config, device=device)
    steps, student, seconds = _length(times, training, config)
    before = _teacher_minutes(training, config, step=seconds, picture=_picture_seconds(times, config))
    return TrainingForecast(
        data=index.name,
        images={split: len(index.split(split)) for split in ("train", "val", "test")},
        with_mask=len(found.use.with_mask),
        classes=index.class_names,
        model=config.model,
        preset=config.preset,
        text=plan.text,
        vocabulary=None if plan.vocabulary is None else plan.vocabulary.name,
        epochs=steps / training.steps_per_epoch,
        steps=steps,
        seconds_per_step=seconds,
        minutes=student + before,
        teacher_minutes=before,
        device=device,
        precision=config.precision,
        out=str(out),
        files=_files(training),
    )


def _length(times: StepTimes, training: Training, config: TrainConfig) -> tuple[int, float, float]:
    """Return the number of steps, the minutes without those of teachers, and the mean seconds of a step.

    Args:
        times: How long steps take.
        training: The training.
        config: Its configuration.
    """
    per_picture = _picture_seconds(times, config)
    validation = _pictures_between(training, config) * per_picture / training.segment_steps
    after = _pictures_after(training, config) * per_picture
    progress = training.progress
    if progress.total_steps is None:
        assert progress.max_minutes is not None
        # Shares of the minutes: a phase of fast steps has more of them.
        rate = sum(share / (seconds + validation) for share, seconds in times.phases)
        steps = max(1, math.floor(60 * progress.max_minutes * rate))
        return steps, progress.max_minutes + after / 60, 1 / rate - validation
    mean = sum(share * seconds for share, seconds in times.phases)
    total = progress.total_steps
    return total, (total * (mean + validation) + after) / 60, mean


def _pictures_between(training: Training, config: TrainConfig) -> float:
    """Return how many pictures the network sees in each validation between the steps."""
    samples = training.index.split("val")
    per_case = pictures_per_image(samples[:1], config)  # as the training reckons
    return min(len(samples), most_scored(round(per_case), config)) * per_case


def _pictures_after(training: Training, config: TrainConfig) -> float:
    """Return how many pictures the network sees after the last step.

    All validation cases are scored. Training and validation images are described, if there are enough, and
    the strength of a zone atlas is fitted on training images.
    """
    train, val = training.samples, training.index.split("val")
    pictures = len(val) * pictures_per_image(val, config)
    if min(len(train), len(val)) >= FEWEST_IMAGES:
        pictures += min(len(train), MOST_IMAGES) + min(len(val), MOST_IMAGES)
    masked = [position for position, sample in enumerate(train) if sample.mask is not None]
    words, by_labellers = training.plan.train, training.use.unmasked is not None
    if words is not None and not by_labellers and with_places(words, masked):
        pictures += min(len(masked), MOST_FITTED) * pictures_per_image(train, config)
    return pictures


def _picture_seconds(times: StepTimes, config: TrainConfig) -> float:
    """Return the seconds of a pass without gradients, for one picture."""
    return times.whole / config.batch_size * _FORWARD_SHARE


def _teacher_minutes(training: Training, config: TrainConfig, *, step: float, picture: float) -> float:
    """Return the minutes of teachers.

    Args:
        training: The training.
        config: Its configuration.
        step: Mean seconds of a step.
        picture: Seconds of a pass without gradients, for one picture.
    """
    if training.teachers:
        return drawing_seconds(training.teachers, config, images=len(training.samples)) / 60
    if training.use.unmasked is None:
        return 0.0
    folds = fold_numbers(training.samples, seed=config.seed)
    masked = [fold for fold in folds if fold is not None]
    steps = 0
    for number in range(FOLDS):
        images = len(masked) - masked.count(number)
        of_one = labeller_steps(config, images, training.progress.total_steps)
        if of_one is None:
            minutes = training.progress.max_minutes
            assert minutes is not None
            return minutes / STUDENT_TIME_SHARE - minutes
        steps += of_one
    # With words, images with a mask are segmented with them and without; all draw masks for the others.
    checks = 2 if training.use.unmasked == "words" else 1
    passes = checks * min(len(masked), MOST_CHECKED) + FOLDS * (len(folds) - len(masked))
    views = 2 if "horizontal" in mirrored_axes(config.augment) else 1
    return (steps * step + passes * views * picture) / 60


_CURVES: dict[CurveLogger, tuple[str, ...]] = {
    "tensorboard": (TENSORBOARD_FOLDER,),
    "mlflow": (MLFLOW_FOLDER,),
    "wandb": (WANDB_FOLDER,),
    "none": (),
}


def _files(training: Training) -> tuple[str, ...]:
    """Return what a training writes into its run folder; `lexiseg.runs` says what each is."""
    words = training.plan.bank is not None
    unmasked = training.use.unmasked is not None
    return (
        *("run.json", "config.yaml", "splits.json", "image_hashes.json", "weights.safetensors"),
        *("history.csv", CARD_FILE, "checkpoint.ckpt"),
        *_CURVES[training.config.logger],
        *(("bank.safetensors",) if words else ()),
        *(("masks.json",) if training.use.sentence() is not None else ()),
        *(("pseudo_labels.safetensors",) if unmasked else ()),
    )
