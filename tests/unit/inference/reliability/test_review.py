from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy.special import logit, softmax

from lexiseg.engines.engine import FloatArray
from lexiseg.inference.reliability.review import (
    ReviewRule,
    Signal,
    disagreement,
    mask_overlap,
    mask_signals,
    share_of_agreement,
    word_signals,
)
from lexiseg.inference.result import RetrievedWord
from lexiseg.refinement.refine import RefinedWord
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary


def logits_of(*probability: float) -> FloatArray:
    return logit(np.array(probability, np.float32)).reshape(1, 1, -1)


def test_signals_of_a_mask_by_hand() -> None:
    signals = mask_signals(logits_of(0.9, 0.7, 0.2, 0.1))
    assert signals["overlap"] == pytest.approx(2 * 1.6 / (1.9 + 2))
    assert signals["inside"] == pytest.approx((0.8 + 0.4) / 2)
    assert signals["size"] == pytest.approx(math.log10(0.5))


def test_an_empty_mask_is_as_sure_as_its_likeliest_pixel() -> None:
    signals = mask_signals(logits_of(0.1, 0.3, 0.0001))
    assert signals == pytest.approx({"overlap": 0.7, "inside": 0.4, "size": -4.0})


def test_classes_together_are_the_lesion() -> None:
    scores = np.repeat(np.log(np.array([0.5, 0.3, 0.2], np.float32)).reshape(3, 1, 1), 2, axis=2)
    scores[1, 0, 1] = 2.0
    signals = mask_signals(scores)
    second = float(1 - softmax(scores[:, 0, 1])[0])  # of the first it is 0.5
    assert signals["overlap"] == pytest.approx(2 * second / (0.5 + second + 1), rel=1e-5)
    assert signals["size"] == pytest.approx(math.log10(0.5))


def test_overlap_of_two_masks() -> None:
    assert mask_overlap(logits_of(0.9, 0.9, 0.1), logits_of(0.9, 0.1, 0.1)) == pytest.approx(2 / 3)
    assert mask_overlap(logits_of(0.1), logits_of(0.2)) == 1.0


def words(chest: Vocabulary, *indices: int) -> list[RetrievedWord]:
    return [
        RetrievedWord(
            factor=factor.name,
            title=factor.title,
            index=index,
            phrase=factor.phrases[index],
            confidence=0.4 + 0.1 * index,
            runners_up=(),
            probabilities=(),
        )
        for factor, index in zip(chest.factors, indices, strict=True)
    ]


