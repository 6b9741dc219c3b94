"""Finished runs that a training builds on: what they may have learned of its images."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.evaluation.checks import check_unseen
from lexiseg.printable import counted
from lexiseg.runs.image_hashes import read_image_hashes
from lexiseg.runs.run import Run
from lexiseg.training.unmasked_images import MaskUse

#: The splits from which an earlier run must have learned nothing.
_SCORED: tuple[Split, ...] = ("val", "test")


def check_finished(run: Run, field: str) -> None:
    """Refuse an earlier run that is not finished.

    Args:
        run: The earlier run.
        field: The field of the configuration that names it.

    Raises:
        RunError: It is not finished.
    """
    if not run.manifest.training.finished:
        raise RunError(
            f"{field}: the training of {run.shown} is not finished. Finish it with `lexiseg train DATA "
            f"--out {run.shown} --resume`, or name another run.",
            code="LEX-RUN-1563",
        )


def learned_from_known_images(run: Run) -> bool:
    """Return whether the images are known that the runs before a run have learned, where there are such."""
    training = run.manifest.training
    return training.distillation is None and (training.start is None or training.start.images_known)


def check_not_scored(run: Run, index: DatasetIndex, field: str, console: Console) -> None:
    """Refuse an earlier run that has learned images on which the training is scored.

    Args:
        run: The earlier run.
        index: The data set of the training.
        field: The field of the configuration that names the run.
        console: Where it is said that images cannot be compared.

    Raises:
        DataError: It was trained on validation or test images, or was selected on test images.
        RunError: The hashes of its images are damaged.
    """
    compared = _refuse_learned_files(run, index, field)
    if run.splits is None or run.manifest.data.name != index.name:
        console.print(
            f"{field}: {_not_compared(run, index, files=compared)} Make sure that the run has not learned "
            "validation or test images of this training, or masks that it leaves out.",
            style="yellow",
            markup=False,
            highlight=False,
        )
    check_unseen(index, run, "val")
    check_unseen(index, run, "test")


def _not_compared(run: Run, index: DatasetIndex, *, files: bool) -> str:
    """Say why the names of images are not compared, and whether files are."""
    if run.splits is None:
        names = f"{run.shown} does not say which images it was trained on, so their names are not compared."
    else:
        names = (
            f"{run.shown} was trained on data named {run.manifest.data.name}, and this training is on data "
            f"named {index.name}: image names of two data sets cannot be compared."
        )
    if files:
        return (
            f"{names} No validation or test image is the same file as an image that it has learned, but "
            "copies in other files are not recognised."
        )
    return f"{names} The run holds no hashes of its images, so the files are not compared either."


def _refuse_learned_files(run: Run, index: DatasetIndex, field: str) -> bool:
    """Refuse an earlier run that has learned an image file of the validation or test split.

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
                f"{field}: {run.shown} was trained or selected on {counted(len(seen), 'image')} of the "
                f"{split} split of {index.root} (for example {seen[0].id}; the files are equal), so scores "
                "of this training would say nothing. Name a run that has not learned these images.",
                code="LEX-DATA-1654",
            )
    return True


def refuse_revealed(run: Run, index: DatasetIndex, use: MaskUse, field: str) -> None:
    """Refuse an earlier run that has learned masks which the training leaves out.

    Args:
        run: The earlier run.
        index: The data set, with the images that are left out.
        use: Which training images take part.
        field: The field of the configuration that names the run.

    Raises:
        UsageError: It has.
        RunError: The hashes of its images are damaged.
    """
    left_out = set(use.left_out)
    hidden = [sample for sample in index.split("train") if sample.id in left_out]
    revealed = _learned_of(run, index, hidden) if hidden else []
    if revealed:
        raise UsageError(
            f"{field}: {run.shown} was trained on {counted(len(revealed), 'image')} whose masks this "
            f"training leaves out (for example {revealed[0]}), and would reveal them. Name a run that was "
            f"trained with the same --masks and --seed, or leave `{field}` out.",
            code="LEX-USE-1580",
        )


def _learned_of(run: Run, index: DatasetIndex, samples: Sequence[Sample]) -> list[str]:
    """Return the ids of the samples that a run was trained on: by name in the same data, and by file."""
    learned: set[str] = set()
    if run.splits is not None and run.manifest.data.name == index.name:
        trained = set(run.splits.train) - set(run.splits.left_out)
        learned.update(trained.intersection(sample.id for sample in samples))
    hashes = read_image_hashes(run.path)
    if hashes is not None:
        learned.update(sample.id for sample in hashes.learned_of(samples, "train"))
    return sorted(learned)
