"""What becomes of words when an image is mirrored: left and right swap, or upper and lower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.grammar import SentenceRule
from lexiseg.words.text import split_words

if TYPE_CHECKING:  # the vocabulary checks its own flips when it is built, so it imports this module
    from lexiseg.words.vocabulary import Factor, Vocabulary

Axis = Literal["horizontal", "vertical"]
AXES: tuple[Axis, ...] = get_args(Axis)

#: Per factor and phrase: the factor and phrase it becomes, by position. None is a hole: nothing is known
#: after the flip. Only vocabularies made from a sheet (`flip_holes`) have holes.
FlipTable = tuple[tuple[tuple[int, int] | None, ...], ...]


def flip_table(vocabulary: Vocabulary, axis: Axis) -> FlipTable:
    """Return what each phrase becomes when the image is mirrored along `axis`.

    Opposite words are swapped in each phrase, and the result is looked up: as an unordered bag of words for
    the phrases of a written vocabulary ("upper middle left lung" upside down is "middle lower left lung"),
    word by word for the sentences of a sheet (where "left of right" and "right of left" differ). A factor
    flips as a whole, into itself or into another factor: `left` of the chest becomes `right`.

    Args:
        vocabulary: The vocabulary with its opposites.
        axis: "horizontal" swaps left and right, "vertical" upper and lower.

    Returns:
        `table[f][i] = (g, j)`: phrase i of factor f becomes phrase j of factor g; an involution. None where
        the vocabulary allows holes and has no counterpart.

    Raises:
        ValueError: A phrase has no counterpart, and the vocabulary does not allow holes.
    """
    swaps = _swaps(vocabulary, axis)
    looked_up = [_phrase_positions(factor) for factor in vocabulary.factors]
    table: list[tuple[tuple[int, int] | None, ...]] = []
    for f, factor in enumerate(vocabulary.factors):
        flipped = [_flipped_keys(factor, i, swaps) for i in range(len(factor.phrases))]
        targets = [f, *(g for g in range(len(vocabulary.factors)) if g != f)]
        rows = ((g, [_common_position(keys, looked_up[g]) for keys in flipped]) for g in targets)
        whole = next(((g, row) for g, row in rows if None not in row), None)
        if whole is None and not vocabulary.flip_holes:
            raise ValueError(_no_counterpart(vocabulary, f, flipped, looked_up, axis, swaps))
        g, row = whole or (f, [_common_position(keys, looked_up[f]) for keys in flipped])
        table.append(tuple(None if j is None else (g, j) for j in row))
    return _involution(vocabulary, table, axis)


def flip(vocabulary: Vocabulary, indices: Sequence[int], axis: Axis) -> tuple[int, ...]:
    """Return the factor indices of the mirrored image.

    Args:
        vocabulary: The vocabulary the indices belong to.
        indices: One index per factor, `UNKNOWN` allowed.
        axis: "horizontal" or "vertical".

    Returns:
        One index per factor. `UNKNOWN` stays unknown; an index in a hole of the table becomes `UNKNOWN`.
    """
    flipped = [UNKNOWN] * len(vocabulary.factors)
    for index, row in zip(indices, vocabulary.flip_tables[axis], strict=True):
        target = None if index == UNKNOWN else row[index]
        if target is not None:
            flipped[target[0]] = target[1]
    return tuple(flipped)


def to_side(vocabulary: Vocabulary, indices: Sequence[int], *, given: Side, wanted: Side) -> tuple[int, ...]:
    """Return indices that follow the side convention `wanted`, from indices that follow `given`.

    The image's left is the patient's right, so this is the horizontal flip of the words alone.
    """
    return tuple(indices) if given == wanted else flip(vocabulary, indices, "horizontal")


def with_mirrored(
    vocabulary: Vocabulary, names: Sequence[str], axes: Sequence[Axis] = AXES
) -> tuple[str, ...]:
    """Return the factors called `names`, and all they become when the image is mirrored along the axes."""
    kept = set(names)
    while True:
        mirrored = {
            vocabulary.factors[target[0]].name
            for axis in axes
            for factor, row in zip(vocabulary.factors, vocabulary.flip_tables[axis], strict=True)
            for target in row
            if factor.name in kept and target is not None
        }
        if mirrored <= kept:
            return tuple(name for name in vocabulary.names if name in kept)
        kept |= mirrored


def _swaps(vocabulary: Vocabulary, axis: Axis) -> dict[str, str]:
    """Return word -> opposite word, both ways."""
    pairs: tuple[tuple[str, str], ...] = getattr(vocabulary.opposites, axis)
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


def _forms(factor: Factor, index: int) -> tuple[str, ...]:
    """Return the texts that stand for a phrase: a sheet's sentences, or the phrase itself."""
    return factor.read.sentences[index] if isinstance(factor.read, SentenceRule) else (factor.phrases[index],)


def _key(factor: Factor, words: Sequence[str]) -> tuple[str, ...]:
    """Return what words are looked up by: in order for the sentences of a sheet, sorted for phrases."""
    return tuple(words) if isinstance(factor.read, SentenceRule) else tuple(sorted(words))


def _phrase_positions(factor: Factor) -> dict[tuple[str, ...], int]:
    return {
        _key(factor, split_words(form)): index
        for index in range(len(factor.phrases))
        for form in _forms(factor, index)
    }


def _flipped_keys(factor: Factor, index: int, swaps: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        _key(factor, [swaps.get(word, word) for word in split_words(form)]) for form in _forms(factor, index)
    ]


def _common_position(keys: Sequence[tuple[str, ...]], positions: dict[tuple[str, ...], int]) -> int | None:
    """Return the one position all keys are found at; None if any is missing or they differ."""
    found = {positions.get(key) for key in keys}
    return found.pop() if len(found) == 1 else None


def _no_counterpart(
    vocabulary: Vocabulary,
    f: int,
    flipped: Sequence[Sequence[tuple[str, ...]]],
    looked_up: Sequence[dict[tuple[str, ...], int]],
    axis: Axis,
    swaps: dict[str, str],
) -> str:
    """Say which phrase of factor `f` has no counterpart, and how to mend it."""
    factor = vocabulary.factors[f]
    for index, keys in enumerate(flipped):
        if all(_common_position(keys, positions) is None for positions in looked_up):
            wanted = " ".join(swaps.get(word, word) for word in split_words(factor.phrases[index]))
            return (
                f"factor '{factor.name}', phrase '{factor.phrases[index]}': its {axis} flip, '{wanted}', "
                f"is no phrase of this vocabulary. Add that phrase, or take the pair out of opposites.{axis}."
            )
    return (
        f"factor '{factor.name}': its phrases flip ({axis}) into different factors; a factor must flip into "
        f"itself or, as a whole, into one other factor."
    )


def _involution(
    vocabulary: Vocabulary, table: Sequence[tuple[tuple[int, int] | None, ...]], axis: Axis
) -> FlipTable:
    """Check that flipping twice changes nothing; where holes are allowed, phrases that fail become holes."""

    def returns(f: int, i: int) -> bool:
        target = table[f][i]
        return target is None or table[target[0]][target[1]] == (f, i)

    for f, factor in enumerate(vocabulary.factors):
        for i, phrase in enumerate(factor.phrases):
            if not returns(f, i) and not vocabulary.flip_holes:
                raise ValueError(
                    f"factor '{factor.name}', phrase '{phrase}': flipping it twice ({axis}) does not give it "
                    f"back. Give each phrase one counterpart."
                )
    return tuple(
        tuple(target if returns(f, i) else None for i, target in enumerate(row))
        for f, row in enumerate(table)
    )
