"""The commands under `lexiseg convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.options.examples import examples_text
from lexiseg.cli.options.flag_help import GroupWithFlags
from lexiseg.cli.options.registration import register
from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.printable import counted

app = typer.Typer(
    cls=GroupWithFlags,
    help="Create a run folder from published weights.",
    epilog=examples_text("convert"),
    no_args_is_help=True,
)


def convert_stpnet(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published checkpoint (.pth, .pt or .safetensors).")
    ],
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to create.")],
    banks: Annotated[
        Path | None,
        typer.Option(
            help="safetensors file with the tensors Unilateral_emb, num_emb, left_loc_emb, right_loc_emb."
        ),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(help="Compute the banks with this text encoder instead (Hugging Face name or folder)."),
    ] = None,
) -> None:
    """Create a run from a published STPNet checkpoint."""
    from lexiseg import convert_stpnet as convert

    run, dropped = convert(checkpoint, out, banks=banks, text_encoder=text_encoder)
    show_result({"run": run.path, "dropped": dropped})
    say(
        f"Left out, as the network never uses them: {counted(dropped, 'published tensor')}. The run is in "
        f"{run.path}."
    )


def convert_cotexnet(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published checkpoint (.pth, .pt or .safetensors).")
    ],
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to create.")],
    clipseg: Annotated[
        str | None,
        typer.Option(
            help=r"The CLIPSeg that the checkpoint was built on: a folder with its config.json, or a "
            r"Hugging Face name. "
            r"\[default: CIDAS/clipseg-rd64-refined]"
        ),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a foreground class; repeat it, in the order of the labels."),
    ] = None,
    image_size: Annotated[int, typer.Option(min=64, help="Height and width in pixels.")] = 224,
) -> None:
    """Create a run from a published CoTexNet checkpoint."""
    from lexiseg import convert_cotexnet as convert

    run, dropped = convert(checkpoint, out, clipseg=clipseg, class_names=class_name, image_size=image_size)
    show_result({"run": run.path, "dropped": dropped})
    say(
        f"Left out, as prediction never uses them: {counted(dropped, 'published tensor')}. The run is in "
        f"{run.path}."
    )


register(app, "convert stpnet", convert_stpnet)
register(app, "convert cotexnet", convert_cotexnet)
