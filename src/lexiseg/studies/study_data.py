"""The data of a study: opened once, in part if wanted, and seen by each training without its hidden masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lexiseg.data import DatasetIndex, Sample, open_dataset
from lexiseg.data.layouts.open_dataset import scan_folder
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.name_hashes import order_key
from lexiseg.data.sample import LEARNED_SPLITS
from lexiseg.errors import DataError, UsageError
from lexiseg.printable import counted
from lexiseg.systems.configuration import TrainConfig


def open_study_data(
    data: Path, *, seeds: Sequence[int], limit: int | None = None, share: float | None = None
) -> DatasetIndex:
    """Open the data set of a study, and refuse one that every seed would split differently.

    The masks that are hidden from a training are not opened. The index names them, for trainings of other
    seeds; `with_hidden` takes them away.

    Args:
        data: The data set's folder.
        seeds: Seeds of the trainings.
        limit: Number of training images to keep; None: all.
        share: Share of the training masks that each training uses, 0..1; None: all.

    Raises:
        DataError: The data set cannot be opened, or has no split and none can be written into it.
        UsageError: There are fewer training images than `limit`.
    """
    seen = None if share is None else partial(seen_by_all, limit=limit, share=share, seeds=seeds)
    index = open_dataset(data, seed=seeds[0], allow_missing_masks=True, coded_by=seen)
    if len(seeds) > 1:
        _, again = scan_folder(index.root, seed=seeds[1])
        if [(s.id, s.split) for s in again.samples] != [(s.id, s.split) for s in index.samples]:
            raise DataError(
                f"{data} has no split, and none can be written into it, so each seed would have a different "
                f"split. Add a splits.json to the data set folder.",
                code="LEX-DATA-148",
            )
    return limited(index, limit)


def has_reports(index: DatasetIndex) -> bool:
    """Return whether every training and validation image has a report."""
    return all(sample.report for split in LEARNED_SPLITS for sample in index.split(split))


def limited(index: DatasetIndex, limit: int | None) -> DatasetIndex:
    """Return a data set with some of its training images; validation and test stay whole.

    The choice is by a hash of the ids, so it is the same on every machine, in every arm and for every seed,
    and a smaller limit takes a part of what a larger one takes.

    Args:
        index: The data set.
        limit: Number of training images to keep; None keeps all.

    Raises:
        UsageError: There are fewer.
    """
    if limit is None:
        return index
    train = index.split("train")
    if limit > len(train):
        raise UsageError(
            f"--limit {limit} is more than the {counted(len(train), 'training image')} of {index.root}.",
            code="LEX-USE-101",
        )
    return replace(index, samples=_first(index.samples, limit))


def _first(samples: Sequence[Sample], limit: int | None) -> tuple[Sample, ...]:
    """Return samples with the first training images in the order of a hash of their ids."""
    train = [sample for sample in samples if sample.split == "train"]
    train.sort(key=lambda sample: order_key(sample.id, "audit"))
    kept = {sample.id for sample in train[:limit]}
    return tuple(sample for sample in samples if sample.split != "train" or sample.id in kept)


def seen_by_all(
    samples: Sequence[Sample], *, limit: int | None, share: float, seeds: Sequence[int]
) -> tuple[Sample, ...]:
    """Return the samples whose masks every training uses: they may be opened before anything is trained.

    Args:
        samples: All samples.
        limit: Number of training images that are kept; None: all.
        share: Share of their masks that a training uses, chosen by its seed, 0..1.
        seeds: Seeds of the trainings.
    """
    kept = _first(samples, limit)
    masked = [
        {sample.id for sample in hide_masks(kept, share=share, seed=seed) if sample.mask is not None}
        for seed in seeds
    ]
    return tuple(sample for sample in kept if all(sample.id in ids for ids in masked))


def with_hidden(index: DatasetIndex, config: TrainConfig) -> DatasetIndex:
    """Return a data set as a training of this configuration sees it: without the masks it must not use."""
    if config.masks is None:
        return index
    return replace(index, samples=hide_masks(index.samples, share=config.masks, seed=config.seed))


def images_without_mask(index: DatasetIndex, config: TrainConfig) -> int:
    """Return how many training images have no mask, or lose theirs by this configuration."""
    return sum(sample.mask is None for sample in with_hidden(index, config).split("train"))
