from __future__ import annotations

from pathlib import Path

import numpy as np

from lexiseg.data.sample import Sample
from lexiseg.training.inputs.sampling_weights import draw_weights
from refusals import refuses


def samples(*sources: str | None) -> list[Sample]:
    return [
        Sample(id=str(i), image=Path("i"), mask=None, split="train", source=source)
        for i, source in enumerate(sources)
    ]


def test_nothing_asked_means_no_weights() -> None:
    assert draw_weights(samples("a"), [(0,)], source_weights={}, balance_words=0) is None


def test_sources_weigh_as_told_and_others_one() -> None:
    weights = draw_weights(samples("a", "b", None), None, source_weights={"b": 3.0}, balance_words=0)
    assert weights is not None
    assert weights.tolist() == [1.0, 3.0, 1.0]


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with refuses("LEX-USE-066", "training images' sources"):
        draw_weights(samples("b", "a"), None, source_weights={"x": 2.0}, balance_words=0)


def test_rare_words_weigh_the_root_of_their_rarity_by_hand() -> None:
    # Factor 0: three of four say 0; factor 1: known for two samples, one each.
    indices = [(0, -1), (0, 0), (0, 1), (1, -1)]
    weights = draw_weights(samples(*"aaaa"), indices, source_weights={}, balance_words=0.5)
    common, rare, half = 0.75**-0.5, 0.25**-0.5, 0.5**-0.5
    expected = [common, (common + half) / 2, (common + half) / 2, rare]
    np.testing.assert_allclose(weights, expected)


def test_full_balance_draws_each_phrase_of_the_only_factor_equally_often() -> None:
    indices = [(0,)] * 6 + [(1,)] * 2 + [(-1,)]
    weights = draw_weights(samples(*"aaaaaaaaa"), indices, source_weights={}, balance_words=1)
    assert weights is not None
    np.testing.assert_allclose(weights[:6].sum(), weights[6:8].sum())
    assert weights[8] == 1.0


def test_balance_without_words_is_refused() -> None:
    with refuses("LEX-USE-067", "balance_words needs words"):
        draw_weights(samples("a"), None, source_weights={}, balance_words=0.5)
