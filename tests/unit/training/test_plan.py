"""What is settled before the first step."""

from __future__ import annotations

import pytest

from lexiseg.errors import DataError
from lexiseg.training.examples import Words
from lexiseg.training.plan import _known_factors
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary

POLYP = load_vocabulary("polyp")
GREY = [(0, 4, 1, 2, UNKNOWN), (1, UNKNOWN, 0, 1, UNKNOWN)]


def words(indices: list[tuple[int, ...]]) -> Words:
    return Words(POLYP, indices, source="concepts", side="image")


def test_a_factor_nobody_speaks_of_is_not_learned() -> None:
    known = _known_factors(POLYP, words(GREY))
    assert known == ("number", "location", "shape", "size")
    vocabulary = POLYP.only(known)
    assert vocabulary.names == known
    assert words(GREY).only(vocabulary).indices == ((0, 4, 1, 2), (1, UNKNOWN, 0, 1))
    spoken = vocabulary.speak((0, 4, 1, 2))
    assert spoken.startswith("One oval large polyp area")
    assert "{" not in spoken


def test_words_about_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"'polyp' says nothing about any training image.*--text none"):
        _known_factors(POLYP, words([(UNKNOWN,) * 5]))


def test_a_vocabulary_without_its_coarse_factor_still_reads_regions() -> None:
    chest = load_vocabulary("chest")
    regions = chest.only(("count", "left", "right")).grammar.regions
    assert regions is not None
    assert regions.exactly is None
    assert regions.at_most == chest.grammar.regions.at_most  # type: ignore[union-attr]
    assert chest.only(("laterality", "count")).grammar.regions is None
