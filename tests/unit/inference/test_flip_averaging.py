from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from lexiseg.data.readers import read_image
from lexiseg.engines.engine import EngineOutput, FloatArray
from lexiseg.inference.flip_averaging import average_with_mirror, mirrored_words
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

CHEST = load_vocabulary("chest")

#: The phrase "far left" has no mirrored one.
HOLEY = Vocabulary.from_dict(
    {
        "name": "own",
        "title": "Own",
        "keyword": {"singular": "x", "plural": "xs"},
        "opposites": {"horizontal": [["left", "right"]], "vertical": []},
        "sentence": {"clauses": [{"parts": ["{where}"]}]},
        "factors": [{"name": "where", "title": "Where", "phrases": ["left", "right", "far left"]}],
        "flip_holes": True,
    }
)


def one_hot(vocabulary: Vocabulary, indices: tuple[int, ...]) -> tuple[FloatArray, ...]:
    return tuple(
        np.eye(size, dtype=np.float32)[[i]] for i, size in zip(indices, vocabulary.sizes, strict=True)
    )


@pytest.mark.parametrize("indices", [(0, 1, 0, 6), (1, 0, 7, 2), (1, 1, 4, 7)])
def test_certain_words_are_mirrored_as_flips_say(indices: tuple[int, ...]) -> None:
    turned = mirrored_words(one_hot(CHEST, indices), CHEST)
    assert tuple(int(factor.argmax()) for factor in turned) == flip(CHEST, indices, "horizontal")
    assert all(factor.sum().item() == pytest.approx(1) for factor in turned)


def test_a_phrase_without_a_mirrored_one_gets_nothing() -> None:
    (turned,) = mirrored_words([np.array([[0.1, 0.4, 0.5], [0.0, 0.0, 1.0]], np.float32)], HOLEY)
    assert turned.dtype == np.float32
    np.testing.assert_allclose(turned, [[0.8, 0.2, 0.0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_the_average_by_hand() -> None:
    plain, mirror = (np.array([[[row]]], np.float32) for row in ([1.0, 3.0], [5.0, -1.0]))
    mean = average_with_mirror(
        EngineOutput(logits=plain, words=one_hot(CHEST, (1, 0, 0, 7))),
        EngineOutput(logits=mirror, words=one_hot(CHEST, (1, 0, 1, 7))),
        CHEST,
    )
    logits, words = mean.logits, mean.words
    assert logits.tolist() == [[[[0.0, 4.0]]]]
    # The mirror's "middle left lung, no lesion in right lung" says the image's right lung has the lesion.
    assert words[2][0].tolist() == [0.5, 0, 0, 0, 0, 0, 0, 0.5]
    assert words[3][0].tolist() == [0, 0.5, 0, 0, 0, 0, 0, 0.5]


def test_without_words_only_the_mask_is_averaged() -> None:
    x = np.ones((1, 1, 2, 2), np.float32)
    plain, mirror = (EngineOutput(logits=scores, words=()) for scores in (x, 3 * x))
    mean = average_with_mirror(plain, mirror, None)
    assert np.array_equal(mean.logits, 2 * x)
    assert mean.words == ()


def test_a_mirrored_image_gets_the_mirrored_prediction(
    made: tuple[Run, nn.Module], images: list[Path]
) -> None:
    predictor = Predictor(made[0], PredictionOptions(flip_average=True))
    vocabulary = made[0].vocabulary
    assert vocabulary is not None
    pixels = read_image(images[0])
    prediction = predictor.predict(pixels)
    mirrored = predictor.predict(np.ascontiguousarray(pixels[:, ::-1]))
    np.testing.assert_allclose(mirrored.probability[..., ::-1], prediction.probability, atol=1e-4)
    words = tuple(word.index for word in prediction.words)
    assert tuple(word.index for word in mirrored.words) == flip(vocabulary, words, "horizontal")
    plain = Predictor(made[0]).predict(pixels)
    assert not np.allclose(plain.probability, prediction.probability, atol=1e-3)


def test_a_factor_with_a_phrase_without_a_mirrored_one_keeps_the_words_of_the_image() -> None:
    scores, words = np.zeros((1, 1, 1, 2), np.float32), np.array([[0.1, 0.2, 0.7]], np.float32)
    seen = EngineOutput(logits=scores, words=(words,))
    assert np.array_equal(average_with_mirror(seen, seen, HOLEY).words[0], words)
