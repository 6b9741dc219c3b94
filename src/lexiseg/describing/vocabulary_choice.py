"""Which vocabulary the words of a data set are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.embeddings.encoders import TextEncoder
from lexiseg.errors import DataError
from lexiseg.words.grammar import Keyword
from lexiseg.words.reading.sentence_groups import choose_vocabulary, group_sentences
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: Words of a data set that names no vocabulary and has no readable sheet, where they do not come from one.
DEFAULT = "polyp"

#: What sentences about several classes together call them: true of lesions and organs alike.
SEVERAL = "area"


def find_vocabulary(
    index: DatasetIndex,
    *,
    text: Literal["reports", "concepts", "lmm"],
    wanted: str | None,
    encoder: TextEncoder | None,
) -> tuple[Vocabulary, tuple[str, ...]]:
    """Find the vocabulary of a data set's words; the test split is not looked at.

    Args:
        index: The data set.
        text: Where the words come from.
        wanted: Name or file the user asks for; None takes the data set's, or finds one that reads the sheet.
        encoder: Groups the sentences of a sheet in no known grammar; None refuses such a sheet.

    Returns:
        The vocabulary, with the data set's keyword, and what was assumed, one sentence each.

    Raises:
        DataError: The vocabulary does not exist, or the sheet is free prose that cannot be grouped.
    """
    vocabulary, notes = _find(index, text=text, named=wanted or index.vocabulary, encoder=encoder)
    return with_keyword_of(vocabulary, index), notes


def with_keyword_of(vocabulary: Vocabulary, index: DatasetIndex) -> Vocabulary:
    """Return the vocabulary with the data set's word for all that is segmented.

    A data set of several classes that states no word for all of them has `SEVERAL`, not the vocabulary's own
    word, which is for one kind.
    """
    stated = index.keyword
    if isinstance(stated, dict):
        stated = stated.get(index.class_names[1]) if index.num_classes == 2 else None
    if stated is None and index.num_classes > 2:
        stated = SEVERAL
    return vocabulary if stated is None else with_keyword(vocabulary, stated)


def keyword_of_class(index: DatasetIndex, label: int) -> str:
    """Return the word for one of several classes: the one `dataset.yaml` states for it, or its name."""
    name = index.class_names[label]
    return index.keyword.get(name, name) if isinstance(index.keyword, dict) else name


def keyword_notes(vocabulary: Vocabulary, index: DatasetIndex) -> tuple[str, ...]:
    """Say that sentences hold the vocabulary's own keyword, where a data set of one class states none."""
    speaks = any("{keyword}" in part for clause in vocabulary.sentence.clauses for part in clause.parts)
    if index.keyword or index.num_classes > 2 or not speaks:
        return ()
    word = vocabulary.keyword.singular
    return (f"Sentences say '{word}'; if something else is segmented, state `keyword` in dataset.yaml.",)


def with_keyword(vocabulary: Vocabulary, keyword: str) -> Vocabulary:
    """Return the vocabulary with another word for what is segmented; its plural ends in s."""
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
    if encoder is None:
        raise DataError(
            f"No shipped vocabulary reads the reports of {index.root}, so they cannot be taken apart into "
            f"factors. Name one of your own with --vocabulary. (`lexiseg train --text reports` can group "
            f"such sentences instead.)",
            code="LEX-DATA-117",
        )
    sentences = [sample.report or "" for sample in train]
    grouped = group_sentences(
        sentences, lambda texts: encoder.embed_sentences(texts).numpy(), side=index.side or "image"
    )
    note = (
        f"The sheet is in no known grammar; its {len(set(sentences))} distinct sentences became one factor "
        f"of {grouped.sizes[0]} phrases."
    )
    return grouped, (note,)


def _vocabulary_of_sheet(samples: Sequence[Sample]) -> Vocabulary | None:
    """Return the shipped vocabulary that reads the samples' reports; None if none does, or there are none."""
    sentences = [sample.report for sample in samples if sample.report]
    return choose_vocabulary(sentences) if sentences else None
