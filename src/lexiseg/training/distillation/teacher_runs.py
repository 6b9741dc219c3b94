"""Finished runs as the teachers of a training: which can teach it, and what a run keeps of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.evaluation.checks import check_classes, check_unseen
from lexiseg.printable import counted
from lexiseg.runs.image_hashes import read_image_hashes
from lexiseg.runs.manifest import DistillationRecord, Manifest, TeacherRunRecord
from lexiseg.runs.run import Run
from lexiseg.systems.compact_configuration import CompactConfig
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.distributed.ranks import Ranks
from lexiseg.training.unmasked_images import MaskUse

#: The splits from which a teacher must have learned nothing.
_SCORED: tuple[Split, ...] = ("val", "test")


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
    return config.teachers if isinstance(config, CompactConfig) else ()


def _check_teacher(run: Run, index: DatasetIndex, console: Console) -> None:
    manifest = run.manifest
    if not manifest.training.finished:
        raise RunError(
            f"teachers: the training of {run.shown} is not finished. Finish it with `lexiseg train DATA "
            f"--out {run.shown} --resume`, or name another run.",
            code="LEX-RUN-1563",
        )
    if manifest.fit != "stretch":
        raise UsageError(
            f"teachers: the run {run.shown} was trained with `fit: {manifest.fit}`, but a teacher must draw "
            "masks of whole stretched images. Name runs that were trained with `fit: stretch`.",
            code="LEX-USE-1564",
        )
    check_classes(index, run)
    if manifest.training.distillation is not None:
        raise UsageError(
            f"teachers: the run {run.shown} had teachers itself, and what these have learned is not known. "
            "Name runs that were trained without teachers.",
            code="LEX-USE-1581",
        )
    if run.splits is None:
        raise RunError(
            f"teachers: {run.shown} does not say which images it was trained on, so it may have learned the "
            "validation or test images of this training. Name a run that holds a splits.json.",
            code="LEX-RUN-1565",
        )
    compared = _refuse_learned_files(run, index)
    if manifest.data.name != index.name:
        files = (
            "No validation or test image is the same file as an image that it has learned, but copies in "
            "other files are not recognised."
            if compared
            else "The run holds no hashes of its images, so the files are not compared either."
        )
        console.print(
            f"The teacher {run.shown} was trained on data named {manifest.data.name}, and this training is "
            f"on data named {index.name}: image names of two data sets cannot be compared. {files} Make sure "
            f"that the teacher has not learned validation or test images of this training, or masks that it "
            f"leaves out.",
            style="yellow",
            markup=False,
            highlight=False,
        )
    check_unseen(index, run, "val")
    check_unseen(index, run, "test")


def _refuse_learned_files(run: Run, index: DatasetIndex) -> bool:
    """Refuse a teacher that has learned an image file of the validation or test split, whatever its name.

    Returns:
        Whether the files could be compared.

    Raises:
        DataError: It has.
        RunError: The hashes of its images are damaged.
    """
    hashes = read_image_hashes(run.path)
    if hashes is None:
        return False
    for split in _SCORED:
        seen = hashes.learned_of(index.split(split), split)
        if seen:
            raise DataError(
                f"teachers: {run.shown} was trained or selected on {counted(len(seen), 'image')} of the "
                f"{split} split of {index.root} (for example {seen[0].id}; the files are equal), so scores "
                "of this training would say nothing. Name a run that has not learned these images.",
                code="LEX-DATA-1654",
            )
    return True


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
    left_out = set(use.left_out)
    hidden = [sample for sample in index.split("train") if sample.id in left_out]
    for run in teachers:
        revealed = _learned_of(run, index, hidden) if hidden else []
        if revealed:
            raise UsageError(
                f"teachers: {run.shown} was trained on {counted(len(revealed), 'image')} whose masks this "
                f"training leaves out (for example {revealed[0]}), and would reveal them. Name a run that "
                "was trained with the same --masks and --seed, or leave `teachers` out.",
                code="LEX-USE-1580",
            )
    if ranks.several:
        raise UsageError(
            "teachers: they draw their masks on one device. Train with --devices 1, or leave `teachers` out.",
            code="LEX-USE-1569",
        )


def _learned_of(run: Run, index: DatasetIndex, samples: Sequence[Sample]) -> list[str]:
    """Return the ids of the samples that a teacher was trained on: by name in the same data, and by file."""
    assert run.splits is not None  # `open_teachers` refuses runs without
    learned: set[str] = set()
    if run.manifest.data.name == index.name:
        trained = set(run.splits.train) - set(run.splits.left_out)
        learned.update(trained.intersection(sample.id for sample in samples))
    hashes = read_image_hashes(run.path)
    if hashes is not None:
        learned.update(sample.id for sample in hashes.learned_of(samples, "train"))
    return sorted(learned)


def with_teachers(manifest: Manifest, runs: Sequence[Run], config: TrainConfig) -> Manifest:
    """Return the manifest of a training with what it keeps of its teachers."""
    if not runs:
        return manifest
    training = manifest.training.model_copy(update={"distillation": distillation_record(runs, config)})
    return manifest.model_copy(update={"training": training})


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
    assert isinstance(config, CompactConfig)
    return DistillationRecord(
        share=config.teacher_share,
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
