"""The options of `lexiseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lexiseg.cli.options.common import named_values
from lexiseg.systems import configuration
from lexiseg.systems.registry import DEFAULT, names, systems

#: Where a training runs; another device of torch is chosen by CUDA_VISIBLE_DEVICES.
TrainingDevice = Literal["auto", "cpu", "cuda"]
if TYPE_CHECKING:
    ModelName = str
    PresetName = str
else:
    ModelName = Literal[names()]
    PresetName = Literal[tuple(dict.fromkeys(system.preset for system in systems()))]

#: "stpnet (STPNet), ..." and "stpnet compact: small, trains on a CPU; ...", for `--help`.
_MODELS = ", ".join(dict.fromkeys(f"{system.name} ({system.title})" for system in systems()))
_PRESETS = "; ".join(f"{system.name} {system.preset}: {system.summary}" for system in systems())

#: What is added to a default that a run decides where the training starts from one.
_OR_OF_RUN = "; with --start-from the run's"

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Data set folder with images, masks and, if you have them, report sentences."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder to create.")]
Model = Annotated[
    ModelName | None,
    typer.Option(help=rf"The system to train: {_MODELS}. \[default: {DEFAULT}{_OR_OF_RUN}]"),
]
Preset = Annotated[
    PresetName | None,
    typer.Option(
        help=rf"Version of the system. {_PRESETS}. \[default: the first of the system{_OR_OF_RUN}]",
    ),
]
StartFrom = Annotated[
    str | None,
    typer.Option(
        help=r"Finished run, or model that comes with Lexiseg, whose weights the training starts from. "
        r"Model, preset, encoder, image size and fit are then those of the run, unless you give them. "
        r"\[default: the weights that the preset starts from]"
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        help=r"Source of the words: reports (a sheet), concepts (measured on masks), none, or a file "
        r"made by `data describe`. \[default: reports if every training and validation image has one, "
        r"concepts if none has; an error if only some have one]"
    ),
]
Vocabulary = Annotated[
    str | None,
    typer.Option(
        help=r"Vocabulary: chest, polyp, or a YAML file. \[default: the one that can read the sheet]"
    ),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help=r"Number of passes over the training images. \[default: 40]")
]
MaxMinutes = Annotated[
    float | None, typer.Option(min=0.01, help="Training time in minutes, instead of epochs.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Number of training steps, instead of epochs.")]
Masks = Annotated[
    float | None,
    typer.Option(
        help=r"Share of the training masks to use, such as 0.05. The seed decides which masks are hidden. "
        r"\[default: all]"
    ),
]
Unmasked = Annotated[
    configuration.Unmasked | None,
    typer.Option(
        help=r"How to use training images without a mask: words (teachers draw masks that fit their "
        r"words), pseudo_labels (teachers draw masks without words), leave_out. \[default: words, if "
        r"cross-validation shows that they help]"
    ),
]
ImageSize = Annotated[
    int | None, typer.Option(help=rf"Height and width in pixels. \[default: 224{_OR_OF_RUN}]")
]
Fit = Annotated[
    configuration.FitChoice | None,
    typer.Option(
        help=r"How an image fits the square picture that the network sees: stretch, pad (its aspect "
        r"ratio is kept), tiles (windows at its own pixels), or auto (by the sizes of images and "
        rf"lesions). \[default: stretch{_OR_OF_RUN}]"
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=2, help=r"Number of images per training step. \[default: the preset's]")
]
Encoder = Annotated[
    str | None,
    typer.Option(
        help=r"Name of a timm encoder, for compact presets only. "
        rf"\[default: tf_efficientnet_lite0{_OR_OF_RUN}]"
    ),
]
TextEncoder = Annotated[
    str | None,
    typer.Option(
        help=r"Text encoder: minilm (installed with Lexiseg), a Hugging Face name, or a folder. "
        r"\[default: the preset's]"
    ),
]
EncoderWeights = Annotated[
    str | None,
    typer.Option(
        help=r"Weights of the encoder: imagenet, none, or a weights file. Systems that are built on a "
        r"CLIPSeg take its Hugging Face name or folder. "
        r"\[default: the preset's; with --start-from none, but for a CLIPSeg]"
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help=r"Seed of all random choices. \[default: 0]")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0, help=r"Number of processes that load data. \[default: chosen by the number of cores]"
    ),
]
Device = Annotated[
    TrainingDevice | None,
    named_values(
        TrainingDevice,
        help=r"Where the network is trained. auto: on a GPU if torch finds one, else on the CPU. "
        r"\[default: auto]",
    ),
]
Precision = Annotated[
    configuration.Precision | None,
    named_values(
        configuration.Precision,
        help=r"Type of the numbers to compute with; auto: bf16 on a GPU, and on the CPU the faster one. "
        r"\[default: auto]",
    ),
]
Devices = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=r"Number of processes on this machine that share each batch, one per device. \[default: 1]",
    ),
]
Accumulate = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=r"Number of steps whose gradients are added up before the weights change. \[default: 1]",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML file with any fields of the configuration. An option on the command line replaces "
        "the field of the file."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --out.")]
