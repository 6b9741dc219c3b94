"""Options of `lexiseg predict`, and the request that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.choices import AxisName
from lexiseg.errors import UsageError
from lexiseg.inference.formats.registry import check_formats, format_names

if TYPE_CHECKING:
    from lexiseg.inference.inputs.target_list import Shard
    from lexiseg.inference.options import PredictionOptions

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATHS",
        help="Images, volumes, folders, quoted glob patterns, .zip and .tar files, DICOMDIR, addresses "
        "of DICOMweb studies, or URLs.",
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out", "-o", help="Folder for masks and predictions.jsonl; it may be a URL such as s3://...."
    ),
]
Write = Annotated[
    str, typer.Option(help=f"Output formats, separated by commas: {', '.join(format_names())}.")
]
Overlays = Annotated[
    bool,
    typer.Option(
        "--overlays",
        help="Also write each image with the contour of its mask, as the format overlay does.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Also write a card per image, as the format card does: the words by scale, the place where "
        "each word acts, and the masks that other words would give.",
    ),
]
ShardText = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER/COUNT",
        help="Predict one part of the images, such as 3/16, into a folder of its own in --out. `lexiseg "
        "join` makes one list of the results of all parts.",
    ),
]
TarImages = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="IMAGES",
        help="Write the files of the images into tar archives of so many images each, as WebDataset "
        "reads them.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Predict on a Ray cluster: auto for that of this machine, or its address, such as "
        "10.0.0.1:6379. All machines see run and images at the same paths.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """What `lexiseg predict` is asked to do.

    Attributes:
        run: The run folder, or the name of a shipped run.
        paths: Images, volumes, folders, patterns, archives, and URLs.
        out: The output folder, or its URL.
        formats: Names of the output formats.
        axis: The slices of volumes.
        smooth_slices: Whether probabilities are averaged with those of neighbouring slices.
        single_slices: Whether slices of DICOM series are images of their own.
        shard: The part of the images; None for all.
        tar: Images of each tar archive of results; None for files.
        ray: Address of a Ray cluster; None for this machine.
        options: How images are predicted.
        dry_run: Whether to say only what would be done.
    """

    run: Path
    paths: tuple[str, ...]
    out: str
    formats: tuple[str, ...]
    axis: AxisName
    smooth_slices: bool
    single_slices: bool
    shard: Shard | None
    tar: int | None
    ray: str | None
    options: PredictionOptions
    dry_run: bool


def chosen_formats(write: str, *, overlays: bool, explain: bool) -> tuple[str, ...]:
    """Return the names of the output formats that three options choose.

    Args:
        write: Names, separated by commas.
        overlays: Whether the format overlay is added.
        explain: Whether the format card is added.

    Raises:
        UsageError: A name is unknown, or there is none.
    """
    formats = [name.strip() for name in write.split(",") if name.strip()]
    if not formats:
        raise UsageError(
            f"--write {write!r} names no output format: expected some of {', '.join(format_names())}.",
            code="LEX-USE-743",
        )
    formats += ["overlay"] * overlays + ["card"] * explain
    check_formats(formats)
    return tuple(formats)
