"""Vocabularies of sheets without a known grammar: groups of sentences, at most 32, form one factor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from lexiseg.errors import DataError
from lexiseg.printable import counted
from lexiseg.words.description import Side
from lexiseg.words.factor import Factor
from lexiseg.words.flip_tables import AXES, Axis
from lexiseg.words.grammar import Clause, Keyword, SentenceRule, Template
from lexiseg.words.reading.mirrored_sentences import axis_of_words, mirrored_words, shipped_opposites
from lexiseg.words.reading.reports import parse_sheet
from lexiseg.words.text import split_words
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary, shipped_vocabularies

#: Sentences in, one embedding each out: (N,) -> (N, D) float.
Embed = Callable[[Sequence[str]], NDArray[np.floating]]

#: A shipped grammar is used for a sheet if it reads at least this share of the rows in full.
MIN_COVERAGE = 0.9

#: Largest number of phrases of one factor; with more, each would have too few rows for training.
MAX_GROUPS = 32

#: A sheet is free text if more than this share of its rows are distinct, and either the median sentence has
#: more words than `LONG_SENTENCE`, or there are more than `NEW_WORDS` different words per distinct sentence.
#: Generated sheets repeat sentences, or at least words. COVID-Xray's training sheet: 0.03 of the rows
#: distinct, 13 words in the median, 0.14 different words per distinct sentence.
MANY_DISTINCT = 0.5
LONG_SENTENCE = 25
NEW_WORDS = 3

#: A sheet with more than `MAX_GROUPS` distinct sentences is also free text if it has more different words
#: than this: a template with a few slots has dozens (COVID-Xray: 21), free text has hundreds.
MANY_WORDS = 200

#: A vocabulary that reads at least this share is named as one that can be chosen.
_WORTH_CHOOSING = 0.5

_ADVICE = "Use --text concepts (words measured from the masks) or --text none instead."


def choose_vocabulary(sentences: Sequence[str]) -> Vocabulary | None:
    """Return the shipped vocabulary whose grammar reads a sheet best; None if none reads enough of it.

    Args:
        sentences: The sheet's sentences, one per row.

    Returns:
        The vocabulary that reads the largest share of rows in full, if that is at least `MIN_COVERAGE`.
    """
    if not sentences:
        return None
    vocabulary, coverage = _best_reader(tuple(sentences))
    return vocabulary if coverage >= MIN_COVERAGE else None


def advice_to_read(sentences: Sequence[str]) -> str:
    """Return why no vocabulary is chosen for a sheet, and what to do so that one reads it factor by factor.

    Args:
        sentences: The sheet's sentences, for which `choose_vocabulary` returns None.
    """
    vocabulary, coverage = _best_reader(tuple(sentences))
    if coverage < _WORTH_CHOOSING:
        return "No shipped vocabulary reads half of the reports; state one of your own (docs/vocabulary.md)."
    name = vocabulary.name
    return (
        f"The vocabulary '{name}' reads {int(100 * coverage)} % of the reports in full; below "
        f"{100 * MIN_COVERAGE:.0f} % it is not chosen by itself. To use it, state `vocabulary: {name}` in "
        "dataset.yaml: what it cannot read stays unknown."
    )


@lru_cache(maxsize=1)  # A choice and its advice ask for one sheet, which takes seconds per thousand reports.
def _best_reader(sentences: tuple[str, ...]) -> tuple[Vocabulary, float]:
    """Return the shipped vocabulary that reads most rows in full, and their share."""
    rows = {str(row): sentence for row, sentence in enumerate(sentences)}
    vocabularies = [load_vocabulary(name) for name in shipped_vocabularies()]
    coverage = [parse_sheet(rows, vocabulary).coverage for vocabulary in vocabularies]
    best = int(np.argmax(coverage))
    return vocabularies[best], coverage[best]


def group_sentences(sentences: Sequence[str], embed: Embed, *, side: Side = "image") -> Vocabulary:
    """Return a vocabulary with one factor, made of a sheet's distinct sentences.

    Up to `MAX_GROUPS` distinct sentences become one phrase each. More sentences are grouped by the similarity
    of their embeddings; the most frequent sentence of a group is its phrase. Text embeddings hardly
    distinguish left from right, so sentences that differ only in such words are first embedded together, and
    each group is then divided by its words of direction. A flip swaps these words; an index whose mirrored
    sentences are unknown, or are not all in one group, becomes `UNKNOWN`.

    Args:
        sentences: The sheet's sentences, one per row; empty ones are skipped.
        embed: Embeds sentences; called only for more than `MAX_GROUPS` distinct sentences.
        side: Side convention of the sentences.

    Raises:
        DataError: The sheet is free text, or has the same sentence in every row; the message names
            `--text concepts`.
    """
    refuse_ungroupable(sentences)
    spellings = _spellings(sentences)
    # Sorted, so that the result does not depend on the order of the rows.
    ordered = [spellings[words] for words in sorted(spellings)]
    distinct = [min(counts, key=lambda sentence: (-counts[sentence], sentence)) for counts in ordered]
    rows = [counts.total() for counts in ordered]
    groups = [[i] for i in range(len(distinct))]
    if len(groups) > MAX_GROUPS:
        groups = _grouped(distinct, embed)
    groups = [sorted(group, key=lambda i: (-rows[i], distinct[i])) for group in groups]
    groups.sort(key=lambda group: (-sum(rows[i] for i in group), distinct[group[0]]))
    return _vocabulary([[distinct[i] for i in group] for group in groups], side)


def refuse_ungroupable(sentences: Sequence[str]) -> None:
    """Raise the error of `group_sentences`, without grouping.

    Args:
        sentences: The sheet's sentences, one per row; empty ones are skipped.

    Raises:
        DataError: The sheet is free text, or has the same sentence in every row.
    """
    spellings = _spellings(sentences)
    if len(spellings) < 2:
        raise DataError(
            f"The report sheet has fewer than 2 distinct sentences ({len(spellings)}), so nothing can be "
            f"learnt from it. {_ADVICE}",
            code="LEX-DATA-001",
        )
    rows = sum(counts.total() for counts in spellings.values())
    length = median(len(words) for words, counts in spellings.items() for _ in range(counts.total()))
    different = len({word for words in spellings for word in words})
    unlike = length > LONG_SENTENCE or different > NEW_WORDS * len(spellings)
    unrepeated = len(spellings) > MANY_DISTINCT * rows and unlike
    open_language = len(spellings) > MAX_GROUPS and different > MANY_WORDS
    if unrepeated or open_language:
        raise DataError(
            f"The report sheet is free text: {counted(len(spellings), 'distinct sentence')} in "
            f"{counted(rows, 'row')}, of {length:g} words (median), with {different} different words. "
            f"Sentences without a known grammar are grouped into at most {MAX_GROUPS} groups, which is not "
            f"possible here. {advice_to_read(sentences)} {_ADVICE}",
            code="LEX-DATA-002",
        )


def shares_sentence(sentences: Iterable[str], others: Iterable[str]) -> bool:
    """Return whether a sentence is among others, compared word by word as `group_sentences` does."""
    return not set(map(split_words, sentences)).isdisjoint(map(split_words, others))


def _spellings(sentences: Sequence[str]) -> dict[tuple[str, ...], Counter[str]]:
    """Return how often each spelling of each distinct sentence occurs, by the words of the sentence."""
    spellings: dict[tuple[str, ...], Counter[str]] = {}
    for sentence in sentences:
        if words := split_words(sentence):
            spellings.setdefault(words, Counter())[" ".join(sentence.split())] += 1
    return spellings


def _grouped(sentences: Sequence[str], embed: Embed) -> list[list[int]]:
    """Group sentences into at most `MAX_GROUPS` lists of positions."""
    embeddings = _unit(np.asarray(embed(sentences), dtype=np.float64))
    directions = [_directions(sentence) for sentence in sentences]
    templates: dict[Hashable, list[int]] = {}
    for position, sentence in enumerate(sentences):
        templates.setdefault(_template(sentence), []).append(position)
    members = list(templates.values())
    # One embedding per template, the mean over its sentences: mirrored sentences get mirrored groups.
    centres = _unit(np.stack([embeddings[positions].mean(axis=0) for positions in members]))
    for count in range(min(MAX_GROUPS, len(members)), 0, -1):
        groups: dict[Hashable, list[int]] = {}
        for label, positions in zip(_cluster(centres, count), members, strict=True):
            for position in positions:
                groups.setdefault((label, directions[position]), []).append(position)
        if len(groups) <= MAX_GROUPS:
            return list(groups.values())
    # Even one template has too many combinations of directions: group by embeddings only.
    labels = _cluster(embeddings, MAX_GROUPS)
    return [[i for i, label in enumerate(labels) if label == wanted] for wanted in sorted(set(labels))]


def _cluster(embeddings: NDArray[np.float64], count: int) -> list[int]:
    """Cluster unit vectors (N, D) into at most `count` groups; complete linkage keeps groups compact."""
    if len(embeddings) <= count:
        return list(range(len(embeddings)))
    # For unit vectors, Euclidean and cosine distance give the same order of pairs.
    tree = linkage(embeddings, method="complete", metric="euclidean")
    return [int(label) for label in fcluster(tree, count, criterion="maxclust")]


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)


def _directions(sentence: str) -> frozenset[str]:
    """Return the words of direction in a sentence."""
    return frozenset(word for word in split_words(sentence) if word in axis_of_words())


def _template(sentence: str) -> tuple[str, ...]:
    """Return the words of a sentence with each word of direction replaced by its axis."""
    axes = axis_of_words()
    return tuple(f"<{axes[word]}>" if word in axes else word for word in split_words(sentence))


def _unmirrored(groups: Sequence[Sequence[str]], axis: Axis) -> tuple[int, ...]:
    """Return the positions of the groups with a sentence whose mirror image is unknown."""
    return tuple(
        position
        for position, group in enumerate(groups)
        if any(mirrored_words(sentence, axis) is None for sentence in group)
    )


def _vocabulary(groups: Sequence[Sequence[str]], side: Side) -> Vocabulary:
    """Return the vocabulary with one factor, whose phrases are the first sentence of each group."""
    factor = Factor(
        name="sentence",
        title="Report sentence",
        phrases=tuple(group[0] for group in groups),
        read=SentenceRule(
            kind="sentence",
            sentences=tuple(tuple(group) for group in groups),
            unmirrored={axis: _unmirrored(groups, axis) for axis in AXES},
        ),
    )
    return Vocabulary(
        name="sheet",
        title="Sentences of the report sheet",
        side=side,
        keyword=Keyword(singular="area", plural="areas"),
        opposites=shipped_opposites(),
        sentence=Template(clauses=(Clause(parts=("{sentence}",)),)),
        factors=(factor,),
        flip_holes=True,
    )
