"""Samples and the index of a data set; no pixels are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lexiseg.choices import Split as Split
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.omissions import Omission
from lexiseg.printable import brief, counted
from lexiseg.words.description import Side

SPLITS: tuple[Split, ...] = get_args(Split)

#: Usual names of each split, in lower case.
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

#: The splits that a training reads; it needs images of both.
LEARNED_SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image with its files and facts.

    Attributes:
        id: Name, unique in its data set: the image's file name without extension, or its case.
        image: The image file.
        mask: The mask file; None only where a caller of `open_dataset` allowed it.
        report: The report sentence, as written.
        split: The split it belongs to.
        patient: Patient id where known; splits and intervals keep patients together.
        source: Hospital, collection or data set it comes from, where the file name states it.
        spacing_mm: Pixel spacing (row, column) in millimetres, where known.
    """

    id: str
    image: Path
    mask: Path | None
    report: str | None = None
    split: Split
    patient: str | None = None
    source: str | None = None
    spacing_mm: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The id without the folder that distinguishes images of one name."""
        return self.id.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """A complete data set.

    Attributes:
        root: Its folder.
        name: Its name, from `dataset.yaml` or the folder.
        layout: Name of its folder layout (see `lexiseg.data.layouts.registry`), such as "folders".
        samples: All samples, sorted by split and id.
        coding: The rule from mask pixel values to labels.
        class_names: Name per label; index 0 is the background.
        vocabulary: Vocabulary name or file stated in `dataset.yaml`; None if it states none.
        side: Side convention of its reports stated in `dataset.yaml`; None if it states none.
        keyword: Name of the segmented structure, such as "polyp area", or names by class, stated in
            `dataset.yaml`; None if it states none.
        assumptions: Notes on what was assumed when opening it, and on what is left out, one sentence each.
        left_out: What its folder holds, but is not used, by reason.
        leaks: What its splits share, one sentence each, if the user insisted on using them.
    """

    root: Path
    name: str
    layout: str
    samples: tuple[Sample, ...]
    coding: MaskCoding
    class_names: tuple[str, ...]
    vocabulary: str | None = None
    side: Side | None = None
    keyword: str | dict[str, str] | None = None
    assumptions: tuple[str, ...] = ()
    left_out: tuple[Omission, ...] = ()
    leaks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(
            self,
            self.name,
            self.layout,
            counted(len(self.samples), "image"),
            ", ".join(self.class_names[1:]),
        )

    @property
    def num_classes(self) -> int:
        """Number of labels, background included."""
        return len(self.class_names)

    def split(self, name: Split) -> tuple[Sample, ...]:
        """Return the samples of one split."""
        return tuple(sample for sample in self.samples if sample.split == name)
