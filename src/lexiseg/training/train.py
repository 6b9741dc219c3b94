"""Training a run: from a data folder to a run folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Unpack

from rich.console import Console

from lexiseg.console import PrintableConsole, print_note
from lexiseg.data import open_dataset
from lexiseg.data.leaks import refuse_leaks
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import LexisegError
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import get
from lexiseg.training.checks import check_one_device
from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import (
    ALONE,
    Ranks,
    joined_rank,
    launched_ranks,
    process_group,
    rank_request,
    request_of,
)
from lexiseg.training.loop import Training
from lexiseg.training.options import TrainOptions
from lexiseg.training.preparation import prepare_training
from lexiseg.training.resume import is_finished, resumed_config
from lexiseg.training.run_lock import training_lock


def train(
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    config_file: str | Path | None = None,
    console: Console | None = None,
    **options: Unpack[TrainOptions],
) -> Run:
    """Train a model on a data set and write a run folder.

    Args:
        data: The data set's folder, in any known layout.
        out: The run folder to make; it must not hold anything yet.
        resume: Continue the interrupted run in `out`; options then come from the run.
        config_file: YAML file with fields of the system's configuration.
        console: Where progress is shown; None shows nothing.
        **options: Fields of the system's configuration, such as `epochs=20`; they win over the file. `model`
            and `preset` choose the system. docs/reference/configuration.md lists the fields.

    Returns:
        The finished run.

    Raises:
        DataError: The data set cannot be used.
        UsageError: An option is not possible, or one that the system does not have.
        RunError: `out` exists, another process trains there, or there is nothing to resume.
        WeightsError: Encoder weights cannot be found.
        DiskError: There is no space or no permission.

    Examples:
        >>> run = train("data/chest", "runs/chest", max_minutes=30)  # doctest: +SKIP
    """
    out = Path(out)
    config = resumed_config(out, options, config_file) if resume else make_config(options, config_file)
    launched = launched_ranks()
    if console is None or (launched is not None and not launched.is_first):
        console = PrintableConsole(quiet=True)
    if config is None:
        return _nothing_to_resume(out, console)
    request = request_of(data, out, config, resume=resume)
    if launched is not None:
        # All join at once: a first process that refused alone would leave the others waiting for it.
        with process_group(config, request) as ranks, _held(out, console, ranks, resume=resume):
            return _train_folder(data, config, out, resume=resume, console=console, ranks=ranks)
    with _held(out, console, ALONE, resume=resume):
        if resume and is_finished(out):
            return _nothing_to_resume(out, console)
        with process_group(config, request) as ranks:
            return _train_folder(data, config, out, resume=resume, console=console, ranks=ranks)


@contextmanager
def _held(out: Path, console: Console, ranks: Ranks, *, resume: bool) -> Iterator[None]:
    """Hold the lock of a run folder in the first process; all processes end where that is refused.

    Args:
        out: The run folder.
        console: Where it is said if the disk supports no locks.
        ranks: The place of this process.
        resume: Whether a run may be there.

    Raises:
        LexisegError: Another process trains there, or a new run would be made where something is.
    """
    refusal: LexisegError | None = None
    with ExitStack() as stack:
        if ranks.is_first:
            try:
                stack.enter_context(training_lock(out, console))
                if not resume:
                    Run.refuse_existing(out, resumable=True)
            except LexisegError as error:
                refusal = error
        refusal = ranks.agree(refusal)
        if refusal is not None:
            raise refusal
        yield


def _train_folder(
    data: str | Path, config: TrainConfig, out: Path, *, resume: bool, console: Console, ranks: Ranks
) -> Run:
    index = open_for_training(data, config, console, resume=resume)
    return train_on(index, config, out, resume=resume, console=console, ranks=ranks)


def train_as_rank() -> None:
    """Train as a process that rank 0 started; its standard input says what, see `request_of`."""
    request = rank_request()
    config = get(request["config"]["model"], request["config"]["preset"]).configuration.model_validate(
        request["config"]
    )
    try:
        with joined_rank(request["rank"], request["size"], request["port"], config) as ranks:
            _train_folder(
                request["data"],
                config,
                Path(request["out"]),
                resume=request["resume"],
                console=PrintableConsole(quiet=True),
                ranks=ranks,
            )
    except LexisegError as error:
        sys.exit(f"{error} [{error.code}]")


def open_for_training(
    data: str | Path, config: TrainConfig, console: Console, *, resume: bool
) -> DatasetIndex:
    """Open a data set as a training does, and say what is assumed and what its splits share.

    Args:
        data: The data set's folder.
        config: The configuration.
        console: Where to say it.
        resume: Whether the training was started earlier, when leaks were refused or allowed.

    Raises:
        DataError: The data set cannot be used, or its splits share images or patients.
    """
    index = open_dataset(data, seed=config.seed, allow_missing_masks=True, masks=config.masks)
    for assumption in index.assumptions:
        print_note(console, assumption)
    if not resume:
        index = refuse_leaks(index, allow=config.allow_leak)
    for leak in index.leaks:
        console.print(leak, style="yellow", markup=False, highlight=False)
    return index


def train_on(
    index: DatasetIndex,
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    console: Console | None = None,
    ranks: Ranks = ALONE,
) -> Run:
    """Train a model on an opened data set and write a run folder.

    Other processes are not kept out of the folder: `train` and studies hold its lock.

    Args:
        index: The data set. Training images may lack a mask; the masks that `config.masks` hides are hidden
            already, as `open_dataset(masks=...)` or `lexiseg.data.mask_hiding.hide_masks` does.
        config: The configuration; of a resumed run the one in its folder.
        out: The run folder to make; it must not hold anything yet.
        resume: Continue the interrupted run in `out`.
        console: Where progress is shown; None shows nothing.
        ranks: The place of this process among those of the training.

    Returns:
        The run; it is finished where this process is the first one.

    Raises:
        DataError: The data set cannot be used.
        UsageError: The configuration does not fit the data set.
        RunError: `out` exists, or its run was started on other data.
        WeightsError: Encoder weights cannot be found.
        DiskError: There is no space or no permission.
    """
    console = console or PrintableConsole(quiet=True)
    out = Path(out)
    if resume and is_finished(out):
        return _nothing_to_resume(out, console)
    if ranks.is_first and not resume:
        Run.refuse_existing(out, resumable=True)
    if not ranks.several:
        check_one_device(
            config, what="this process trains alone and takes", remedy="Set it to 1, or use `lexiseg.train`."
        )
    found = prepare_training(index, config, console, ranks=ranks, resumed=Run.open(out) if resume else None)
    return Training(found, out=out, resume=resume, console=console, ranks=ranks).run()


def _nothing_to_resume(out: Path, console: Console) -> Run:
    console.print(f"The run in {out} is finished; there is nothing to resume.", markup=False)
    return Run.open(out)
