"""Tables of what each phrase becomes when the image is mirrored: left and right swap, or upper and lower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from lexiseg.words.factor import Factor
from lexiseg.words.grammar import Opposites, SentenceRule
from lexiseg.words.text import split_words

Axis = Literal["horizontal", "vertical"]
AXES: tuple[Axis, ...] = get_args(Axis)

#: Per factor and phrase: the positions of the factor and phrase it becomes. None is a hole: the phrase of the
#: mirrored image is unknown. Only vocabularies made from a sheet (`flip_holes`) have holes.
FlipTable = tuple[tuple[tuple[int, int] | None, ...], ...]


def flip_table(
    factors: Sequence[Factor], opposites: Opposites, axis: Axis, *, allow_holes: bool
) -> FlipTable:
    """Return what each phrase becomes when the image is mirrored along `axis`.

    Opposite words are swapped in each phrase, and the result is looked up: as an unordered set of words for
    the phrases of a written vocabulary ("upper middle left lung" becomes "middle lower left lung" upside
    down), word by word for the sentences of a sheet (where "left of right" and "right of left" differ). The
    mirror image of some sentences is unknown (`SentenceRule.unmirrored`): they have no counterpart. A
    factor flips as a whole, into itself or into another factor: `left` of the chest becomes `right`.

    Args:
        factors: The factors.
        opposites: Words that swap.
        axis: "horizontal" swaps left and right, "vertical" upper and lower.
        allow_holes: Whether phrases may lack a counterpart.

    Returns:
        `table[f][i] = (g, j)`: phrase i of factor f becomes phrase j of factor g; flipping twice changes
        nothing. None where holes are allowed and there is no counterpart.

    Raises:
        ValueError: A phrase has no counterpart, and holes are not allowed.
    """
    swaps = _swaps(opposites, axis)
    positions = [_phrase_positions(factor) for factor in factors]
    table: list[tuple[tuple[int, int] | None, ...]] = []
    for f, factor in enumerate(factors):
        unknown = _unmirrored(factor, axis) if allow_holes else ()
        flipped = [
            [] if i in unknown else _flipped_keys(factor, i, swaps) for i in range(len(factor.phrases))
        ]
        targets = [f, *(g for g in range(len(factors)) if g != f)]
        rows = ((g, [_common_position(keys, positions[g]) for keys in flipped]) for g in targets)
        whole = next(((g, row) for g, row in rows if None not in row), None)
        if whole is None and not allow_holes:
            raise ValueError(_no_counterpart(factor, flipped, positions, axis, swaps))
        g, row = whole or (f, [_common_position(keys, positions[f]) for keys in flipped])
        table.append(tuple(None if j is None else (g, j) for j in row))
    return _involution(factors, table, axis, allow_holes=allow_holes)


def check_grids(factors: Sequence[Factor], tables: Mapping[Axis, FlipTable]) -> None:
    """Check that the phrases of each grid swap as its cells do; else flipped images teach wrong words.

    Args:
        factors: The factors.
        tables: Their flip tables.

    Raises:
        ValueError: A phrase becomes one of another cell.
    """
    grids = [f for f, factor in enumerate(factors) if factor.measure and factor.measure.names_grid_cells]
    for f, axis in ((f, axis) for f in grids for axis in AXES):
        phrases = factors[f].phrases
        for i, target in enumerate(tables[axis][f]):
            row, column = divmod(i, 3)
            cell = 3 * row + 2 - column if axis == "horizontal" else 3 * (2 - row) + column
            if target not in (None, (f, cell)):
                raise ValueError(
                    f"factor '{factors[f].name}': a {axis} flip must swap the phrases '{phrases[i]}' and "
                    f"'{phrases[cell]}', whose cells of the grid it swaps. Add the words that differ to "
                    f"opposites.{axis}, or write the phrases row by row from the upper left"
                    if cell != i
                    else f"factor '{factors[f].name}': a {axis} flip must keep the phrase '{phrases[i]}', as "
                    f"it keeps its cell of the grid. Write the phrases row by row from the upper left"
                )


def names_with_mirrored(
    names: Sequence[str], tables: Mapping[Axis, FlipTable], wanted: Sequence[str], axes: Sequence[Axis]
) -> tuple[str, ...]:
    """Return the factors `wanted`, and all factors they become when the image is mirrored.

    Args:
        names: Names of all factors, in order.
        tables: Their flip tables.
        wanted: Names of the wanted factors.
        axes: The axes along which the image may be mirrored.
    """
    kept = set(wanted)
    while True:
        mirrored = {
            names[target[0]]
            for axis in axes
            for name, row in zip(names, tables[axis], strict=True)
            for target in row
            if name in kept and target is not None
        }
        if mirrored <= kept:
            return tuple(name for name in names if name in kept)
        kept |= mirrored


def _swaps(opposites: Opposites, axis: Axis) -> dict[str, str]:
    """Return word -> opposite word, both ways."""
    pairs: tuple[tuple[str, str], ...] = getattr(opposites, axis)
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


def _phrase_positions(factor: Factor) -> dict[tuple[str, ...], int]:
    return {
        factor.lookup_key(split_words(text)): index
        for index in range(len(factor.phrases))
        for text in factor.texts(index)
    }


def _unmirrored(factor: Factor, axis: Axis) -> tuple[int, ...]:
    """Return the positions of the phrases whose mirror image is unknown."""
    return factor.read.unmirrored.get(axis, ()) if isinstance(factor.read, SentenceRule) else ()


def _flipped_keys(factor: Factor, index: int, swaps: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        factor.lookup_key(tuple(swaps.get(word, word) for word in split_words(text)))
        for text in factor.texts(index)
    ]


def _common_position(keys: Sequence[tuple[str, ...]], positions: dict[tuple[str, ...], int]) -> int | None:
    """Return the one position at which all keys are found; None if any is missing or they differ."""
    found = {positions.get(key) for key in keys}
    return found.pop() if len(found) == 1 else None


def _no_counterpart(
    factor: Factor,
    flipped: Sequence[Sequence[tuple[str, ...]]],
    positions: Sequence[dict[tuple[str, ...], int]],
    axis: Axis,
    swaps: dict[str, str],
) -> str:
    """Return a message that names the phrase without counterpart, and the remedy."""
    for index, keys in enumerate(flipped):
        if all(_common_position(keys, of_factor) is None for of_factor in positions):
            wanted = " ".join(swaps.get(word, word) for word in split_words(factor.phrases[index]))
            return (
                f"factor '{factor.name}', phrase '{factor.phrases[index]}': its {axis} flip, '{wanted}', "
                f"is not a phrase of this vocabulary. Add that phrase, or remove the pair from "
                f"opposites.{axis}."
            )
    return (
        f"factor '{factor.name}': its phrases flip ({axis}) into different factors; a factor must flip into "
        f"itself or, as a whole, into one other factor."
    )


def _involution(
    factors: Sequence[Factor],
    table: Sequence[tuple[tuple[int, int] | None, ...]],
    axis: Axis,
    *,
    allow_holes: bool,
) -> FlipTable:
    """Check that flipping twice changes nothing; where holes are allowed, phrases that fail become holes."""

    def returns(f: int, i: int) -> bool:
        target = table[f][i]
        return target is None or table[target[0]][target[1]] == (f, i)

    for f, factor in enumerate(factors):
        for i, phrase in enumerate(factor.phrases):
            if not returns(f, i) and not allow_holes:
                raise ValueError(
                    f"factor '{factor.name}', phrase '{phrase}': flipping it twice ({axis}) does not give "
                    f"the same phrase. Give each phrase one counterpart."
                )
    return tuple(
        tuple(target if returns(f, i) else None for i, target in enumerate(row))
        for f, row in enumerate(table)
    )
