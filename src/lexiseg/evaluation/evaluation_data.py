"""The data set of an evaluation: opened once for all runs, seen by each run as its training saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lexiseg.data import DatasetIndex, Sample, Split, open_dataset
from lexiseg.data.layouts.open_dataset import name_of, scan_folder
from lexiseg.data.leaks import refuse_leaks
from lexiseg.data.mask_hiding import hide_masks_except
from lexiseg.errors import DataError
from lexiseg.evaluation.checks import check_classes, check_split, check_unseen
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run


def open_for_runs(runs: Sequence[Run], data: str | Path, split: Split) -> DatasetIndex:
    """Open a data set for one run, or for several.

    If the data set has no split and none can be written into its folder, the split is made with the seed of
    the first run, so it is the split of that training. The mask coding is learned from masks that no run had
    hidden from it (`masks` of `TrainConfig`), unless the training split itself is to be scored.

    Args:
        runs: The runs; at least one.
        data: The data set's folder.
        split: The split whose masks will be read.

    Returns:
        The data set with all its masks; images may lack one. `seen_by` takes the hidden ones away.

    Raises:
        DataError: The data set cannot be opened.
        RunError: A run's `masks.json` is missing or damaged.
    """
    shown = None if split == "train" else _shown(runs, name_of(data))

    def seen(samples: Sequence[Sample]) -> Sequence[Sample]:
        return samples if shown is None else hide_masks_except(samples, shown)

    return open_dataset(data, seed=_seed(runs[0]), allow_missing_masks=True, coded_by=seen)


def open_scorable(
    runs: Sequence[Run], data: str | Path, split: Split, *, allow_leak: bool = False
) -> DatasetIndex:
    """Open a data set for one run, or for several, and refuse what cannot be scored.

    Args:
        runs: The runs; at least one.
        data: The data set's folder.
        split: "train", "val" or "test".
        allow_leak: Whether the split may share images or patients with the splits before it.

    Raises:
        DataError: The data set cannot be opened, has no such split, has other classes than a run, or the
            split holds images that a run has learned from, or shares images or patients with such splits.
        UsageError: There is no split of that name.
        RunError: A run's `masks.json` is missing or damaged.
    """
    index = open_for_runs(runs, data, split)
    check_split(index, split)
    for run in runs:
        check_classes(index, run)
        check_unseen(index, run, split)
    return refuse_leaks(index, allow=allow_leak, scored=split)


def seen_by(runs: Sequence[Run], index: DatasetIndex, split: Split) -> DatasetIndex:
    """Return a data set without the training masks that were hidden from one of the runs.

    Args:
        runs: A run, and those it is averaged with.
        index: The data set.
        split: The split whose masks will be read; "train" hides nothing.

    Raises:
        RunError: A run's `masks.json` is missing or damaged.
    """
    shown = None if split == "train" else _shown(runs, index.name)
    return index if shown is None else replace(index, samples=hide_masks_except(index.samples, shown))


def check_same_cases(runs: Mapping[str, Run], index: DatasetIndex, split: Split) -> None:
    """Refuse runs whose trainings split the data differently: they would be scored on different images.

    This happens where the data set has no split and its folder cannot be written to: each training then made
    a split of its own, by its seed. Such a split is made again from the file names; no image is opened.

    Args:
        runs: Runs by name; the data set was opened for the first.
        index: The data set.
        split: The split that will be scored.

    Raises:
        DataError: The split of another run has other images.
    """
    first, *others = runs
    ids = sorted(sample.id for sample in index.split(split))
    for other in others:
        if _seed(runs[other]) == _seed(runs[first]):
            continue
        _, scan = scan_folder(index.root, seed=_seed(runs[other]))
        if sorted(sample.id for sample in scan.samples if sample.split == split) != ids:
            raise DataError(
                f"The runs {first} and {other} split {index.root} differently, so their {split} images are "
                f"not the same: the data set has no split of its own, and they were trained with different "
                f"seeds. Copy `splits.json` of one of them beside the data.",
                code="LEX-DATA-146",
            )


def _seed(run: Run) -> int:
    return run.manifest.training.seed or 0


def _shown(runs: Sequence[Run], data_name: str) -> frozenset[str] | None:
    """Return the ids of the training images whose masks all runs have seen; None if none was hidden."""
    hiding = [
        run
        for run in runs
        if run.manifest.data.masks is not None
        and run.manifest.data.masks.share is not None
        and LearnedImages(run).same_data(data_name)
    ]
    seen = [frozenset(run.with_mask or ()) for run in hiding]
    return frozenset.intersection(*seen) if seen else None
