"""The command `lexiseg data describe`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn

from lexiseg.cli.common_options import Shared, message_console
from lexiseg.cli.output_mode import show_result
from lexiseg.cli.progress import HeartbeatProgress
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.describing.multimodal.model import LmmOptions, UsageCount


class _Source(StrEnum):
    CONCEPTS = "concepts"
    LMM = "lmm"
    REPORTS = "reports"


class _Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def describe(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Data set folder.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, ending in .jsonl, for `train --text FILE`.")
    ],
    source: Annotated[
        _Source,
        typer.Option(
            help="concepts: measure mask and pixels; reports: read the sheet; lmm: a multimodal model "
            "describes each region of interest."
        ),
    ] = _Source.CONCEPTS,
    split: Annotated[
        list[_Split] | None,
        typer.Option(help=r"Split to describe; repeat the option for several. \[default: all]"),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help=r"Vocabulary: chest, polyp, or a YAML file. \[default: that of the data set, or the one "
            r"that "
            r"can read its sheet]"
        ),
    ] = None,
    rois: Annotated[
        Path | None, typer.Option(help="Folder for the regions of interest, as PNG files.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="lmm: name of the model on the server; without --base-url, a transformers model by hub name "
            "or folder."
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="lmm: OpenAI-compatible server, such as http://localhost:8000/v1. Its key comes from the "
            "environment variable LEXISEG_LMM_KEY."
        ),
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(
            min=1, help=r"lmm: attempts per region; if all fail, the region is measured. \[default: 3]"
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help=r"lmm: number of questions sent at the same time. \[default: 4]")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help=r"lmm: time limit per question in seconds. \[default: 120]")
    ] = None,
    price: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="INPUT OUTPUT",
            help="lmm: price of a million input tokens and of a million output tokens.",
        ),
    ] = None,
    shared: Shared = False,
) -> None:
    """Describe each mask in words: one JSON line per image and class.

    Exit code 1 if descriptions are measured because the model gave no usable answer.
    """
    from lexiseg import describe as run_describe
    from lexiseg.describing.describe import journal_of
    from lexiseg.errors import UsageError

    patience = {"tries": tries, "concurrency": concurrency, "timeout_s": timeout, "price": price}
    given = {name: value for name, value in patience.items() if value is not None}
    if source is not _Source.LMM and (model is not None or base_url is not None or given):
        raise UsageError(
            f"The options of a multimodal model need --source lmm; got --source {source.value}.",
            code="LEX-USE-106",
        )
    console = message_console(soft_wrap=True, highlight=False)
    try:
        with _progress() as progress:
            task = progress.add_task("describing", total=None)

            def show(tally: UsageCount) -> None:
                progress.update(task, completed=tally.done, total=tally.total, description=tally.sentence())

            described = run_describe(
                folder,
                out,
                source=source.value,
                splits=tuple(entry.value for entry in split or _Split),
                vocabulary=vocabulary,
                rois=rois,
                lmm=_options(model, base_url, given) if source is _Source.LMM else None,
                on_progress=show,
                console=console,
            )
    except KeyboardInterrupt as interrupt:
        kept = journal_of(out)
        raise KeyboardInterrupt(
            f"The replies so far are in {kept}. Run the same command again to resume."
            if kept.is_file()
            else "Nothing was written."
        ) from interrupt
    show_result(
        {
            "file": described.path,
            "descriptions": len(described.lines),
            "left_out": described.left_out,
            "corrected": [line.id for line in described.corrected],
            "fell_back": [line.id for line in described.fell_back],
        }
    )
    console.print(f"{counted(len(described.lines), 'description')} written to {described.path}.")
    if described.tally is not None:
        console.print(
            f"{described.tally.sentence()}; the mask corrected {len(described.corrected)} of them, each "
            f"marked."
        )
    described.raise_for_failures()


def _options(model: str | None, base_url: str | None, given: Mapping[str, object]) -> LmmOptions:
    from lexiseg import LmmOptions
    from lexiseg.errors import UsageError

    if model is None:
        raise UsageError(
            "--source lmm needs --model: the model's name on the server (--base-url), or a folder.",
            code="LEX-USE-107",
        )
    return LmmOptions(model=model, base_url=base_url, **given)  # type: ignore[arg-type]


def _progress() -> HeartbeatProgress:
    """Return the progress of descriptions; their tally states count and time left."""
    return HeartbeatProgress(BarColumn(), line=lambda task: task.description)
