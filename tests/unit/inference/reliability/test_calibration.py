from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from scipy.special import expit, logit

from lexiseg.errors import RunError
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.inference.reliability.calibration import (
    Calibration,
    CalibrationData,
    load_calibration,
    with_calibration,
    write_calibrations,
)
from lexiseg.inference.reliability.review import ReviewRule, Signal
from lexiseg.json_records import record_sha256
from lexiseg.runs.run import Run
from refusals import refuses


def calibration(temperature: float = 2.0, *, below: float = 0.0, signal: str = "overlap") -> Calibration:
    rule = ReviewRule(signals={signal: Signal(mean=0.5, spread=0.1, weight=1.0)}, bias=0.0, below=below)
    return Calibration(
        temperature=temperature,
        ece_before=0.02,
        ece_after=0.01,
        nll_before=0.2,
        nll_after=0.1,
        pixels=100,
        review=rule,
        data=CalibrationData(name="chest", split="val", samples=5, ids_sha256="0"),
        lexiseg_version="0",
        created="2026-11-22T00:00:00+00:00",
    )


def save_calibration(run: Run, calibration: Calibration, *, flip_average: bool) -> None:
    write_calibrations(run, with_calibration(run, calibration, flip_average=flip_average))


def test_each_way_of_predicting_has_its_own(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    assert load_calibration(run, flip_average=False) is None
    save_calibration(run, calibration(2.0), flip_average=False)
    assert load_calibration(run, flip_average=True) is None
    save_calibration(run, calibration(3.0, signal="mirror"), flip_average=True)
    plain, flipped = (load_calibration(run, flip_average=flip) for flip in (False, True))
    assert (plain, flipped) == (calibration(2.0), calibration(3.0, signal="mirror"))


def test_other_weights_are_refused_until_calibrated_again(tmp_path: Path, make_run: Any) -> None:
    run, _ = make_run(tmp_path / "run")
    save_calibration(run, calibration(2.0), flip_average=False)
    trained_on = {name: tensor + 1 for name, tensor in load_file(run.weights_file).items()}
    save_file(trained_on, run.weights_file)
    with refuses("LEX-RUN-009", "`lexiseg calibrate"):
        load_calibration(run, flip_average=False)
    save_calibration(run, calibration(4.0), flip_average=True)
    assert load_calibration(run, flip_average=True) == calibration(4.0)
    assert load_calibration(run, flip_average=False) is None  # that of the old weights is gone


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 99}, "newer Lexiseg"),
        ({"format_version": None}, "is damaged"),
        ({"plain": {"temperature": -1}}, "is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, make_run: Any, change: dict[str, Any], said: str
) -> None:
    run, _ = make_run(tmp_path / "run")
    save_calibration(run, calibration(), flip_average=False)
    file = run.path / "calibration.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(RunError, match=said):
        Predictor(run)
    file.write_text("{")
    with refuses("LEX-RUN-010", "is damaged"):
        save_calibration(run, calibration(), flip_average=False)


@pytest.mark.parametrize("temperature", [0.3, 1.7, 9.0])
def test_probabilities_are_tempered_and_masks_are_not(
    tmp_path: Path, make_run: Any, images: list[Path], temperature: float
) -> None:
    run, _ = make_run(tmp_path / "run")
    uncalibrated = Predictor(run)
    before = [uncalibrated.predict(path) for path in images]
    save_calibration(run, calibration(temperature), flip_average=False)
    calibrated = Predictor(run)
    for path, plain in zip(images, before, strict=True):
        tempered = calibrated.predict(path)
        assert np.array_equal(tempered.mask, plain.mask)
        expected = expit(logit(plain.probability.astype(np.float64)) / temperature)
        np.testing.assert_allclose(tempered.probability, expected, atol=1e-3)
        assert tempered.signals == plain.signals  # what is fitted on them does not move them
        assert [word.confidence for word in tempered.words] == [word.confidence for word in plain.words]
    untouched = Predictor(run, calibrated=False).predict(images[0])
    assert np.array_equal(untouched.probability, before[0].probability)


