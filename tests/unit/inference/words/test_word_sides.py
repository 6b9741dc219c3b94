"""Words in the other side convention."""

from __future__ import annotations

import pytest

from lexiseg.inference.result import RetrievedWord
from lexiseg.inference.words.word_sides import words_of_other_side
from lexiseg.words.reading.sentence_groups import group_sentences


@pytest.mark.parametrize(
    ("sentences", "other"),
    [(["dense left", "dense right"], ["dense right"]), (["左肺下葉に浸潤影", "両肺に浸潤影"], [])],
)
def test_a_sentence_with_an_unknown_mirror_image_is_left_out(sentences: list[str], other: list[str]) -> None:
    vocabulary = group_sentences(sentences, lambda texts: pytest.fail("no embedding is needed"))
    index = vocabulary.factors[0].phrases.index(sentences[0])
    word = RetrievedWord(
        factor="sentence",
        title="Report sentence",
        index=index,
        phrase=sentences[0],
        confidence=0.9,
        runners_up=(),
        probabilities=(),
    )
    assert [found.phrase for found in words_of_other_side([word], vocabulary)] == other
