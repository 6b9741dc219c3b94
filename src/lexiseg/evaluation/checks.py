"""What is refused before a run is scored, or fitted, on a split."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.data import SPLITS, DatasetIndex, Sample, Split
from lexiseg.data.leaks import content_digests
from lexiseg.errors import DataError, UsageError
from lexiseg.printable import counted
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run


def check_split(index: DatasetIndex, split: Split) -> tuple[Sample, ...]:
    """Return the samples of a split that exists and is not empty.

    Raises:
        UsageError: There is no split of that name.
        DataError: It holds no images.
    """
    if split not in SPLITS:
        raise UsageError(f"Unknown split '{split}': expected one of {', '.join(SPLITS)}.", code="LEX-USE-081")
    samples = index.split(split)
    if not samples:
        sizes = ", ".join(f"{name}: {len(index.split(name))}" for name in SPLITS)
        raise DataError(
            f"{index.root} has no images in its {split} split ({sizes}). Choose another one with --split.",
            code="LEX-DATA-138",
        )
    return samples


def check_unseen(index: DatasetIndex, run: Run, split: Split) -> None:
    """Refuse a split that holds images the run has learned from, or, for "test", was selected on.

    Training images that were left out as they had no mask count too: others of the same patients may have
    been learned from. `LearnedImages` says how images are compared. The train split may always be scored.

    Raises:
        DataError: It does.
        RunError: The hashes of the run's images are damaged.
    """
    if split == "train":
        return
    learned = LearnedImages(run)
    _check_unseen_names(index, learned, split)
    _check_unseen_files(index, learned, split)


def _check_unseen_files(index: DatasetIndex, learned: LearnedImages, split: Split) -> None:
    run, seen = learned.run, learned.by_file(index.split(split), split=split)
    if seen and learned.same_data(index.name):
        seen = _not_in_training_data(seen, index, split)
    if seen:
        raise DataError(
            f"The {split} split of {index.root} holds {counted(len(seen), 'image')} on which the run in "
            f"{run.shown} was trained or selected (for example {seen[0].id}), so their scores would say "
            f"nothing: the files are equal, whatever their names (the data of the training are named "
            f"{run.manifest.data.name}). Take these images out of the split, or use a run that has not "
            "learned them.",
            code="LEX-DATA-1801",
        )


def _not_in_training_data(seen: Sequence[Sample], index: DatasetIndex, split: Split) -> tuple[Sample, ...]:
    """Return the samples without those that the data set itself holds in an earlier split too.

    `refuse_leaks` decides on the latter, and a person can insist on them.
    """
    earlier = [*index.split("train"), *(index.split("val") if split == "test" else ())]
    digests = content_digests([sample.image for sample in (*earlier, *seen)])
    inside = {digests[sample.image] for sample in earlier if sample.image in digests}
    return tuple(sample for sample in seen if digests[sample.image] not in inside)


def _check_unseen_names(index: DatasetIndex, learned: LearnedImages, split: Split) -> None:
    run = learned.run
    seen = learned.in_splits(index.split(split), data=index.name, split=split)
    if seen:
        how = (
            f"of the training split of the run in {run.shown}, which left them out as they had no mask (for "
            f"example {seen[0].id}); others of the same patients may have been learned from"
            if not learned.by_name(seen, data=index.name, split=split)
            else f"on which the run in {run.shown} was trained or selected (for example {seen[0].id}), so "
            f"their scores would say nothing"
        )
        raise DataError(
            f"The {split} split of {index.root} holds {counted(len(seen), 'image')} {how}: this is not the "
            f"split of the training. Copy {run.path / 'splits.json'} beside the data, or, if this is another "
            "data set, give it a name of its own in dataset.yaml.",
            code="LEX-DATA-139",
        )


def check_classes(index: DatasetIndex, run: Run) -> None:
    """Refuse data whose classes are not those of the run.

    Raises:
        DataError: They are not as many, or, with several, not the same names in the same order.
    """
    if len(index.class_names) != len(run.class_names):
        raise DataError(
            f"The run {run.shown} segments {', '.join(run.class_names[1:])}, but the masks of {index.root} "
            f"hold {', '.join(index.class_names[1:])}. Use data with the same classes, or list them under "
            f"`classes` in {index.root / 'dataset.yaml'}.",
            code="LEX-DATA-140",
        )
    # With one foreground class its name is a matter of taste; with more, labels go by number.
    if len(run.class_names) > 2 and tuple(index.class_names) != tuple(run.class_names):
        raise DataError(
            f"The classes of the run {run.shown} are {', '.join(run.class_names)}, those of {index.root} are "
            f"{', '.join(index.class_names)}; expected the same names in the same order. Name them under "
            f"`classes` in {index.root / 'dataset.yaml'}.",
            code="LEX-DATA-141",
        )