def test_several_classes_keep_their_masks(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    run, _ = make_run(tmp_path / "run", text="none", classes=4)
    plain = Predictor(run).predict(images[1])
    save_calibration(run, calibration(2.0), flip_average=False)
    tempered = Predictor(run).predict(images[1])
    assert np.array_equal(tempered.mask, plain.mask)
    everything = np.concatenate([1 - plain.probability.sum(axis=0, keepdims=True), plain.probability])
    expected = np.sqrt(np.maximum(everything, 0))
    np.testing.assert_allclose(tempered.probability, (expected / expected.sum(axis=0))[1:], atol=2e-3)


def test_the_flag_follows_the_expected_dice(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    run, _ = make_run(tmp_path / "run", review_below=1.01)
    uncalibrated = Predictor(run).predict(images[0])
    assert uncalibrated.flagged
    assert uncalibrated.expected_dice is None
    assert all(reason.startswith("words and mask disagree: ") for reason in uncalibrated.reasons)
    save_calibration(run, calibration(below=0.0), flip_average=False)
    trusting = Predictor(run).predict(images[0])
    assert not trusting.flagged  # the old limit no longer counts
    assert trusting.reasons == uncalibrated.reasons  # that words and mask disagree is said all the same
    assert trusting.reasons
    save_calibration(run, calibration(below=1.0), flip_average=False)
    doubting = Predictor(run).predict(images[0])
    odds = (doubting.signals["overlap"] - 0.5) / 0.1
    assert doubting.expected_dice == pytest.approx(1 / (1 + np.exp(-odds)))
    assert doubting.flagged
    assert doubting.reasons[0].startswith(f"low confidence: expected Dice {doubting.expected_dice:.2f}")
    line = PredictionRecord.of(doubting, image=images[0], name="a", mask=None).model_dump(mode="json")
    assert line["reasons"] == list(doubting.reasons)
    assert line["expected_dice"] == pytest.approx(doubting.expected_dice, abs=1e-4)


def test_the_mirror_is_a_signal_only_where_it_is_asked(
    tmp_path: Path, make_run: Any, images: list[Path]
) -> None:
    run, _ = make_run(tmp_path / "run")
    assert set(Predictor(run).predict(images[0]).signals) == {
        "overlap", "inside", "size", "words", "agreement",
    }  # fmt: skip
    flipped = Predictor(run, PredictionOptions(flip_average=True)).predict(images[0])
    assert 0 <= flipped.signals["mirror"] < 1


def test_a_run_without_words_can_be_calibrated(tmp_path: Path, make_run: Any, images: list[Path]) -> None:
    run, _ = make_run(tmp_path / "run", text="none")
    save_calibration(run, calibration(below=1.0), flip_average=False)
    prediction = Predictor(run).predict(images[0])
    assert prediction.flagged
    assert set(prediction.signals) == {"overlap", "inside", "size"}


def test_scores_are_divided_by_the_temperature() -> None:
    logits = np.array([[3.0, -1.0], [0.0, 8.0]], np.float32)
    scaled = calibration(2.0).apply(logits)
    assert scaled.tolist() == [[1.5, -0.5], [0.0, 4.0]]
    assert scaled.dtype == logits.dtype
    assert logits.tolist() == [[3.0, -1.0], [0.0, 8.0]]


def test_the_hash_of_a_calibration_of_an_early_version_stays() -> None:
    # DICOM objects and unfinished batches hold it.
    assert record_sha256(calibration()) == "8a533109ecf06165531f12b9be5207304fcbc2ea1fc247c205e50cd6d10ffe2d"
    named = calibration().model_copy(update={"engine": "torch 2.14.1, fp32 on cpu"})
    assert named.model_dump()["engine"] == named.engine
    assert record_sha256(named) != record_sha256(calibration())
