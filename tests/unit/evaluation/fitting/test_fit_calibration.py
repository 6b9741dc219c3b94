from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexiseg.data import open_dataset
from lexiseg.evaluation.evaluate import evaluate_on
from lexiseg.evaluation.fitting.calibration import (
    calibrate_on,
    choose_temperature,
    fit_review,
    fit_temperature,
)
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.provenance import in_sample
from lexiseg.evaluation.report import figures
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.reliability.review import REVIEW_SHARE
from lexiseg.runs.manifest import DataRecord, StartRecord, TrainingRecord
from refusals import refuses

PLAIN = PredictionOptions()


def pixels(temperature: float, classes: int, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores and labels for which `scores / temperature` are the true logits."""
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=3, size=(count, classes))
    true = np.exp(scores / temperature)
    true /= true.sum(axis=1, keepdims=True)
    labels = (rng.random((count, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return scores, labels


def names(count: int) -> list[str]:
    """Return patients with one case each."""
    return [f"p{number}" for number in range(count)]


@pytest.mark.parametrize(("temperature", "classes"), [(2.0, 2), (0.5, 2), (1.0, 2), (1.6, 4)])
def test_finds_the_temperature_the_labels_were_drawn_with(temperature: float, classes: int) -> None:
    assert fit_temperature(*pixels(temperature, classes)) == pytest.approx(temperature, rel=0.03)


def test_a_temperature_that_helps_on_other_cases_is_used() -> None:
    scores, labels = pixels(2.0, 2)
    chosen = choose_temperature(np.split(scores, 10), np.split(labels, 10), names(10))
    assert chosen.temperature == pytest.approx(2.0, rel=0.03)
    assert chosen.ece_after is not None
    assert chosen.ece_before is not None
    assert chosen.ece_after < chosen.ece_before / 2


def test_a_temperature_that_does_not_help_on_other_cases_stays_1() -> None:
    # One half of the cases asks for 0.5, the other for 2: what is fitted on one half harms the other.
    parts = [pixels(temperature, 2, 4000) for temperature in (2.0, 0.5)]
    chosen = choose_temperature([part[0] for part in parts], [part[1] for part in parts], names(2))
    assert chosen.temperature == 1.0
    assert chosen.ece_after is not None
    assert chosen.ece_before is not None
    assert chosen.ece_after > chosen.ece_before


def test_cases_of_a_patient_stay_together() -> None:
    # Two patients, who ask for 0.5 and for 2, with three cases each: no case of one helps the other.
    parts = [pixels(temperature, 2, 2000) for temperature in (2.0, 0.5) * 3]
    scores, labels = [part[0] for part in parts], [part[1] for part in parts]
    chosen = choose_temperature(scores, labels, ["a", "b"] * 3)
    assert chosen == choose_temperature(
        [np.concatenate(scores[0::2]), np.concatenate(scores[1::2])],
        [np.concatenate(labels[0::2]), np.concatenate(labels[1::2])],
        ["a", "b"],
    )
    assert chosen.temperature == 1.0
    assert choose_temperature(scores, labels, ["a"] * 6).ece_before is None


def test_one_case_gives_no_temperature() -> None:
    chosen = choose_temperature(*([part] for part in pixels(2.0, 2, 1000)), names(1))
    assert (chosen.temperature, chosen.ece_before, chosen.ece_after) == (1.0, None, None)


def test_temperature_stays_in_its_range() -> None:
    scores = np.array([[2.0, 0.0]] * 10)
    assert fit_temperature(scores, np.zeros(10, int)) == pytest.approx(0.1, rel=0.05)
    assert fit_temperature(scores, np.ones(10, int)) == pytest.approx(10.0, rel=0.05)


def cases(count: int = 200) -> tuple[list[dict[str, float]], list[float]]:
    """Return cases whose Dice follows `overlap`, and goes against `words`."""
    rng = np.random.default_rng(0)
    dice = rng.random(count)
    noise = rng.normal(scale=0.05, size=count)
    signals = [
        {"overlap": float(d + n), "words": float(1 - d), "size": 1.0}
        for d, n in zip(dice, noise, strict=True)
    ]
    return signals, [float(value) for value in dice]


def test_review_flags_the_worst_and_at_most_its_share() -> None:
    signals, dice = cases()
    rule = fit_review(signals, dice)
    flagged = np.array([rule.expected_dice(case) < rule.below for case in signals])
    assert flagged.mean() == rule.flagged == REVIEW_SHARE
    assert rule.dice_flagged == pytest.approx(np.array(dice)[flagged].mean())
    assert rule.dice_rest == pytest.approx(np.array(dice)[~flagged].mean())
    assert rule.dice_flagged < rule.dice_rest - 0.3
    expected = np.mean([rule.expected_dice(case) for case in signals])
    assert expected == pytest.approx(np.mean(dice), abs=0.01)


def test_no_doubt_can_raise_the_expectation() -> None:
    signals, dice = cases()
    rule = fit_review(signals, dice)
    assert rule.signals["overlap"].weight > 0.5
    assert rule.signals["words"].weight == 0.0  # fewer sure words going with a better Dice is not believed
    assert rule.signals["size"].weight == pytest.approx(0.0)
    assert rule.signals["size"].spread == 1.0  # it is the same in all cases
    better = {**signals[0], "overlap": signals[0]["overlap"] + 0.1}
    assert rule.expected_dice(better) > rule.expected_dice(signals[0])


def test_an_agreement_that_is_not_known_says_nothing() -> None:
    known = [{"overlap": 0.5, "agreement": 0.25}, {"overlap": 0.7, "agreement": 0.75}] * 5
    rule = fit_review([*known, {"overlap": 0.6}], [0.2, 0.8] * 5 + [0.5])
    assert (rule.signals["agreement"].mean, rule.signals["agreement"].spread) == (0.5, 0.25)
    assert rule.signals["agreement"].weight > 0
    assert rule.expected_dice({"overlap": 0.6}) == rule.expected_dice({"overlap": 0.6, "agreement": 0.5})
    with refuses("LEX-RUN-772", "overlap"):
        rule.expected_dice({"agreement": 0.5})


@pytest.mark.parametrize("dice", [[1.0] * 9, [0.0] * 9, [0.5]])
def test_cases_that_teach_nothing_flag_nobody(dice: list[float]) -> None:
    rule = fit_review([{"overlap": 0.8}] * len(dice), dice)
    assert (rule.flagged, rule.dice_flagged) == (0.0, None)
    assert rule.dice_rest == dice[0]
    assert rule.expected_dice({"overlap": 0.8}) == pytest.approx(dice[0], abs=0.1)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawing, the slow part, to the tests of the report."""
    monkeypatch.setattr(figures, "_svg_uri", lambda figure: "data:,")


class Scene:
    """Ten validation cases, good and bad, beside a test case; the predictor says how sure it is."""

    def __init__(self, root: Path, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any) -> None:
        self.answers = {}
        for number in range(10):
            truth = disc(64, 40, 14, 8)
            write_case(root / "data", f"v{number}", truth, "val")
            self.answers[f"v{number}"] = (disc(64, 40, 14, 8 if number > 2 else 3), (1, 0, 2, 7))
        write_case(root / "data", "t0", disc(64, 40, 14, 8))
        write_case(root / "data", "l0", disc(64, 40, 14, 8), "train")
        self.index = open_dataset(root / "data")

        class Unsure(fake_predictor):
            def _prediction(self, mask: np.ndarray, indices: tuple[int, ...]) -> Any:
                found = super()._prediction(mask, indices)
                lesion = (0.9 * found.probability + 0.05).astype(np.float32)
                return replace(
                    found, probability=lesion, signals={"overlap": float(mask.mean()), "words": 0.5}
                )

        self.predictor = Unsure(fake_run(text_source="concepts"), self.answers)


@pytest.fixture
def scene(tmp_path: Path, write_case: Any, disc: Any, fake_run: Any, fake_predictor: Any) -> Scene:
    return Scene(tmp_path, write_case, disc, fake_run, fake_predictor)


def test_sees_validation_only(scene: Scene) -> None:
    seen: list[tuple[int, int]] = []
    fitted = calibrate_on(
        scene.index, scene.predictor, PLAIN, progress=lambda done, total: seen.append((done, total))
    )
    assert scene.predictor.asked == [[f"v{number}" for number in range(10)]]
    assert seen[-1] == (10, 10)
    assert (fitted.data.split, fitted.data.samples) == ("val", 10)
    assert fitted.pixels == 10 * 64 * 64
    assert fitted.nll_after <= fitted.nll_before
    # Sure pixels (0.95) are right in nearly all places: the network was not sure enough.
    assert fitted.temperature < 1
    assert fitted.ece_after < fitted.ece_before
    assert set(fitted.review.signals) == {"overlap", "words"}
    assert fitted.review.flagged <= REVIEW_SHARE
    (said,) = fitted.warnings()
    assert said.startswith("10 validation cases are few for a calibration: below 30,")
    stays = fitted.model_copy(update={"ece_unseen_before": 0.01, "ece_unseen_after": 0.02})
    assert "The temperature stays 1" in stays.warnings()[1]
    untried = {"ece_unseen_before": None, "ece_unseen_after": None, "temperature": 1.0}
    assert "of one patient" in fitted.model_copy(update=untried).warnings()[1]
    enough = fitted.model_copy(update={"data": fitted.data.model_copy(update={"samples": 30})})
    assert enough.warnings() == ()


def test_images_of_earlier_runs_that_are_not_known_are_said(scene: Scene) -> None:
    plain = calibrate_on(scene.index, scene.predictor, PLAIN)
    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=False)
    run = scene.predictor.run
    manifest = run.manifest.model_copy(update={"training": TrainingRecord(start=start)})
    scene.predictor.run = replace(run, manifest=manifest)
    scene.predictor.runs = (scene.predictor.run,)
    fitted = calibrate_on(scene.index, scene.predictor, PLAIN)
    said = "not all images that it has learned this way are known"
    assert [said in warning for warning in fitted.warnings()] == [False, True]
    assert not any(said in warning for warning in plain.warnings())
    # Objects and unfinished batches hold the hash of what earlier versions wrote.
    assert "images_known" not in plain.model_dump_json()


