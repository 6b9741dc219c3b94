"""Two runs averaged: by hand, through the predictor, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from lexiseg.data.readers import read_image
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import EngineOutput
from lexiseg.inference.ensemble import average_outputs, check_alike
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.runs.run import Run
from lexiseg.words.reading.sentence_groups import group_sentences
from refusals import refuses


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any, make_run: Any) -> tuple[Run, Run]:
    """An STPNet of 64 px and a CoTexNet of 96 px."""
    folder = tmp_path_factory.mktemp("members")
    return make_run(folder / "a")[0], make_run(folder / "b", model="cotexnet", image_size=96)[0]


def _output(scores: float, size: int, *words: list[float]) -> EngineOutput:
    return EngineOutput(
        logits=np.full((1, 1, size, size), scores, np.float32),
        words=tuple(np.array([row], np.float32) for row in words),
        features=np.ones((1, 3), np.float32),
    )


def test_average_by_hand(runs: tuple[Run, Run]) -> None:
    small, large = _output(1.0, 2, [0.25, 0.75]), _output(4.0, 4, [0.75, 0.25])
    engine = load_engine(runs[0])
    mean = average_outputs([small, large], engine)
    assert mean.logits.tolist() == [[[[2.5, 2.5], [2.5, 2.5]]]]
    assert [factor.tolist() for factor in mean.words] == [[[0.5, 0.5]]]
    assert mean.features is None  # those of two networks cannot be averaged
    assert average_outputs([small], engine) is small
    with pytest.raises(ValueError, match="shorter"):
        average_outputs([small, _output(4.0, 4)], engine)


def test_the_predictor_averages_scores_and_words(runs: tuple[Run, Run], images: list[Path]) -> None:
    pixels = read_image(images[0])[:64, :64]  # the grid of the first run, so that nothing else is resized
    first, second = (Predictor(run).predict(pixels) for run in runs)
    both = Predictor(runs[0], PredictionOptions(average_with=runs[1].path))
    found = both.predict(pixels)
    assert both.runs == runs
    expected = expit((logit(first.probability) + logit(second.probability)) / 2)
    np.testing.assert_allclose(found.probability, expected, atol=2e-3)
    assert np.abs(first.probability - second.probability).max() > 0.05
    for word, one, other in zip(found.words, first.words, second.words, strict=True):
        chances = [dict([(w.phrase, w.confidence), *w.runners_up]) for w in (one, other)]
        if all(word.phrase in chance for chance in chances):
            assert word.confidence == pytest.approx(sum(c[word.phrase] for c in chances) / 2, abs=1e-5)
    turned = Predictor(runs[1], PredictionOptions(average_with=runs[0])).predict(pixels)
    assert [w.phrase for w in turned.words] == [w.phrase for w in found.words]


def test_averages_with_the_mirror_image_too(runs: tuple[Run, Run], images: list[Path]) -> None:
    predictor = Predictor(runs[0], PredictionOptions(average_with=runs[1], flip_average=True))
    pixels = read_image(images[0])
    found = predictor.predict(pixels)
    turned = predictor.predict(np.ascontiguousarray(pixels[:, ::-1]))
    np.testing.assert_allclose(turned.probability[..., ::-1], found.probability, atol=1e-4)
    assert 0 <= found.signals["mirror"] <= 1


def test_runs_that_do_not_fit_are_refused(runs: tuple[Run, Run], tmp_path: Path, make_run: Any) -> None:
    def other(name: str, **manifest: Any) -> Run:
        run: Run = make_run(tmp_path / name, **manifest)[0]
        return run

    with refuses("LEX-USE-041", "cannot be averaged with itself"):
        Predictor(runs[0], PredictionOptions(average_with=runs[0].path))
    kinds = other("kinds", classes=3)
    with refuses("LEX-USE-042", "segments lesion, but"):
        check_alike(runs[0], kinds)
    renamed = other("renamed", classes=3, class_names=("background", "nodule", "lesion"))
    with refuses("LEX-USE-042", "nodule, lesion"):
        check_alike(kinds, renamed)
    check_alike(runs[0], other("taste", class_names=("background", "infection")))
    silent = other("silent", text="none")
    with refuses("LEX-USE-043", "the second names no words"):
        check_alike(runs[0], silent)
    check_alike(silent, other("silent too", text="none"))
    with refuses("LEX-USE-043", "against the patient's"):
        check_alike(runs[0], other("patient", side="patient"))


def test_runs_of_which_one_does_not_say_whose_left_it_means_are_refused(
    make_run: Any, tmp_path: Path
) -> None:
    sheet = group_sentences(["dense left", "dense right"], lambda texts: pytest.fail("not needed"))
    silent, other = (make_run(tmp_path / name, vocabulary=sheet)[0] for name in ("silent", "other"))
    stated = make_run(tmp_path / "stated", vocabulary=sheet.with_stated_side())[0]
    check_alike(silent, other)
    with refuses("LEX-USE-043", "the image's left against a left of which it is not known whose it is"):
        check_alike(stated, silent)


def test_factors_in_another_order_are_refused(runs: tuple[Run, Run]) -> None:
    """Left and right have equally many phrases: they would be averaged without a word."""
    vocabulary = runs[0].manifest.vocabulary
    assert vocabulary is not None
    factors = vocabulary.factors
    turned = vocabulary.model_copy(update={"factors": (*factors[:2], *factors[:1:-1])})
    other = Run(runs[1].path, runs[1].manifest.model_copy(update={"vocabulary": turned}))
    with refuses("LEX-USE-043", "against laterality, count,"):
        check_alike(runs[0], other)
    reversed_count = factors[1].model_copy(update={"phrases": factors[1].phrases[::-1]})
    changed = vocabulary.model_copy(update={"factors": (factors[0], reversed_count, *factors[2:])})
    other = Run(runs[1].path, runs[1].manifest.model_copy(update={"vocabulary": changed}))
    with refuses("LEX-USE-043", "of count,"):
        check_alike(runs[0], other)


def test_an_average_is_not_calibrated(runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexiseg.inference.predictor.load_calibration", lambda run, flip_average: "fitted")
    assert Predictor(runs[0]).calibration == "fitted"
    assert Predictor(runs[0], PredictionOptions(average_with=runs[1])).calibration is None
