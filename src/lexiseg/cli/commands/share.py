"""The commands that share runs: `pack`, `unpack`, `push` and `pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lexiseg.cli.options.common import RUN_HELP
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.printable import command_word, counted

if TYPE_CHECKING:
    from lexiseg import Run

_License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="SPDX",
        help="Licence of the weights, such as CC-BY-4.0. Without it, none is stated.",
    ),
]
_Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse the run if a name or a path shows a sign of identifying data."),
]
_NewRun = Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Run folder to create.")]
_REPOSITORY_HELP = "Repository of the Hugging Face hub: hf://OWNER/NAME or hf://OWNER/NAME@REVISION."


#: A format of packed runs: `lexiseg.pack` writes the first one, and `lexiseg.export_monai` the other.
PackFormat = Literal["bundle", "monai"]


def pack(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write, or folder of a MONAI bundle. Without it, RUN.lexiseg.zip or RUN-monai in "
            "the current folder.",
        ),
    ] = None,
    form: Annotated[
        PackFormat,
        typer.Option(
            "--format", help="bundle: one file for `lexiseg unpack`; monai: the folder of a MONAI bundle."
        ),
    ] = "bundle",
    license: _License = None,
    without_image_names: Annotated[
        bool,
        typer.Option(
            "--without-image-names",
            help="Leave out the names of the training images, which can identify patients. Lexiseg then does "
            "not recognise these images when the run is evaluated.",
        ),
    ] = False,
    strict: _Strict = False,
) -> None:
    """Write a run as one file that needs no network, or as a MONAI bundle."""
    from lexiseg import Run, export_monai
    from lexiseg import pack as run_pack

    opened = Run.of(run)
    _mention_names(
        opened,
        included=not without_image_names,
        option="Use --without-image-names to leave them out.",
        strict=strict,
    )
    if form == "monai":
        folder = out or Path(f"{opened.path.resolve().name}-monai")
        made = export_monai(opened, folder, license=license, image_names=not without_image_names)
        show_result({"folder": made})
        say(f"The MONAI bundle is in {made}.")
        return
    file = run_pack(opened, out, license=license, image_names=not without_image_names)
    show_result({"file": file, "bytes": file.stat().st_size})
    say(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB. "
        f"`lexiseg unpack {command_word(file)} --out RUN` makes a run of it."
    )
    if license is None:
        warn("The bundle states no licence of the weights. State one with --license.")


def unpack(
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="File that `lexiseg pack` wrote.")],
    out: _NewRun,
) -> None:
    """Make a run folder from a bundle, after checking each file of it."""
    from lexiseg import unpack as run_unpack

    made = run_unpack(bundle, out)
    show_result({"run": made.path})
    say(f"The run is in {made.path}.")


def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP)],
    repository: Annotated[str, typer.Argument(metavar="REPOSITORY", help=_REPOSITORY_HELP)],
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="Let everybody see the repository, if it is made now; otherwise it is private."
        ),
    ] = False,
    license: _License = None,
    with_image_names: Annotated[
        bool,
        typer.Option(
            "--with-image-names",
            help="Send the names of the training images too. They can identify patients.",
        ),
    ] = False,
    strict: _Strict = False,
) -> None:
    """Send a run to the Hugging Face hub. No image is sent."""
    from lexiseg import Run
    from lexiseg import push as run_push

    opened = Run.of(run)
    _mention_names(opened, included=with_image_names, option="", strict=strict)
    sent = run_push(opened, repository, public=public, license=license, image_names=with_image_names)
    show_result(sent)
    say(f"{counted(len(sent.files), 'file')} ({sent.num_bytes / 1e6:.1f} MB) sent: {sent.url}")
    if sent.removed:
        warn(
            f"Removed from the repository, as this push does not send them: {', '.join(sent.removed)}. The "
            "history of the repository keeps them. If nobody may read them, delete the repository and push "
            "again."
        )


def pull(
    repository: Annotated[str, typer.Argument(metavar="REPOSITORY", help=_REPOSITORY_HELP)],
    out: _NewRun,
) -> None:
    """Fetch a run from the Hugging Face hub, and check each file of it."""
    from lexiseg import pull as run_pull

    made = run_pull(repository, out)
    show_result({"run": made.path})
    say(f"The run is in {made.path}.")


def _mention_names(run: Run, *, included: bool, option: str, strict: bool) -> None:
    """Say that the names of images are shared, where they are, and what looks like identifying data.

    Raises:
        DataError: With `strict`, something looks like identifying data.
        RunError: A file of the run is damaged.
    """
    from lexiseg.sharing.identifying_data import check_run
    from lexiseg.sharing.without_names import fields_with_names

    splits = run.splits if included else None
    if splits is not None:
        count = len(splits.train) + len(splits.val) + len(splits.test)
        names = counted(count, "image name is", "image names are")
        said = f"{names} included. Names of files can identify patients. {option}"
        warn(said.rstrip())
    fields = () if included else fields_with_names(run)
    if fields:
        say(f"Shared without names: {', '.join(fields)}.")
    for sentence in check_run(run, image_names=included, strict=strict).sentences:
        warn(f"Sign of identifying data: {sentence}")
