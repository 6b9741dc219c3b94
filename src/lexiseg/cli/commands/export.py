"""The command `lexiseg export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lexiseg.choices import WeightsType
from lexiseg.cli.options.common import RUN_HELP, named_values
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.engines.registry import exported_kinds

_FILES = " or ".join(kind.files[0] for kind in exported_kinds())


if TYPE_CHECKING:
    FormatName = str
else:
    # The format of a model file has the name of the engine that computes it.
    FormatName = Literal[tuple(kind.name for kind in exported_kinds())]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=f"File to write. Without it, {_FILES} in the run folder, where predict finds it.",
        ),
    ] = None,
    to: Annotated[FormatName, typer.Option("--to", help="Format of the file.")] = "onnx",
    check: Annotated[
        list[str] | None,
        typer.Option(
            help="Images on which the file is compared with torch: a file, a folder, a quoted glob pattern, "
            "an archive (.tar) or a URL; can be given several times. Without it, a few images of noise."
        ),
    ] = None,
    weights: Annotated[
        WeightsType,
        named_values(
            WeightsType,
            help="Type of the numbers that hold the weights; shared: the file reads those of the run folder.",
        ),
    ] = "fp32",
    allow_difference: Annotated[
        bool,
        typer.Option(
            "--allow-difference", help="Write the file even if it differs from torch by more than allowed."
        ),
    ] = False,
) -> None:
    """Write a run as one file that computes without torch, after comparing it with torch."""
    from lexiseg import export as run_export

    written = run_export(
        run, to=to, out=out, check=check or (), weights=weights, allow_difference=allow_difference
    )
    for note in written.notes:
        warn(note)
    parity = written.parity
    show_result({"file": written.file, "bytes": written.file.stat().st_size, "parity": parity})
    say(f"{written.file}: {written.file.stat().st_size / 1e6:.1f} MB, for any batch size.")
    kind = "images of noise" if parity.drawn else "images"
    say(f"Compared with {parity.reference} on {parity.images} {kind}, computed by {parity.engine}:")
    words = "" if parity.words is None else f" equal words {100 * parity.words:.2f} %,"
    expected = "" if parity.expected_dice is None else f", expected Dice within {parity.expected_dice:.6f}"
    say(
        f"largest difference of a mask score {parity.logits:.2g}, Dice of the masks {parity.dice:.5f} in the "
        f"mean and {parity.least_dice:.5f} at least,{words} equal flags {100 * parity.flags:.2f} %{expected}."
    )
    say(
        f"Network alone: {parity.images_per_second:.1f} images/s, torch "
        f"{parity.reference_images_per_second:.1f} images/s."
    )
    for phrase in parity.outside:
        warn(f"Outside the limits: {phrase}.")
