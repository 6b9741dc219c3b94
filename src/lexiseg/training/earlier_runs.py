"""Finished runs that a training builds on: what they may have learned of its images."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.evaluation.checks import check_unseen
from lexiseg.printable import command_word, counted
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from lexiseg.training.unmasked_images import MaskUse

#: The splits from which an earlier run must have learned nothing.
_SCORED: tuple[Split, ...] = ("val", "test")


def with_training(manifest: Manifest, **fields: Any) -> Manifest:
    """Return the manifest of a training with other fields of `training`."""
    return manifest.model_copy(update={"training": manifest.training.model_copy(update=fields)})


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
            f"--out {command_word(run.shown)} --resume`, or name another run.",
            code="LEX-RUN-1563",
        )


def check_not_scored(learned: LearnedImages, index: DatasetIndex, field: str, console: Console) -> None:
    """Refuse an earlier run that has learned images on which the training is scored.

    Args:
        learned: What the earlier run has learned.
        index: The data set of the training.
        field: The field of the configuration that names the run.
        console: Where it is said that images cannot be compared.

    Raises:
        DataError: It was trained on validation or test images, or was selected on test images.
        RunError: The hashes of its images are damaged.
    """
    _refuse_learned_files(learned, index, field)
    if not learned.knows_names or not learned.same_data(index.name):
        console.print(
            f"{field}: {_not_compared(learned, index)} Make sure that the run has not learned "
            "validation or test images of this training, or masks that it leaves out.",
            style="yellow",
            markup=False,
            highlight=False,
        )
    check_unseen(index, learned.run, "val")
    check_unseen(index, learned.run, "test")


def _not_compared(learned: LearnedImages, index: DatasetIndex) -> str:
    """Say why the names of images are not compared, and whether files are."""
    run = learned.run
    if not learned.knows_names:
        names = f"{run.shown} does not say which images it was trained on, so their names are not compared."
    else:
        names = (
            f"{run.shown} was trained on data named {run.manifest.data.name}, and this training is on data "
            f"named {index.name}: image names of two data sets cannot be compared."
        )
    if learned.knows_files:
        return (
            f"{names} No validation or test image is the same file as an image that it has learned, but "
            "copies in other files are not recognised."
        )
    return f"{names} The run holds no hashes of its images, so the files are not compared either."


def _refuse_learned_files(learned: LearnedImages, index: DatasetIndex, field: str) -> None:
    """Refuse an earlier run that has learned an image file of the validation or test split.

    Raises:
        DataError: It has.
        RunError: The hashes of its images are damaged.
    """
    run = learned.run
    for split in _SCORED:
        seen = learned.by_file(index.split(split), split=split)
        if seen:
            raise DataError(
                f"{field}: {run.shown} was trained or selected on {counted(len(seen), 'image')} of the "
                f"{split} split of {index.root} (for example {seen[0].id}; the files are equal), so scores "
                "of this training would say nothing. Name a run that has not learned these images.",
                code="LEX-DATA-1654",
            )


def refuse_revealed(learned: LearnedImages, index: DatasetIndex, use: MaskUse, field: str) -> None:
    """Refuse an earlier run that has learned masks which the training leaves out.

    Args:
        learned: What the earlier run has learned.
        index: The data set, with the images that are left out.
        use: Which training images take part.
        field: The field of the configuration that names the run.

    Raises:
        UsageError: It has.
        RunError: The hashes of its images are damaged.
    """
    run, left_out = learned.run, set(use.left_out)
    hidden = [sample for sample in index.split("train") if sample.id in left_out]
    known = (*learned.by_name(hidden, data=index.name), *learned.by_file(hidden)) if hidden else ()
    # Pseudo labels reveal no masks.
    unknown = {sample.id for sample in learned.without_mask(known, data=index.name)}
    revealed = sorted({sample.id for sample in known} - unknown)
    if revealed:
        raise UsageError(
            f"{field}: {run.shown} was trained on {counted(len(revealed), 'image')} whose masks this "
            f"training leaves out (for example {revealed[0]}), and would reveal them. Name a run that was "
            f"trained with the same --masks and --seed, or leave `{field}` out.",
            code="LEX-USE-1580",
        )
