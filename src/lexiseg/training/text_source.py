"""From a data set to the words of its training and validation samples."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from lexiseg.data.readers import read_pair
from lexiseg.data.sample import LEARNED_SPLITS, DatasetIndex, Sample, Split
from lexiseg.describing.description_file import DescriptionFile, read_descriptions
from lexiseg.errors import DataError
from lexiseg.runs.manifest import TextSource
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.description_words import described_words, some
from lexiseg.training.inputs.examples import Words
from lexiseg.words.description import DESCRIPTIONS_SUFFIX, UNKNOWN, Side
from lexiseg.words.measure import measure_indices
from lexiseg.words.reading.reports import parse_sheet
from lexiseg.words.vocabulary import Vocabulary


@dataclass(frozen=True)
class WordSource:
    """Where the words of a training come from.

    Attributes:
        text: "reports", "concepts", "lmm", or "none": there are no words.
        descriptions: The description file that says them; None: they are read from the sheet, or measured.
    """

    text: TextSource
    descriptions: DescriptionFile | None = None

    @classmethod
    def of(cls, index: DatasetIndex, config: TrainConfig) -> WordSource:
        """Return where the words of a training come from.

        Args:
            index: The data set, without the images that are left out.
            config: The configuration.

        Raises:
            DataError: The description file cannot be read, or a training or validation image has no report.
        """
        if config.text.endswith(DESCRIPTIONS_SUFFIX):
            descriptions = read_descriptions(config.text)
            return cls(descriptions.source, descriptions)
        return cls(
            choose_text(config.text, [sample for split in LEARNED_SPLITS for sample in index.split(split)])
        )

    @property
    def reads_sheet(self) -> bool:
        """Whether the words are those of the reports in the sheet of the data set."""
        return self.text == "reports" and self.descriptions is None

    def side(self, index: DatasetIndex, vocabulary: Vocabulary) -> Side:
        """Return the side convention of the words: the file's, the sheet's, or the image's if measured."""
        if self.descriptions is not None:
            return self.descriptions.side
        return "image" if self.text == "concepts" else index.side or vocabulary.side

    def words(
        self, index: DatasetIndex, split: Split, vocabulary: Vocabulary, *, side: Side
    ) -> tuple[Words, tuple[str, ...]]:
        """Read or measure the words of every sample of a split.

        Args:
            index: The data set.
            split: "train" or "val".
            vocabulary: The vocabulary.
            side: Side convention of the words.

        Returns:
            The words, and what could not be read, one sentence each.

        Raises:
            DataError: No report can be read, or a mask or image cannot.
        """
        assert self.text != "none"
        samples = index.split(split)
        if self.descriptions is not None:
            said = described_words(self.descriptions, index, samples, vocabulary, side)
        elif self.text == "concepts":
            said = _measured(index, samples, vocabulary, side)
        else:
            return _read(samples, vocabulary, side)
        return Words(vocabulary, said, source=self.text, side=side), ()


def choose_text(choice: str, samples: Sequence[Sample]) -> TextSource:
    """Say where words come from that no description file says.

    Args:
        choice: "reports", "concepts", "none", or "auto": reports if every sample has one, concepts if none
            has.
        samples: The training and validation samples.

    Raises:
        DataError: Reports are chosen, or some samples have one, but others have none.
    """
    without = [sample.id for sample in samples if not sample.report]
    if choice == "auto" and len(without) == len(samples):
        return "concepts"
    if choice in ("auto", "reports") and without:
        raise DataError(
            f"Training with reports needs a report for every training and validation image; {len(without)} "
            f"of {len(samples)} have none ({some(without)}). Add them to the sheet, or use --text concepts.",
            code="LEX-DATA-133",
        )
    return cast(TextSource, "reports" if choice == "auto" else choice)


def _read(samples: Sequence[Sample], vocabulary: Vocabulary, side: Side) -> tuple[Words, tuple[str, ...]]:
    sheet = parse_sheet({sample.id: sample.report or "" for sample in samples}, vocabulary, side=side)
    if samples and all(
        i == UNKNOWN for description in sheet.descriptions.values() for i in description.indices
    ):
        raise DataError(
            f"No report of the {samples[0].split} split can be read with the vocabulary '{vocabulary.name}' "
            f"(for example: '{samples[0].report}'). Name another with --vocabulary, or use --text concepts.",
            code="LEX-DATA-134",
        )
    notes: tuple[str, ...] = ()
    if sheet.unreadable:
        notes = (
            f"{len(sheet.unreadable)} of {len(samples)} {samples[0].split} reports could not be read in full "
            f"({some(list(sheet.unreadable))}); what is unknown is left out of the losses. `lexiseg data "
            f"check` quotes them.",
        )
    if sheet.repaired:
        notes += (
            f"{len(sheet.repaired)} of {len(samples)} {samples[0].split} reports were read with repaired "
            f"typing errors: {sheet.list_repairs()}.",
        )
    indices = [sheet.descriptions[sample.id].indices for sample in samples]
    return Words(vocabulary, indices, source="reports", side=side), notes


def _measured(
    index: DatasetIndex, samples: Sequence[Sample], vocabulary: Vocabulary, side: Side
) -> list[tuple[int, ...]]:
    """Measure every mask on its own grid, with its image's pixels; without mask nothing is known."""

    def measured(sample: Sample) -> tuple[int, ...]:
        if sample.mask is None:
            return (UNKNOWN,) * len(vocabulary.factors)
        image, labels = read_pair(sample, index.coding)
        return measure_indices(labels, vocabulary, image=image, side=side)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(measured, samples))
