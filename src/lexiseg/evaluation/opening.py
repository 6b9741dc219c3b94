"""Opening the data set a run is scored, or fitted, on, as the run was trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lexiseg.data import DatasetIndex, Sample, Split, open_dataset
from lexiseg.data.layouts import name_of
from lexiseg.data.mask_hiding import hide_masks_except
from lexiseg.evaluation.checks import check_classes, check_split, check_unseen
from lexiseg.runs.run import Run


def open_for(runs: Sequence[Run], data: str | Path, split: Split) -> DatasetIndex:
    """Open a data set for a run, or for several that are averaged.

    Where the split is made anew each time, as in a folder that cannot be written to, the first run's seed
    makes the one it was trained on. Training masks that were hidden from one of the runs (`masks` of
    `TrainConfig`) are not opened, be it to learn their coding, unless the training split itself is to be
    scored.

    Args:
        runs: The run, and those it is averaged with.
        data: The data set's folder.
        split: The split whose masks will be read.

    Returns:
        The data set; images may lack a mask.

    Raises:
        DataError: The data set cannot be opened.
        RunError: A run's `masks.json` is missing or damaged.
    """
    shown = None if split == "train" else _shown(runs, data)

    def seen(samples: Sequence[Sample]) -> tuple[Sample, ...]:
        return tuple(samples) if shown is None else hide_masks_except(samples, shown)

    seed = runs[0].manifest.training.seed or 0
    index = open_dataset(data, seed=seed, allow_missing_masks=True, coded_by=seen)
    return replace(index, samples=seen(index.samples))


def open_checked(runs: Sequence[Run], data: str | Path, split: Split) -> DatasetIndex:
    """Open a data set for one run, or for several that are averaged, and refuse what cannot be scored.

    Args:
        runs: The run, and those it is averaged with.
        data: A data set folder.
        split: "train", "val" or "test".

    Raises:
        DataError: The data set cannot be opened, has no such split, other classes than a run, or the split
            holds images that a run has learned from.
        UsageError: There is no split of that name.
        RunError: A run's `masks.json` is missing or damaged.
    """
    index = open_for(runs, data, split)
    check_split(index, split)
    for run in runs:
        check_classes(index, run)
        check_unseen(index, run, split)
    return index


def _shown(runs: Sequence[Run], data: str | Path) -> frozenset[str] | None:
    """Return the ids of the training images whose masks all runs have seen; None where none was hidden."""
    hiding = [
        run
        for run in runs
        if run.manifest.data.masks is not None
        and run.manifest.data.masks.share is not None
        and run.manifest.data.name == name_of(data)
    ]
    seen = [frozenset(run.with_mask or ()) for run in hiding]
    return frozenset.intersection(*seen) if seen else None
