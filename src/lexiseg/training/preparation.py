"""What is settled before the first step of a training: its images, words and teachers."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from lexiseg.console import print_note
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.checks import check_splits
from lexiseg.training.distillation.teacher_runs import check_distillation, check_same_teachers, open_teachers
from lexiseg.training.distributed.ranks import Ranks
from lexiseg.training.few_masks.labeller_words import settle_labellers
from lexiseg.training.fit_choice import settle_fit
from lexiseg.training.idle_settings import idle_settings
from lexiseg.training.plan import Plan, plan_run
from lexiseg.training.resume import continue_run
from lexiseg.training.start_run import check_same_start, check_start, open_start
from lexiseg.training.start_settings import check_start_fields
from lexiseg.training.steps.callbacks import CHECKPOINT
from lexiseg.training.steps.curve_loggers import check_logger
from lexiseg.training.unmasked_images import MaskUse, take_part


@dataclass(frozen=True, kw_only=True)
class PreparedTraining:
    """A training that nothing refuses any more.

    Attributes:
        use: Which training images take part.
        plan: Its words, bank and network.
        config: Its configuration, with how images are fitted.
        teachers: The finished runs that teach it.
        start: The finished run whose weights it starts from; None where it starts from those of its preset.
    """

    use: MaskUse
    plan: Plan
    config: TrainConfig
    teachers: tuple[Run, ...] = ()
    start: Run | None = None


def prepare_training(
    index: DatasetIndex,
    config: TrainConfig,
    console: Console,
    *,
    ranks: Ranks,
    resumed: Run | None = None,
) -> PreparedTraining:
    """Settle what a training learns from, and refuse what cannot be trained; nothing is written.

    Args:
        index: The data set. Training images may lack a mask.
        config: The configuration; of a resumed run its own.
        console: Where it is said what was settled.
        ranks: The place of this process among those of the training.
        resumed: The interrupted run that goes on; None for a new one.

    Raises:
        DataError: The data set cannot be used.
        UsageError: The configuration does not fit the data set, or the number of processes.
        RunError: The run was started on other data, or a teacher, or the run that it starts from, cannot be
            opened.
    """
    check_logger(config.logger)
    check_splits(index)
    use = take_part(index, config)
    teachers = open_teachers(index, config, console)
    # A saved state holds the weights, so only a training that begins needs the run that it starts from.
    begins = resumed is None or not (resumed.path / CHECKPOINT).is_file()
    start = open_start(index, config, console) if begins else None
    if resumed is None:
        if start is not None:
            check_start_fields(config, start)
        config = settle_fit(use, config, console)
        plan = plan_run(use, config, console)
    else:
        plan = continue_run(use, resumed, config)
        check_same_teachers(resumed, teachers, config)
        check_same_start(resumed, start)
    if start is not None:
        check_start(index, use, start, plan.manifest)
    if teachers:
        check_distillation(index, use, ranks, teachers)
    use, plan = settle_labellers(use, plan, config, console)
    if resumed is None and (idle := idle_settings(config, use, plan)) is not None:
        print_note(console, idle)
    if ranks.several and use.unmasked is not None:
        raise UsageError(
            "unmasked: teachers draw masks for images without one, and teachers train on one device. Train "
            "with --devices 1, or with --unmasked leave_out.",
            code="LEX-USE-1291",
        )
    return PreparedTraining(use=use, plan=plan, config=config, teachers=teachers, start=start)
