"""Mirror images of fixed sentences."""

from __future__ import annotations

import pytest

from lexiseg.words.reading.mirrored_sentences import mirrored_words


@pytest.mark.parametrize(
    ("sentence", "mirrored"),
    [
        ("Polyp in the left colon", "polyp in the right colon"),
        ("Hypoechoic nodule in the left breast", "hypoechoic nodule in the right breast"),
        ("Kein Infiltrat links.", "kein infiltrat rechts"),
    ],
)
def test_an_unknown_noun_beside_a_side_is_kept(sentence: str, mirrored: str) -> None:
    assert mirrored_words(sentence, "horizontal") == tuple(mirrored.split())


@pytest.mark.parametrize(
    "sentence",
    [
        "Hypoechoic nodule",  # the unknown word may name a side
        "Nódulo en el pulmón izquierdo",
        "左肺下葉に浸潤影",
        "left lung 左",
        "opacità a sinistra, left",
        "L lung opacity",
    ],
)
def test_an_unknown_word_without_a_known_side_leaves_the_mirror_image_unknown(sentence: str) -> None:
    assert mirrored_words(sentence, "horizontal") is None


def test_up_and_down_are_no_opposites() -> None:
    sentence = "Set up as before: no lesion"
    assert mirrored_words(sentence, "horizontal") == ("set", "up", "as", "before", "no", "lesion")
    assert mirrored_words(sentence, "vertical") is None
