"""Description lines of images and classes, measured or read from the report sheet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.readers import read_pair
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.data.side_check import refuse_other_side
from lexiseg.describing.description_file import (
    Check,
    DescriptionLine,
    Difference,
    MeasuredProvenance,
    ModelProvenance,
    SheetProvenance,
)
from lexiseg.describing.regions_of_interest import roi_image, write_roi
from lexiseg.errors import DataError
from lexiseg.outputs.output_folder import OutputFolder
from lexiseg.printable import counted
from lexiseg.words.description import UNKNOWN, Description, Side
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure, measure_indices
from lexiseg.words.reading.reports import parse_sheet
from lexiseg.words.side_convention import infer_side
from lexiseg.words.vocabulary import Vocabulary

R = TypeVar("R")

#: Called with each new line.
LineCallback = Callable[[DescriptionLine], DescriptionLine]


@dataclass(frozen=True, kw_only=True)
class Region:
    """Pixels of one region.

    Attributes:
        image: (H, W, 3) uint8.
        lesion: (H, W) bool.
    """

    image: npt.NDArray[np.uint8]
    lesion: npt.NDArray[np.bool_]

    @property
    def roi(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8: the image where the lesion is, zero elsewhere."""
        return roi_image(self.image, self.lesion)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image or class to describe.

    Attributes:
        sample: The image.
        coding: How its mask becomes labels.
        label: The class; None: all classes together.
        class_name: Name of the class; None: the line describes the whole image.
        vocabulary: The vocabulary, with the keyword of the class.
    """

    sample: Sample
    coding: MaskCoding
    label: int | None
    class_name: str | None
    vocabulary: Vocabulary

    @property
    def roi_name(self) -> str:
        """Name of the region of interest."""
        return self.sample.id if self.label is None else f"{self.sample.id}_class{self.label}"

    def read(self, rois: OutputFolder | None) -> Region:
        """Read image and mask of a sample with a mask; write the region of interest to the folder `rois`."""
        image, labels = read_pair(self.sample, self.coding)
        region = Region(image=image, lesion=labels != 0 if self.label is None else labels == self.label)
        if rois is not None:
            write_roi(rois, self.roi_name, region.roi)
        return region

    def line(
        self,
        words: Description,
        *,
        provenance: MeasuredProvenance | SheetProvenance | ModelProvenance,
        check: Check | None,
    ) -> DescriptionLine:
        """Return the line with the words of this row."""
        return DescriptionLine(
            id=self.sample.id,
            class_name=self.class_name,
            factors=words.phrases,
            sentence=words.sentence,
            side=words.side,
            vocabulary=self.vocabulary.name,
            provenance=provenance,
            check=check,
            problems=words.problems,
        )

    def measured(self, region: Region, provenance: MeasuredProvenance | ModelProvenance) -> DescriptionLine:
        """Return the line with measured words, in the image's side convention."""
        words = measure(region.lesion, self.vocabulary, image=region.image, side="image")
        return self.line(words, provenance=provenance, check=Check(how="measured"))


def describe_measured(
    rows: Sequence[Row], *, rois: OutputFolder | None, done: LineCallback
) -> list[DescriptionLine]:
    """Measure every row on its mask and pixels at their original size.

    Raises:
        DataError: An image or a mask cannot be read.
    """
    return _each(rows, lambda row: row.measured(row.read(rois), MeasuredProvenance()), done)


def describe_reports(
    rows: Sequence[Row], index: DatasetIndex, *, rois: OutputFolder | None, done: LineCallback
) -> list[DescriptionLine]:
    """Read the report of every row and compare it with its mask, if it has one, without corrections.

    Raises:
        DataError: A row has no report, the masks show that the reports use the other side convention, or an
            image or a mask cannot be read.
    """
    without = [row.sample.id for row in rows if not row.sample.report]
    if without:
        raise DataError(
            f"No report for {len(without)} of {counted(len(rows), 'image')} ({', '.join(without[:5])}"
            f"{', ...' if without[5:] else ''}). Add them to the sheet, or use --source concepts.",
            code="LEX-DATA-115",
        )
    vocabulary = rows[0].vocabulary
    side = index.side or vocabulary.side
    sheet = parse_sheet({row.sample.id: row.sample.report or "" for row in rows}, vocabulary, side=side)

    def measured(row: Row) -> tuple[int, ...] | None:
        if row.sample.mask is None:
            return None
        region = row.read(rois)
        return measure_indices(region.lesion, vocabulary, image=region.image, side="image")

    seen = _each(rows, measured, lambda indices: indices)
    readings = [sheet.descriptions[row.sample.id] for row in rows]
    pairs = [(words.indices, shown) for words, shown in zip(readings, seen, strict=True) if shown is not None]
    refuse_other_side(index, infer_side(pairs, vocabulary), stated=side)
    return [
        done(_report_line(row, words, on_mask, side))
        for row, words, on_mask in zip(rows, readings, seen, strict=True)
    ]


def _report_line(
    row: Row, words: Description, on_mask: tuple[int, ...] | None, side: Side
) -> DescriptionLine:
    """Return the line of a report, with the differences from the mask."""
    check = None if on_mask is None else _comparison(row, words, on_mask, side)
    repairs = {repair.found: repair.meant for reading in words.readings for repair in reading.repairs}
    provenance = SheetProvenance(row=row.sample.report or "", repairs=repairs)
    return row.line(words, provenance=provenance, check=check)


def _comparison(row: Row, words: Description, on_mask: tuple[int, ...], side: Side) -> Check:
    measured = to_side(row.vocabulary, on_mask, given="image", wanted=side)
    differs = tuple(
        Difference(factor=factor.name, said=factor.phrases[said], measured=factor.phrases[other])
        for factor, said, other in zip(row.vocabulary.factors, words.indices, measured, strict=True)
        if UNKNOWN not in (said, other) and said != other
    )
    return Check(how="compared", differs=differs)


def _each(rows: Sequence[Row], make: Callable[[Row], R], done: Callable[[R], R]) -> list[R]:
    """Return the result of `make` for each row, in order."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return [done(made) for made in pool.map(make, rows)]
