"""The level set that fits words best."""

from __future__ import annotations

import numpy as np
import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.fit import fit
from lexiseg.words.flips import flip
from lexiseg.words.level_sets import best_level_set
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST, POLYP = load_vocabulary("chest"), load_vocabulary("polyp")
LEFT, RIGHT = (8, 24, 8, 22), (36, 54, 40, 56)


def probabilities(*boxes: tuple[tuple[int, int, int, int], float], width: int = 64) -> np.ndarray:
    p = np.full((64, width), 0.02)
    for (top, bottom, left, right), value in boxes:
        p[top:bottom, left:right] = value
    return p


def said_of(p: np.ndarray, level: float = 0.5, vocabulary: Vocabulary = CHEST) -> tuple[int, ...]:
    return measure_indices((p > level).astype(np.uint8), vocabulary, side="image")


def best(p: np.ndarray, said: tuple[int, ...], vocabulary: Vocabulary = CHEST) -> tuple[np.ndarray, float]:
    return best_level_set(p, np.ones(p.shape, np.uint8), vocabulary, said, side="image")


def test_a_mask_that_fits_stays_as_it_is() -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.6))
    mask, value = best(p, said_of(p))
    assert value == 1
    assert np.array_equal(mask, p > 0.5)


def test_a_lesion_that_was_missed_is_found_where_words_speak_of_it() -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.3))
    both = said_of(p, level=0.1)
    mask, value = best(p, both)
    assert value == 1
    assert np.array_equal(mask, p > 0.1)
    assert fit((p > 0.5).astype(np.uint8), CHEST, both, side="image") < 0.1
    # where words say nothing of it, it is not looked for
    alone, _ = best(p, said_of(p))
    assert np.array_equal(alone, p > 0.5)


def test_what_is_nowhere_likely_is_not_found() -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.1))
    mask, value = best(p, said_of(p, level=0.05))
    assert np.array_equal(mask, p > 0.5)
    assert value < 0.1


def test_one_half_s_level_leaves_the_other_half_alone() -> None:
    faint_beside_left = (24, 40, 8, 22)
    p = probabilities((LEFT, 0.9), (faint_beside_left, 0.3), (RIGHT, 0.3))
    said = said_of(np.where(np.arange(64) < 32, p > 0.5, p > 0.1).astype(float))
    mask, value = best(p, said)
    assert value == 1
    assert mask[24:40, 8:22].sum() == 0
    assert mask[36:54, 40:56].all()


def test_two_that_touch_where_one_word_says_apart_are_parted_at_a_higher_level() -> None:
    p = probabilities((LEFT, 0.9), ((24, 40, 8, 22), 0.6), ((40, 56, 8, 22), 0.9))
    said = (UNKNOWN, 1, UNKNOWN, UNKNOWN)  # several
    mask, value = best(p, said)
    assert value == 1
    assert np.array_equal(mask, p > 0.65)


def test_mirrored_probabilities_and_words_give_the_mirrored_mask() -> None:
    for width in (64, 63):
        p = probabilities((LEFT, 0.9), ((36, 54, 38, 56), 0.4), width=width)
        said = said_of(p, level=0.1)
        p[60:, 31:33] = 0.4  # in the middle, below the usual level and above that of one half
        mask, value = best(p, said)
        mirrored, same = best(np.ascontiguousarray(p[:, ::-1]), flip(CHEST, said, "horizontal"))
        assert np.array_equal(mirrored, mask[:, ::-1])
        assert same == pytest.approx(value)


def test_what_words_deny_is_removed_at_every_level() -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.99))
    mask, value = best(p, said_of(probabilities((LEFT, 0.9))))
    assert value == 1
    assert np.array_equal(mask, p == 0.9)


def test_each_step_away_costs_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.4))
    small = int((p > 0.5).sum())

    def chosen(usual: float, lower: float) -> float:
        monkeypatch.setattr(
            "lexiseg.words.level_sets.fit", lambda mask, *_, **__: usual if mask.sum() == small else lower
        )
        return best(p, (UNKNOWN,) * 4)[1]

    assert chosen(0.79, 1.0) == 1.0  # one step lower the other lesion is in, and 0.8 is more than 0.79
    assert chosen(0.81, 1.0) == 0.81
    assert chosen(0.5, 0.62) == 0.5
    assert chosen(0.5, 0.63) == 0.63


def test_without_halves_there_is_one_level() -> None:
    p = probabilities((LEFT, 0.9), ((8, 56, 22, 60), 0.3))
    large = said_of(p, level=0.1, vocabulary=POLYP)
    mask, value = best(p, large, POLYP)
    assert value == 1
    assert np.array_equal(mask, p > 0.1)


def test_labels_say_what_a_pixel_is() -> None:
    p = probabilities((LEFT, 0.9), (RIGHT, 0.3))
    kinds = np.where(np.arange(64) < 32, 1, 2).astype(np.uint8) * np.ones((64, 1), np.uint8)
    mask, _ = best_level_set(p, kinds, CHEST, said_of(p, level=0.1), side="image")
    assert set(np.unique(mask[:, 32:])) == {0, 2}
    assert set(np.unique(mask[:, :32])) == {0, 1}
