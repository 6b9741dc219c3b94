"""Cases the two commands on reports and masks share: what each report says, and its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lexiseg.data import DatasetIndex, Split, open_dataset
from lexiseg.data.readers import read_mask
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image with a report and a mask.

    Attributes:
        reported: Phrase index per factor, as the report is written.
        mask: (H, W) labels.
    """

    reported: tuple[int, ...]
    mask: NDArray[Any]


def open_reports(folder: Path, vocabulary: str | None) -> tuple[DatasetIndex, Vocabulary]:
    """Open a data set with the vocabulary of its reports: the one asked for, its own, or "chest"."""
    index = open_dataset(folder)
    return index, load_vocabulary(vocabulary or index.vocabulary or "chest")


def cases_of(index: DatasetIndex, split: Split, vocabulary: Vocabulary) -> list[Case]:
    """Return all samples of a split that have a report and a mask."""
    return [
        Case(
            reported=parse_report(sample.report, vocabulary).indices,
            mask=read_mask(sample.mask, index.coding),
        )
        for sample in index.split(split)
        if sample.report is not None and sample.mask is not None
    ]
