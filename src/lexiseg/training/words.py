"""From a data set to the words of its training and validation samples."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.errors import DataError
from lexiseg.run import TextSource
from lexiseg.text.encoders import TextEncoder
from lexiseg.text.groups import choose_vocabulary, group_sentences
from lexiseg.text.reports import parse_sheet
from lexiseg.training.config import TextChoice
from lexiseg.training.examples import Words
from lexiseg.training.pixels import read_pair
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.grammar import Keyword
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: Measured words of a data set that names no vocabulary and has no readable sheet.
DEFAULT_CONCEPTS = "polyp"

_NAMED = 5


def choose_text(choice: TextChoice, samples: Sequence[Sample]) -> TextSource:
    """Resolve "auto": reports if every sample has one, concepts if none has.

    Raises:
        DataError: Reports are asked for, or are there for some, but other samples have none.
    """
    without = [sample.id for sample in samples if not sample.report]
    if choice == "auto" and len(without) == len(samples):
        return "concepts"
    if choice in ("auto", "reports") and without:
        raise DataError(
            f"Training with reports needs a report for every training and validation image; {len(without)} "
            f"of {len(samples)} have none ({_some(without)}). Add them to the sheet, or use --text concepts."
        )
    return "reports" if choice == "auto" else choice


def find_vocabulary(
    index: DatasetIndex, *, text: TextSource, wanted: str | None, encoder: TextEncoder
) -> tuple[Vocabulary, tuple[str, ...]]:
    """Find the vocabulary of a data set's words; the test split is not looked at.

    Args:
        index: The data set.
        text: "reports" or "concepts".
        wanted: Name or file the user asks for; None takes the data set's, or finds one that reads the sheet.
        encoder: Groups the sentences of a sheet in no known grammar.

    Returns:
        The vocabulary, and what was assumed, one sentence each.

    Raises:
        DataError: The vocabulary does not exist, or the sheet is free prose that cannot be grouped.
    """
    vocabulary, notes = _find_vocabulary(index, text=text, named=wanted or index.vocabulary, encoder=encoder)
    if index.keyword is not None:
        keyword = Keyword(
            singular=index.keyword, plural=f"{index.keyword}s", counted_by=vocabulary.keyword.counted_by
        )
        vocabulary = Vocabulary.from_dict({**vocabulary.to_dict(), "keyword": keyword.model_dump()})
    return vocabulary, notes


def _find_vocabulary(
    index: DatasetIndex, *, text: TextSource, named: str | None, encoder: TextEncoder
) -> tuple[Vocabulary, tuple[str, ...]]:
    if named is not None:
        return load_vocabulary(named), ()
    train = index.split("train")
    found = _vocabulary_of_sheet(train)
    if text == "concepts":
        chosen = found or load_vocabulary(DEFAULT_CONCEPTS)
        return chosen, (
            f"Words are measured with the vocabulary '{chosen.name}'; --vocabulary names another.",
        )
    if found is not None:
        return found, (f"The sheet is read with the vocabulary '{found.name}'.",)
    sentences = [sample.report or "" for sample in train]
    grouped = group_sentences(
        sentences, lambda texts: encoder.embed_sentences(texts).numpy(), side=index.side or "image"
    )
    note = (
        f"The sheet is in no known grammar; its {len(set(sentences))} distinct sentences became one factor "
        f"of {grouped.sizes[0]} phrases."
    )
    return grouped, (note,)


def side_of(index: DatasetIndex, vocabulary: Vocabulary, text: TextSource) -> Side:
    """Return the side convention of the words: the sheet's, or the image's where they are measured on it."""
    return "image" if text == "concepts" else index.side or vocabulary.side


def words_of(
    index: DatasetIndex, split: Split, vocabulary: Vocabulary, *, text: TextSource, side: Side
) -> tuple[Words, tuple[str, ...]]:
    """Read or measure the words of every sample of a split.

    Args:
        index: The data set.
        split: "train" or "val".
        vocabulary: The vocabulary.
        text: "reports" or "concepts".
        side: Side convention of the words.

    Returns:
        The words, and what could not be read, one sentence each.

    Raises:
        DataError: No report can be read, or a mask or image cannot.
    """
    samples = index.split(split)
    if text == "concepts":
        return Words(
            vocabulary, _measured(index, samples, vocabulary, side), source="concepts", side=side
        ), ()
    return _read(samples, vocabulary, side)


def _vocabulary_of_sheet(samples: Sequence[Sample]) -> Vocabulary | None:
    """Return the shipped vocabulary that reads the samples' reports; None if none does, or there are none."""
    sentences = [sample.report for sample in samples if sample.report]
    return choose_vocabulary(sentences) if sentences else None


def _read(samples: Sequence[Sample], vocabulary: Vocabulary, side: Side) -> tuple[Words, tuple[str, ...]]:
    sheet = parse_sheet({sample.id: sample.report or "" for sample in samples}, vocabulary, side=side)
    if samples and all(
        i == UNKNOWN for description in sheet.descriptions.values() for i in description.indices
    ):
        raise DataError(
            f"No report of the {samples[0].split} split can be read with the vocabulary '{vocabulary.name}' "
            f"(for example: '{samples[0].report}'). Name another with --vocabulary, or use --text concepts."
        )
    notes: tuple[str, ...] = ()
    if sheet.unreadable:
        notes = (
            f"{len(sheet.unreadable)} of {len(samples)} {samples[0].split} reports could not be read in full "
            f"({_some(list(sheet.unreadable))}); what is unknown is left out of the losses. `lexiseg data "
            f"check` quotes them.",
        )
    indices = [sheet.descriptions[sample.id].indices for sample in samples]
    return Words(vocabulary, indices, source="reports", side=side), notes


def _measured(
    index: DatasetIndex, samples: Sequence[Sample], vocabulary: Vocabulary, side: Side
) -> list[tuple[int, ...]]:
    """Measure every mask on its own grid, with its image's pixels."""

    def measured(sample: Sample) -> tuple[int, ...]:
        image, labels = read_pair(sample, index.coding)
        return measure_indices(labels, vocabulary, image=image, side=side)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(measured, samples))


def _some(names: Sequence[str]) -> str:
    """Return the first names, with dots if there are more."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
