"""The commands train, evaluate, calibrate, predict, convert and demo. Heavy imports wait till then."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.common_options import (
    RUN_HELP,
    Device,
    FlipAverage,
    SplitName,
    Tolerance,
    narrator,
    progress_bar,
    say,
    warn,
)
from lexiseg.cli.comparison_commands import show_runs
from lexiseg.errors import DiskError, LexisegError, PartialFailureError
from lexiseg.inference.writers.registry import check_formats, format_names
from lexiseg.systems.registry import DEFAULT, names, systems

if TYPE_CHECKING:
    from lexiseg.evaluation.options import EvaluationKeywords

convert_app = typer.Typer(help="Make a run folder from published weights.", no_args_is_help=True)


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


_AverageWith = Annotated[
    Path | None,
    typer.Option(
        help="Average with a second run (or model that comes with Lexiseg) of the same classes and words: "
        "half as fast, often better."
    ),
]
_BatchSize = Annotated[int, typer.Option(min=1, help="Images per pass through the network.")]


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


def evaluate(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help=f"{RUN_HELP} Several give one table.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for metrics.json, cases.csv and report.html; several runs get one each in it."
        ),
    ],
    split: Annotated[SplitName, typer.Option(help="Which split to score.")] = SplitName.TEST,
    batch_size: _BatchSize = 8,
    device: Device = "cpu",
    flip_average: FlipAverage = False,
    average_with: _AverageWith = None,
    tolerance: Tolerance = 2.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap intervals.")] = 0,
) -> None:
    """Score a run on a split: per case, with intervals, by lesion size, words beside masks."""
    from lexiseg import evaluate as run_evaluation
    from lexiseg import evaluate_runs

    with progress_bar() as progress:
        task = progress.add_task("evaluating", total=None)
        options: EvaluationKeywords = {
            "split": split.value,
            "batch_size": batch_size,
            "device": device,
            "flip_average": flip_average,
            "average_with": average_with,
            "tolerance": tolerance,
            "seed": seed,
        }

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        several = evaluate_runs(run, data, out=out, progress=show, **options) if len(run) > 1 else {}
        results = list(several.values()) or [run_evaluation(run[0], data, out=out, progress=show, **options)]
    if several:
        show_runs(several, out)
    else:
        metrics = results[0].metrics
        low, high = metrics.dice.ci95
        say(
            f"Dice, mean of {metrics.num_cases} cases: {metrics.dice.mean:.4f} "
            f"(95 % interval {low:.4f} to {high:.4f}); "
            f"pooled over all pixels: {metrics.pooled_dice:.4f}."
        )
        say(f"Report: {out / 'report.html'}")
    for sentence in dict.fromkeys(result.metrics.in_sample for result in results):
        if sentence is not None:
            say(sentence)
    for result in results:
        result.raise_for_failures()


def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set folder it was trained on.")],
    batch_size: _BatchSize = 8,
    device: Device = "cpu",
    flip_average: FlipAverage = False,
) -> None:
    """Make a run's probabilities true and choose what it flags, on the validation split; no mask changes."""
    from lexiseg import calibrate as run_calibration

    with progress_bar() as progress:
        task = progress.add_task("calibrating", total=None)
        fitted = run_calibration(
            run,
            data,
            device=device,
            flip_average=flip_average,
            batch_size=batch_size,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    review = fitted.review
    say(
        f"Temperature {fitted.temperature:.3f}, fitted on {fitted.data.samples} validation cases; "
        f"expected calibration error {fitted.ece_before:.4f} before, {fitted.ece_after:.4f} after."
    )
    if review.dice_flagged is not None and review.dice_rest is not None:
        say(
            f"Flagged for review: {100 * review.flagged:.1f} % of them, mean Dice {review.dice_flagged:.3f}; "
            f"the rest {review.dice_rest:.3f}."
        )
    say(f"Written to {run / 'calibration.json'}; predict and evaluate use it from now on.")


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    paths: Annotated[
        list[str], typer.Argument(metavar="PATHS", help="Images, folders, or quoted glob patterns.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for masks and predictions.jsonl.")] = Path("predictions"),
    write: Annotated[
        str, typer.Option(help=f"Output formats, by commas: {', '.join(format_names())}.")
    ] = "mask",
    overlays: Annotated[
        bool,
        typer.Option(
            "--overlays", help="Also write the images with mask contours; short for the format overlay."
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Also write a card per image: words by scale, where each acts, masks under other words; "
            "short for the format card.",
        ),
    ] = False,
    spacing_mm: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Height and width of a pixel in mm, the same for all images: areas in mm2 too."),
    ] = None,
    batch_size: _BatchSize = 8,
    device: Device = "cpu",
    flip_average: FlipAverage = False,
    average_with: _AverageWith = None,
) -> None:
    """Segment images: masks on their own grids, the retrieved words, and a flag where to look again."""
    formats = [name.strip() for name in write.split(",") if name.strip()]
    formats += ["overlay"] * overlays + ["card"] * explain
    check_formats(formats)

    from lexiseg import find_targets, load, predict_to_files

    targets = find_targets(paths, out=out)
    predictor = load(
        run,
        device=device,
        flip_average=flip_average,
        average_with=average_with,
        batch_size=batch_size,
        spacing_mm=spacing_mm,
    )
    with progress_bar() as progress:
        task = progress.add_task("predicting", total=len(targets))

        def show(path: Path, result: object) -> None:
            progress.advance(task)
            if isinstance(result, LexisegError):
                warn(f"Skipped: {result}")

        try:
            summary = predict_to_files(predictor, targets, out, writers=formats, on_result=show)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                f"The masks so far are in {out / 'masks'}. Run the command again to predict all images."
                if "mask" in formats
                else f"The files so far are in {out}. Run the command again to predict all images."
            ) from interrupt
    can_flag = predictor.run.spoken_vocabulary is not None or predictor.calibration is not None
    review = f"; {summary.flagged} flagged for review" if can_flag else ""
    say(f"{summary.done} of {len(targets)} images segmented{review}. Results: {summary.results}")
    if summary.done and predictor.run.spoken_vocabulary is not None:
        say(f"Left and right in all words are the {predictor.run.side}'s.")
    if summary.failed:
        raise PartialFailureError(
            f"{len(summary.failed)} of {len(targets)} images could not be read; "
            f"each is named above and in {summary.results}.",
            code="LEX-PART-005",
        )


