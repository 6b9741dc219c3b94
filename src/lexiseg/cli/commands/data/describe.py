"""The command `lexiseg data describe`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from rich.progress import BarColumn

from lexiseg import choices
from lexiseg.cli.commands.data.describe_options import (
    BaseUrl,
    Concurrency,
    Model,
    Out,
    Price,
    Rois,
    Source,
    Split,
    Timeout,
    Tries,
    Unencrypted,
    Vocabulary,
)
from lexiseg.cli.options.common import DataFolder, Shared
from lexiseg.cli.terminal.messages import message_console
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import HeartbeatProgress
from lexiseg.errors import UsageError
from lexiseg.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from lexiseg.describing.describe import DescriptionResult
    from lexiseg.describing.multimodal.model import LmmOptions, UsageCount


def describe(
    data: DataFolder,
    out: Out,
    source: Source = "concepts",
    split: Split = None,
    vocabulary: Vocabulary = None,
    rois: Rois = None,
    model: Model = None,
    base_url: BaseUrl = None,
    tries: Tries = None,
    concurrency: Concurrency = None,
    timeout: Timeout = None,
    price: Price = None,
    unencrypted: Unencrypted = None,
    shared: Shared = False,
) -> None:
    """Describe each mask in words: one JSON line per image and class.

    Exit code 1 if descriptions are measured because the model gave no usable answer.
    """
    from lexiseg import describe as run_describe
    from lexiseg.describing.multimodal.journal import journal_path

    further = {"tries": tries, "concurrency": concurrency, "timeout_s": timeout, "price": price}
    lmm = _lmm_options(source, model, base_url, further | {"unencrypted": unencrypted})
    console = message_console(soft_wrap=True, highlight=False)
    try:
        with _progress() as progress:
            task = progress.add_task("describing", total=None)

            def show(tally: UsageCount) -> None:
                progress.update(task, completed=tally.done, total=tally.total, description=tally.sentence())

            described = run_describe(
                data,
                out,
                source=source,
                splits=split or get_args(choices.Split),
                vocabulary=vocabulary,
                rois=rois,
                lmm=lmm,
                progress=show,
                console=console,
            )
    except KeyboardInterrupt as interrupt:
        kept = journal_path(out)
        raise KeyboardInterrupt(
            f"The replies so far are in {kept}. Run the same command again to resume."
            if kept.is_file()
            else "Nothing was written."
        ) from interrupt
    _show(described, console)
    described.raise_for_failures()


def _show(described: DescriptionResult, console: Console) -> None:
    """Say how many descriptions are written, and how many the mask corrected."""
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


def _lmm_options(
    source: choices.DescriptionSource, model: str | None, base_url: str | None, further: Mapping[str, object]
) -> LmmOptions | None:
    """Return the options of a multimodal model; None for other sources.

    Raises:
        UsageError: The source is another one, or no model is named.
    """
    given = {name: value for name, value in further.items() if value is not None}
    if source != "lmm":
        if model is not None or base_url is not None or given:
            raise UsageError(
                f"The options of a multimodal model need --source lmm; got --source {source}.",
                code="LEX-USE-106",
            )
        return None
    from lexiseg import LmmOptions

    if model is None:
        raise UsageError(
            "--source lmm needs --model: the model's name on the server (--base-url), or a folder.",
            code="LEX-USE-107",
        )
    return LmmOptions(model=model, base_url=base_url, **given)  # type: ignore[arg-type]


def _progress() -> HeartbeatProgress:
    """Return the progress of descriptions; their tally states count and time left."""
    return HeartbeatProgress(BarColumn(), line=lambda task, _: task.description)
