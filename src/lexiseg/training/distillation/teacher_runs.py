"""Finished runs as the teachers of a training: which can teach it, and what a run keeps of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import RunError, UsageError
from lexiseg.evaluation.checks import check_classes
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.manifest import DistillationRecord, Manifest, TeacherRunRecord
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.distributed.ranks import Ranks
from lexiseg.training.earlier_runs import (
    check_finished,
    check_not_scored,
    refuse_revealed,
    with_training,
)
from lexiseg.training.unmasked_images import MaskUse


def open_teachers(index: DatasetIndex, config: TrainConfig, console: Console) -> tuple[Run, ...]:
    """Open the teachers that a configuration names, and refuse those that cannot teach it.

    Args:
        index: The data set of the training.
        config: Its configuration.
        console: Where it is said that the images of a teacher cannot be compared with those of the training.

    Returns:
        The teachers; none where the configuration names none.

    Raises:
        RunError: A teacher is no finished run, or does not say which images it was trained on.
        UsageError: A run is named twice, or fits images in another way.
        DataError: A teacher has other classes, was trained on validation or test images of the training, or
            was selected on its test images.
    """
    runs = tuple(Run.open(name) for name in teachers_of(config))
    twice = [path for path, count in Counter(run.path.resolve() for run in runs).items() if count > 1]
    if twice:
        raise UsageError(
            f"teachers: the run {twice[0]} is named twice. Name each run once.", code="LEX-USE-1562"
        )
    for run in runs:
        _check_teacher(run, index, console)
    return runs


def teachers_of(config: TrainConfig) -> tuple[str, ...]:
    """Return the runs that a configuration names as teachers."""
    return () if config.distillation is None else config.distillation.teachers


def _check_teacher(run: Run, index: DatasetIndex, console: Console) -> None:
    manifest = run.manifest
    check_finished(run, "teachers")
    if manifest.fit != "stretch":
        raise UsageError(
            f"teachers: the run {run.shown} was trained with `fit: {manifest.fit}`, but a teacher must draw "
            "masks of whole stretched images. Name runs that were trained with `fit: stretch`.",
            code="LEX-USE-1564",
        )
    check_classes(index, run)
    learned = LearnedImages(run)
    if not learned.knows_all:
        raise UsageError(
            f"teachers: the run {run.shown} learned from earlier runs, and what these have learned is not "
            "known. Name runs that were trained without `teachers` and without `start_from`.",
            code="LEX-USE-1581",
        )
    if not learned.knows_names:
        raise RunError(
            f"teachers: {run.shown} does not say which images it was trained on, so it may have learned the "
            "validation or test images of this training. Name a run that holds a splits.json.",
            code="LEX-RUN-1565",
        )
    check_not_scored(learned, index, "teachers", console)


def check_distillation(index: DatasetIndex, use: MaskUse, ranks: Ranks, teachers: Sequence[Run]) -> None:
    """Refuse trainings in which teachers cannot take part.

    Args:
        index: The data set, with the images that are left out.
        use: Which training images take part.
        ranks: The place of this process.
        teachers: The teachers, as `open_teachers` returns them.

    Raises:
        UsageError: Images without mask take part too, a teacher has learned masks that are left out, or
            several processes train.
        RunError: The hashes of the images of a teacher are damaged.
    """
    if use.unmasked is not None:
        raise UsageError(
            "teachers: every training image needs a mask, as true and soft masks teach together. Leave the "
            "images without mask out (--unmasked leave_out), or leave `teachers` out.",
            code="LEX-USE-1568",
        )
    for run in teachers:
        refuse_revealed(LearnedImages(run), index, use, "teachers")
    if ranks.several:
        raise UsageError(
            "teachers: they draw their masks on one device. Train with --devices 1, or leave `teachers` out.",
            code="LEX-USE-1569",
        )


def with_teachers(manifest: Manifest, runs: Sequence[Run], config: TrainConfig) -> Manifest:
    """Return the manifest of a training with what it keeps of its teachers."""
    return with_training(manifest, distillation=distillation_record(runs, config)) if runs else manifest


def check_same_teachers(run: Run, runs: Sequence[Run], config: TrainConfig) -> None:
    """Refuse to resume a training whose teachers have changed.

    Raises:
        RunError: They have.
    """
    if not runs:
        return
    kept, now = run.manifest.training.distillation, distillation_record(runs, config)
    # Not their names: a folder may move.
    if kept is None or kept.share != now.share or _weights(kept) != _weights(now):
        raise RunError(
            f"The run in {run.path} was started with other weights of its teachers "
            f"({', '.join(teacher.shown for teacher in runs)}). Restore these runs, or start a new run.",
            code="LEX-RUN-1566",
        )


def _weights(record: DistillationRecord) -> list[str]:
    return [teacher.weights_sha256 for teacher in record.teachers]


def distillation_record(runs: Sequence[Run], config: TrainConfig) -> DistillationRecord:
    """Return what a run keeps of its teachers."""
    assert config.distillation is not None
    return DistillationRecord(
        share=config.distillation.share,
        teachers=tuple(
            TeacherRunRecord(
                name=run.path.resolve().name,
                data=run.manifest.data.name,
                encoder=run.manifest.network.encoder,
                image_size=run.manifest.image_size,
                weights_sha256=run.weights_sha256(),
            )
            for run in runs
        ),
    )
