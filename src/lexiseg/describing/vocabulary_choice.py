"""The vocabulary of a data set's descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.embeddings.text_encoders import TextEncoder
from lexiseg.errors import DataError
from lexiseg.printable import counted
from lexiseg.words.grammar import Keyword
from lexiseg.words.reading.mirrored_sentences import mirror_note
from lexiseg.words.reading.sentence_groups import advice_to_read, choose_vocabulary, group_sentences
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: Vocabulary of measured words for a data set that states none and has no readable sheet.
DEFAULT = "polyp"

#: Name of several classes together in sentences, for lesions and organs.
SEVERAL = "area"


def find_vocabulary(
    index: DatasetIndex,
    *,
    text: Literal["reports", "concepts", "lmm"],
    wanted: str | None,
    encoder: TextEncoder | None,
) -> tuple[Vocabulary, tuple[str, ...]]:
    """Choose the vocabulary of a data set; the test split is not used.

    Args:
        index: The data set.
        text: Where the words come from.
        wanted: Name or file given by the user; None takes the data set's, or one that reads the sheet.
        encoder: Text encoder that groups the sentences of a sheet without a known grammar; None refuses such
            a sheet.

    Returns:
        The vocabulary with the data set's keyword, and notes on what was assumed, one sentence each.

    Raises:
        DataError: The vocabulary does not exist, or the sheet is free text that cannot be grouped.
    """
    vocabulary, notes = _find(index, text=text, named=wanted or index.vocabulary, encoder=encoder)
    if vocabulary.quotes_sentences and index.side is not None:
        vocabulary = vocabulary.with_stated_side()
    return with_keyword_of(vocabulary, index), notes


def with_keyword_of(vocabulary: Vocabulary, index: DatasetIndex) -> Vocabulary:
    """Return the vocabulary with the data set's name for everything that is segmented.

    For several classes without a stated common name this is `SEVERAL`, not the vocabulary's own name, which
    is for one kind of lesion.
    """
    stated = index.keyword
    if isinstance(stated, dict):
        stated = stated.get(index.class_names[1]) if index.num_classes == 2 else None
    if stated is None and index.num_classes > 2:
        stated = SEVERAL
    return vocabulary if stated is None else with_keyword(vocabulary, stated)


def keyword_of_class(index: DatasetIndex, label: int) -> str:
    """Return the keyword of one of several classes: stated in `dataset.yaml`, or its name."""
    name = index.class_names[label]
    return index.keyword.get(name, name) if isinstance(index.keyword, dict) else name


def keyword_notes(vocabulary: Vocabulary, index: DatasetIndex) -> tuple[str, ...]:
    """Return a note if sentences use the vocabulary's keyword because the data set states none."""
    uses_keyword = any("{keyword}" in part for clause in vocabulary.sentence.clauses for part in clause.parts)
    if index.keyword or index.num_classes > 2 or not uses_keyword:
        return ()
    word = vocabulary.keyword.singular
    return (
        f"Sentences use the word '{word}'. If something else is segmented, state `keyword` in dataset.yaml.",
    )


def with_keyword(vocabulary: Vocabulary, keyword: str) -> Vocabulary:
    """Return the vocabulary with another keyword, whose plural ends in s."""
    word = Keyword(singular=keyword, plural=f"{keyword}s", counted_by=vocabulary.keyword.counted_by)
    return Vocabulary.from_dict({**vocabulary.to_dict(), "keyword": word.model_dump()})


def _find(
    index: DatasetIndex,
    *,
    text: Literal["reports", "concepts", "lmm"],
    named: str | None,
    encoder: TextEncoder | None,
) -> tuple[Vocabulary, tuple[str, ...]]:
    if named is not None:
        return load_vocabulary(named), ()
    train = index.split("train")
    found = _vocabulary_of_sheet(train)
    if text != "reports":
        chosen = found or load_vocabulary(DEFAULT)
        how = "measured with" if text == "concepts" else "those of"
        return chosen, (f"Words are {how} the vocabulary '{chosen.name}'; --vocabulary names another.",)
    if found is not None:
        return found, (f"The sheet is read with the vocabulary '{found.name}'.",)
    sentences = [sample.report or "" for sample in train]
    advice = advice_to_read([sentence for sentence in sentences if sentence])
    if encoder is None:
        raise DataError(
            f"No vocabulary is chosen for the reports of {index.root}, so they cannot be read factor by "
            f"factor. {advice} (`lexiseg train --text reports` can group such sentences instead.)",
            code="LEX-DATA-117",
        )
    grouped = group_sentences(
        sentences, lambda texts: encoder.embed_sentences(texts).numpy(), side=index.side or "image"
    )
    distinct = counted(len(set(sentences)), "distinct sentence")
    note = (
        f"No vocabulary is chosen for the sheet: its {distinct} form one factor with "
        f"{counted(grouped.sizes[0], 'phrase')}. {advice}"
    )
    mirror = mirror_note(sentences)
    return grouped, (note,) if mirror is None else (note, mirror)


def _vocabulary_of_sheet(samples: Sequence[Sample]) -> Vocabulary | None:
    """Return the shipped vocabulary that reads the samples' reports; None if none does, or there are none."""
    sentences = [sample.report for sample in samples if sample.report]
    return choose_vocabulary(sentences) if sentences else None
