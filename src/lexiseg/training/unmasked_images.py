"""Which training images take part where some have no mask, and what those without do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lexiseg.data.name_hashes import order_key
from lexiseg.data.patient_groups import FOLDS, patient_groups
from lexiseg.data.sample import SPLITS, DatasetIndex, Sample, Split
from lexiseg.errors import DataError, UsageError
from lexiseg.printable import command_word, counted
from lexiseg.runs.manifest import MasksRecord
from lexiseg.runs.splits import SplitsRecord, WithMaskRecord, write_with_mask
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of
from lexiseg.training.description_words import some
from lexiseg.training.inputs.examples import Words
from lexiseg.training.text_source import WordSource
from lexiseg.words.description import UNKNOWN, Source

_SCORED: tuple[Split, ...] = ("val", "test")


@dataclass(frozen=True, kw_only=True)
class MaskUse:
    """Which training images take part.

    Attributes:
        index: The data set, without the images that are left out.
        images_per_pass: Images that count as one pass: all training images, so that arms which use them
            differently have equally many steps.
        left_out: Ids of the training images without mask that are left out.
        unmasked: What those that take part do; None if there are none.
        checked: Whether they take part only if words make better masks, by cross-validation.
    """

    index: DatasetIndex
    images_per_pass: int
    left_out: tuple[str, ...]
    unmasked: Literal["words", "pseudo_labels"] | None
    checked: bool = False

    @property
    def with_mask(self) -> tuple[str, ...]:
        """Ids of the training images with a mask."""
        return tuple(sample.id for sample in self.index.split("train") if sample.mask is not None)

    def sentence(self) -> str | None:
        """Return what is to be said before a training; None if every image has its mask."""
        shown, total = len(self.with_mask), self.images_per_pass
        if shown == total:
            return None
        how = {
            "words": "for the others, teachers draw masks that fit their words",
            "pseudo_labels": "for the others, teachers draw masks without words",
            None: "the others are left out",
        }[self.unmasked]
        have = "has" if shown == 1 else "have"
        return f"{shown} of {total} training images {have} a mask ({100 * shown / total:.3g} %); {how}."

    def with_masks_only(self) -> MaskUse:
        """Return this use with the images without mask left out, as the check of the labellers may decide."""
        kept = tuple(sample for sample in self.index.samples if sample.mask is not None)
        left_out = tuple(sample.id for sample in self.index.split("train") if sample.mask is None)
        return MaskUse(
            index=dataclasses.replace(self.index, samples=kept),
            images_per_pass=self.images_per_pass,
            left_out=left_out,
            unmasked=None,
        )

    def record(self, config: TrainConfig) -> MasksRecord:
        """Return what a run keeps of it."""
        return MasksRecord(
            share=config.masks,
            with_mask=len(self.with_mask),
            without_mask=len(self.index.split("train")) - len(self.with_mask),
            left_out=len(self.left_out),
            unmasked=self.unmasked or "leave_out",
        )

    def splits(self) -> SplitsRecord:
        """Return the ids of each split, as a run's `splits.json` holds them.

        Images that are left out stay in their split, so that copied beside the data the file splits it as it
        was; they are named once more as left out.
        """
        lists = {split: tuple(sample.id for sample in self.index.split(split)) for split in SPLITS}
        train = lists["train"]
        return SplitsRecord(
            train=tuple(sorted([*train, *self.left_out])) if self.left_out else train,
            val=lists["val"],
            test=lists["test"],
            left_out=self.left_out,
        )


def take_part(index: DatasetIndex, config: TrainConfig) -> MaskUse:
    """Settle which training images take part.

    Args:
        index: The data set; training images may lack a mask.
        config: The configuration.

    Raises:
        DataError: A validation or test image has no mask, or no training image has one.
        UsageError: Images without mask are to teach a network that cannot learn from them.
    """
    for split in _SCORED:
        missing = [str(sample.image) for sample in index.split(split) if sample.mask is None]
        if missing:
            raise DataError(
                f"Missing masks: no mask for {len(missing)} of {len(index.split(split))} {split} images: "
                f"{some(missing)}. Training images may lack a mask, but {split} images need one for "
                f"their scores. Add the masks, or move these images to the training split. "
                f"`lexiseg data check {command_word(index.root)}` lists all of them.",
                code="LEX-DATA-125",
            )
    train = index.split("train")
    without = [sample for sample in train if sample.mask is None]
    if train and len(without) == len(train):
        raise DataError(
            f"Missing masks: no training image of {index.root} has a mask ({counted(len(train), 'image')}). "
            f"Add at least one.",
            code="LEX-DATA-126",
        )
    if not without or config.unmasked == "leave_out":
        use = MaskUse(index=index, images_per_pass=len(train), left_out=(), unmasked=None)
        return use.with_masks_only()
    unmasked = config.unmasked or "words"
    _check_network(config, len(without))
    _check_folds(index, len(train) - len(without))
    return MaskUse(
        index=index,
        images_per_pass=len(train),
        left_out=(),
        unmasked=unmasked,
        checked=config.unmasked is None,
    )


def _check_folds(index: DatasetIndex, with_mask: int) -> None:
    """Refuse so few images with a mask that no labeller can be checked on images it was not trained on.

    Raises:
        UsageError: The images with a mask cannot be split.
    """
    groups = patient_groups(s for s in index.split("train") if s.mask is not None)
    if len(groups) < FOLDS:
        raise UsageError(
            f"Too few training images have a mask ({with_mask}, of {counted(len(groups), 'patient')}): "
            f"teachers that draw masks for the other images are checked on {FOLDS} parts of them, and a "
            "patient is in one part. Add masks, or leave the other images out: --unmasked leave_out.",
            code="LEX-USE-830",
        )


def _check_network(config: TrainConfig, count: int) -> None:
    if config.unmasked_settings is None:
        system = system_of(config)
        raise UsageError(
            f"{counted(count, 'training image has', 'training images have')} no mask, and the "
            f"{system.called} learns from masks only. Use another --preset, or "
            "leave these images out: --unmasked leave_out.",
            code="LEX-USE-073",
        )


def check_words_for_unmasked(use: MaskUse, source: WordSource) -> None:
    """Refuse images without mask that are to teach through words where there are none for them.

    Args:
        use: Which training images take part.
        source: Where words come from.

    Raises:
        DataError: Words would be measured from the masks, or there are no words.
    """
    if use.unmasked != "words" or source.text == "reports" or source.descriptions is not None:
        return
    missing = len(use.index.split("train")) - len(use.with_mask)
    why = "concepts are measured from masks" if source.text == "concepts" else "this training has no words"
    raise DataError(
        f"Missing masks: {counted(missing, 'training image has', 'training images have')} no mask, and no "
        f"words either: {why}. Only a report sheet or a description file (--text FILE.jsonl) gives words to "
        "images without mask. Add one, or leave these images out (--unmasked leave_out), or train on their "
        "pseudo labels only (--unmasked pseudo_labels).",
        code="LEX-DATA-127",
    )


def write_masks(folder: Path, use: MaskUse) -> None:
    """Write which training images had a mask, beside a new run; nothing if all had.

    Raises:
        DiskError: There is no space or no permission.
    """
    if use.sentence() is not None:
        write_with_mask(folder, WithMaskRecord(with_mask=use.with_mask))


def words_taught(words: Words, samples: Sequence[Sample], use: MaskUse) -> Words:
    """Return the words that are taught: none of images without mask if these teach without words."""
    if use.unmasked != "pseudo_labels":
        return words
    nothing = (UNKNOWN,) * len(words.vocabulary.factors)
    rows = [nothing if s.mask is None else row for s, row in zip(samples, words.indices, strict=True)]
    return Words(words.vocabulary, rows, source=words.source, side=words.side)


def shuffled(words: Words, samples: Sequence[Sample], *, seed: int) -> Words:
    """Give each sample another one's words.

    Samples are sorted by a hash of seed and id. Each gets the words of the next sample, the last those of the
    first, so no sample keeps its own words. Each description is used once, and the order in which the samples
    are given does not matter.

    Args:
        words: Words of the samples.
        samples: At least two.
        seed: Any whole number.

    Returns:
        The words; of measured ones the source becomes "reports", as they are no longer what measuring gives
        and must not be measured again after every random change.

    Raises:
        DataError: There is only one sample.
    """
    if len(samples) < 2:
        raise DataError(
            "`shuffle_words` needs at least two training images, but there is only one.", code="LEX-DATA-128"
        )
    keys = [order_key(sample.id, seed, "words") for sample in samples]
    ring = sorted(range(len(samples)), key=lambda position: keys[position])
    rows = list(words.indices)
    for position, following in zip(ring, [*ring[1:], ring[0]], strict=True):
        rows[position] = words.indices[following]
    source: Source = "reports" if words.source == "concepts" else words.source
    return Words(words.vocabulary, rows, source=source, side=words.side)