@convert_app.command("stpnet")
def convert_stpnet(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published checkpoint (.pth, .pt or .safetensors).")
    ],
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to make.")],
    banks: Annotated[
        Path | None,
        typer.Option(help="safetensors with Unilateral_emb, num_emb, left_loc_emb, right_loc_emb."),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(help="Compute the banks with this text encoder instead (Hugging Face name or folder)."),
    ] = None,
) -> None:
    """Make a run from a published STPNet checkpoint."""
    from lexiseg import convert_stpnet as convert

    run, dropped = convert(checkpoint, out, banks=banks, text_encoder=text_encoder)
    say(f"{dropped} published tensors that the network never uses were dropped. The run is in {run.path}.")


@convert_app.command("cotexnet")
def convert_cotexnet(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published checkpoint (.pth, .pt or .safetensors).")
    ],
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to make.")],
    clipseg: Annotated[
        str | None,
        typer.Option(
            help=r"CLIPSeg it was built on: a folder with its config.json, or a Hugging Face name. "
            r"\[default: CIDAS/clipseg-rd64-refined]"
        ),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a foreground class; repeat it, in the order of the labels."),
    ] = None,
    image_size: Annotated[int, typer.Option(min=64, help="Height and width in pixels.")] = 224,
) -> None:
    """Make a run from a published CoTexNet checkpoint."""
    from lexiseg import convert_cotexnet as convert

    run, dropped = convert(checkpoint, out, clipseg=clipseg, class_names=class_name, image_size=image_size)
    say(f"{dropped} published tensors that prediction never uses were dropped. The run is in {run.path}.")


def demo(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATA", help=r"Your own data set folder. \[default: a phantom made on the spot]"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes of training.")] = 3.0,
    image_size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 160,
) -> None:
    """Train, evaluate and predict in a few minutes, and show where to look."""
    from lexiseg.cli.demo import run_demo

    run_demo(data, out, minutes=minutes, image_size=image_size, console=narrator())