@pytest.mark.parametrize(
    ("split", "of", "said"),
    [
        (
            "val",
            "data",
            "Temperature and review flag were fitted on the validation split: calibration error,",
        ),
        ("test", "data", None),
        ("val", "elsewhere", None),  # the validation split of another data set is new to the run
    ],
)
def test_figures_on_the_split_it_was_fitted_on_are_called_in_sample(
    scene: Scene, tmp_path: Path, split: Any, of: str, said: str | None
) -> None:
    scene.answers["t0"] = scene.answers["v5"]
    fitted = calibrate_on(scene.index, scene.predictor, PLAIN)
    assert fitted.data.name == "data"
    scene.predictor.calibration = fitted.model_copy(
        update={"data": fitted.data.model_copy(update={"name": of})}
    )
    found = evaluate_on(scene.index, scene.predictor, EvaluationOptions(split=split), out=tmp_path / "out")
    sentence = json.loads((found.out / "metrics.json").read_text())["in_sample"]
    report = (found.out / "report.html").read_text()
    assert ("in-sample" in report) == (said is not None)
    if said is None:
        assert sentence is None
    else:
        assert said in sentence
        assert f'<p class="notice">{sentence}</p>' in report


def test_the_limit_of_an_uncalibrated_run_was_chosen_on_validation(scene: Scene, fake_run: Any) -> None:
    def said(text: str, split: str, name: str = "data") -> str | None:
        run = fake_run(text_source=text)
        manifest = run.manifest.model_copy(update={"data": DataRecord(name=name)})
        scene.predictor.run = replace(run, manifest=manifest)
        scene.predictor.runs = (scene.predictor.run,)
        return in_sample(scene.predictor, scene.index, split)

    selected = "The weights were selected on this validation split, which flatters all scores here."
    assert str(said("concepts", "val")).startswith(f"{selected} The limit of the review flag was chosen")
    assert said("none", "val") == selected  # without words there is no limit
    assert said("concepts", "test") is None
    assert str(said("none", "train")).startswith("The run learned from these images: all scores here are")
    assert said("none", "train", "elsewhere") is None
    assert said("concepts", "val", "elsewhere") is None


def test_an_unreadable_validation_case_is_refused(scene: Scene) -> None:
    del scene.answers["v4"]
    with refuses("LEX-DATA-136", "v4.png cannot be read"):
        calibrate_on(scene.index, scene.predictor, PLAIN)


def test_data_without_a_validation_split_is_refused(scene: Scene) -> None:
    samples = tuple(sample for sample in scene.index.samples if sample.split != "val")
    with refuses("LEX-DATA-138", "no images in its val split"):
        calibrate_on(replace(scene.index, samples=samples), scene.predictor, PLAIN)
    masked = tuple(replace(sample, mask=None) for sample in scene.index.samples)
    with refuses("LEX-DATA-135", "has a mask"):
        calibrate_on(replace(scene.index, samples=masked), scene.predictor, PLAIN)
