"""What `lexiseg predict` says about left and right."""

from __future__ import annotations

import pytest

from lexiseg.cli.predict_summary import _say_sides


@pytest.mark.parametrize(
    ("side", "done", "unknown", "said"),
    [
        ("image", 3, 0, "Left and right in all words are those of the image as it is displayed."),
        (
            "patient",
            3,
            1,
            "Left and right in all words are the patient's, except in the 1 image whose side is unknown.",
        ),
        (
            "image",
            3,
            2,
            "Left and right in all words are those of the image as it is displayed, except in the 2 images "
            "whose side is unknown.",
        ),
        ("image", 3, 3, ""),
        ("image", 0, 0, ""),
    ],
)
def test_the_side_of_the_words_is_true_for_each_image(
    side: str, done: int, unknown: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _say_sides(side, done, unknown)  # type: ignore[arg-type]
    assert " ".join(capsys.readouterr().out.split()) == said


@pytest.mark.parametrize(("side", "said"), [("image", "is not known."), ("patient", "are the patient's.")])
def test_sentences_that_are_not_read_have_no_side_unless_the_data_state_one(
    side: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _say_sides(side, 1, 0, quoted=True)  # type: ignore[arg-type]
    assert " ".join(capsys.readouterr().out.split()).endswith(said)