def test_an_agreement_is_unknown_where_nothing_can_be_measured() -> None:
    colours = load_vocabulary("polyp").only(["color"])
    mask, grey = np.zeros((64, 64), np.uint8), np.full((64, 64), 90, np.uint8)
    mask[20:40, 20:40] = 1
    red = np.stack([grey, grey // 2, grey // 2], axis=2)
    seen = measure(mask, colours, image=red)
    assert share_of_agreement(colours, seen.indices, seen, lesion=True) == 1.0
    assert share_of_agreement(colours, [0], measure(mask, colours, image=grey), lesion=True) is None
    # The words speak of a lesion, and there is none.
    assert share_of_agreement(colours, [0], measure(mask * 0, colours, image=grey), lesion=False) == 0.0


def test_signals_of_words() -> None:
    said = words(load_vocabulary("chest"), 0, 1, 2, 3)
    assert word_signals(said, None) == pytest.approx({"words": 0.55})
    assert word_signals(said, 0.25) == pytest.approx({"words": 0.55, "agreement": 0.25})
    assert word_signals([], None) == {}


def test_names_what_words_and_mask_disagree_on() -> None:
    chest = load_vocabulary("chest")
    said = words(chest, 0, 1, 2, 3)
    seen = chest.describe((0, UNKNOWN, 2, 4), source="concepts")
    right = chest.factors[3]
    assert disagreement(said, seen, chest, lesion=True) == (
        f"words and mask disagree: {right.title}: '{right.phrases[3]}' retrieved, "
        f"'{right.phrases[4]}' measured on the mask"
    )
    same = chest.describe((0, UNKNOWN, 2, 3), source="concepts")
    assert disagreement(said, same, chest, lesion=True) is None
    nothing = chest.describe((UNKNOWN,) * 4, source="concepts")
    assert "the mask is empty" in (disagreement(said, nothing, chest, lesion=False) or "")


@pytest.mark.parametrize(
    ("origin", "named"),
    [("model", "retrieved"), ("person", "stated"), ("derived", "derived from the stated words")],
)
def test_names_where_a_word_comes_from(origin: Literal["model", "person", "derived"], named: str) -> None:
    chest = load_vocabulary("chest")
    refined = [
        RefinedWord(
            factor=word.factor,
            title=word.title,
            index=word.index,
            phrase=word.phrase,
            said_by=origin,
            retrieved=word.phrase,
            confidence=word.confidence,
        )
        for word in words(chest, 0, 1, 2, 3)
    ]
    seen = chest.describe((0, UNKNOWN, 2, 4), source="concepts")
    right = chest.factors[3]
    assert disagreement(refined, seen, chest, lesion=True) == (
        f"words and mask disagree: {right.title}: '{right.phrases[3]}' {named}, "
        f"'{right.phrases[4]}' measured on the mask"
    )


RULE = ReviewRule(
    signals={
        "overlap": Signal(mean=0.8, spread=0.1, weight=1.0),
        "size": Signal(mean=-1.0, spread=0.5, weight=0.5),
        "agreement": Signal(mean=0.9, spread=0.1, weight=2.0),
    },
    bias=1.0,
    below=0.6,
)


def test_expected_dice_by_hand() -> None:
    average = {"overlap": 0.8, "size": -1.0, "agreement": 0.9}
    assert RULE.expected_dice(average) == pytest.approx(1 / (1 + math.exp(-1)))
    low = {"overlap": 0.6, "size": -2.0, "agreement": 0.8}
    assert RULE.expected_dice(low) == pytest.approx(1 / (1 + math.exp(-(1 - 2 - 1 - 2))))
    hopeless = {"overlap": -500.0, "size": -2.0, "agreement": 0.0}
    assert RULE.expected_dice(hopeless) == pytest.approx(0.0)


def test_the_reason_names_what_lowers_most() -> None:
    low = {"overlap": 0.6, "size": -2.0, "agreement": 0.9}
    assert RULE.reason(low, lesion=True) == "low confidence: expected Dice 0.12 (unsure mask, small lesion)"
    assert (
        RULE.reason({**low, "size": -1.1}, lesion=True) == "low confidence: expected Dice 0.25 (unsure mask)"
    )
    assert "(" not in RULE.reason({"overlap": 0.8, "size": -1.0, "agreement": 0.0}, lesion=True)


def test_an_empty_mask_is_no_small_lesion() -> None:
    low = {"overlap": 0.6, "size": -4.0, "agreement": 0.9}
    assert RULE.reason(low, lesion=False) == (
        "low confidence: expected Dice 0.02 (no lesion found, unsure mask)"
    )
    assert RULE.reason({**low, "overlap": 0.8}, lesion=False).endswith("0.12 (no lesion found)")
    inside = RULE.model_copy(update={"signals": {"inside": RULE.signals["overlap"]}})
    assert inside.reason({"inside": 0.1}, lesion=False).endswith("(no lesion found)")


def test_only_signals_that_count_have_a_weight() -> None:
    idle = Signal(mean=0.5, spread=0.1, weight=0.0)
    rule = RULE.model_copy(update={"signals": {"words": idle, **RULE.signals}})
    assert list(rule.weights.items()) == [("agreement", 2.0), ("overlap", 1.0), ("size", 0.5)]
