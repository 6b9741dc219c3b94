"""Fit the calibration of a trained run, on validation cases only: a temperature and a review rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from lexiseg._version import __version__
from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.leaks import refuse_leaks
from lexiseg.data.patient_groups import group_of
from lexiseg.data.readers import read_labels
from lexiseg.errors import DataError, LexisegError, RunError
from lexiseg.evaluation.checks import check_classes, check_split, check_unseen
from lexiseg.evaluation.evaluation_data import open_for_runs, seen_by
from lexiseg.evaluation.fitting.card_review import update_card
from lexiseg.evaluation.fitting.training_images import describe_training_images
from lexiseg.evaluation.options import PredictionKeywords, Progress, prediction_options
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.provenance import describe_data
from lexiseg.evaluation.scores.reliability import Reliability
from lexiseg.evaluation.scores.statistics import FloatArray
from lexiseg.extras import is_installed
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.calibration import (
    Calibration,
    CalibrationData,
    read_calibrations,
    with_calibration,
    write_calibrations,
)
from lexiseg.inference.reliability.review import REVIEW_SHARE, ReviewRule, Signal
from lexiseg.inference.reliability.training_images import load_training_images, save_training_images
from lexiseg.inference.result import Prediction
from lexiseg.mask_overlap import mean_dice
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run

#: Pixels drawn per image for the temperature: every image counts the same, whatever its size.
PIXELS_PER_IMAGE = 4096

# Folds of the test whether a temperature helps on other cases.
_FOLDS = 5

# Probabilities are single precision: values below this cannot be told from 0.
_LEAST = 1e-7
_TEMPERATURES = (0.1, 10.0)
# Weight of the penalty on the weights, in cases: a handful of validation cases must not make a bold rule.
_SHRINKAGE = 2.0


def calibrate(
    run: Run | str | Path,
    data: str | Path,
    *,
    allow_leak: bool = False,
    progress: Progress | None = None,
    **options: Unpack[PredictionKeywords],
) -> Calibration:
    """Fit temperature and review rule on the validation split and write them to `calibration.json`.

    The model card then says which predictions are flagged. Masks do not change. The calibration is for one
    way of prediction: call this twice to calibrate both plain and flip-averaged prediction. Where the run
    does not hold what its training images look like, this is written too, if there are enough images (see
    `training_images`). It names the engine that computed it: the one of the options; for "auto" torch where
    it is installed, as a model file can lack the output with image features.

    Args:
        run: A trained run, or its folder.
        data: The data set it was trained on.
        allow_leak: Whether validation images or patients may be in the training split too.
        progress: Called after each case with the number of cases done and in all.
        **options: Fields of `PredictionOptions`, such as `flip_average=True` to calibrate flip-averaged
            prediction.

    Returns:
        The calibration.

    Raises:
        DataError: The data set cannot be used with the run, has no validation cases with masks, or one of
            them cannot be read, or shares validation images or patients with the training split.
        RunError: The run folder cannot be used, or comes with Lexiseg, its `calibration.json` is damaged, or
            what its training images look like cannot be read or was made with other weights.
        DiskError: `calibration.json` cannot be written.
    """
    settings = prediction_options(options)
    run = Run.of(run)
    if run.shipped:
        raise RunError(
            f"{run.path.name} comes with Lexiseg and is already calibrated; it cannot be changed. To "
            f"calibrate it for other images, copy {run.path} and use the copy.",
            code="LEX-RUN-016",
        )
    # Before anything is predicted or written: no prediction of the run is possible with a damaged file.
    read_calibrations(run)
    known_images = load_training_images(run)
    index = refuse_leaks(open_for_runs((run,), data, "val"), allow=allow_leak, scored="val")
    predictor = Predictor(run, settings, calibrated=False)
    fitted = calibrate_on(index, predictor, settings, progress=progress)
    if known_images is None:
        engine = "torch" if settings.engine == "auto" and is_installed("torch") else settings.engine
        images = describe_training_images(index, run, device=settings.device, engine=engine)
        if images is not None:
            save_training_images(run, images)
    file = with_calibration(run, fitted, flip_average=settings.flip_average)
    update_card(run, file)
    # The last file: where the command was killed before, no calibration says that all is done.
    write_calibrations(run, file)
    return fitted


def calibrate_on(
    index: DatasetIndex,
    predictor: PathPredictor,
    options: PredictionOptions,
    *,
    progress: Progress | None = None,
) -> Calibration:
    """Fit a calibration on a data set that is already open; nothing is written. See `calibrate`.

    Args:
        index: The data set.
        predictor: The predictor, loaded as the options say and without a calibration.
        options: How it predicts.
        progress: Called after each case.
    """
    check_classes(index, predictor.run)
    check_unseen(index, predictor.run, "val")
    index = seen_by(predictor.runs, index, "val")
    samples = [sample for sample in check_split(index, "val") if sample.mask is not None]
    if not samples:
        raise DataError(
            f"No validation image of {index.root} has a mask, so nothing can be calibrated.",
            code="LEX-DATA-135",
        )
    validation = _ValidationCases()
    predictions = predictor.predict_paths([sample.image for sample in samples], batch_size=options.batch_size)
    for done, (sample, answer) in enumerate(zip(samples, predictions, strict=True), start=1):
        validation.add(sample, answer, index)
        if progress is not None:
            progress(done, len(samples))
    scores, labels = np.concatenate(validation.scores), np.concatenate(validation.labels)
    chosen = choose_temperature(validation.scores, validation.labels, validation.patients)
    temperature = chosen.temperature
    about = describe_data(index, samples, "val")
    return Calibration(
        temperature=temperature,
        ece_before=_ece(scores, labels, 1.0),
        ece_after=_ece(scores, labels, temperature),
        nll_before=_nll(scores, labels, 1.0),
        nll_after=_nll(scores, labels, temperature),
        ece_unseen_before=chosen.ece_before,
        ece_unseen_after=chosen.ece_after,
        pixels=len(labels),
        review=fit_review(validation.signals, validation.dice),
        data=CalibrationData(
            name=about.name,
            split=about.split,
            samples=about.samples,
            ids_sha256=about.ids_sha256,
            left_out=about.left_out,
            leaks=about.leaks,
            images_known=not any(LearnedImages(one).unknown_runs(index.name) for one in predictor.runs),
        ),
        engine=str(predictor.engine.description),
        lexiseg_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@dataclass
class _ValidationCases:
    """Some pixels, the signals and the Dice of each validation case."""

    scores: list[npt.NDArray[np.float32]] = field(default_factory=list)
    labels: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    signals: list[dict[str, float]] = field(default_factory=list)
    dice: list[float] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)

    def add(
        self, sample: Sample, answer: tuple[Path, Prediction | LexisegError], index: DatasetIndex
    ) -> None:
        assert sample.mask is not None
        path, prediction = answer
        if not isinstance(prediction, Prediction):
            raise DataError(f"{path} cannot be read: {prediction}", code="LEX-DATA-136") from prediction
        truth = read_labels(sample, index.coding)
        if truth.shape != prediction.mask.shape:
            raise DataError(
                f"The mask {sample.mask} and its image {sample.image} differ in size. "
                "Export both at one size.",
                code="LEX-DATA-137",
            )
        generator = np.random.default_rng(len(self.dice))
        drawn = generator.choice(truth.size, size=min(truth.size, PIXELS_PER_IMAGE), replace=False)
        foreground = prediction.probability.reshape(len(prediction.probability), -1)[:, drawn]
        probability = np.concatenate([1 - foreground.sum(axis=0, keepdims=True), foreground])
        # Softmax of the logarithms gives the probabilities back, so these are the scores but for a constant.
        self.scores.append(np.log(np.maximum(probability, _LEAST)).T.astype(np.float32))
        self.labels.append(truth.ravel()[drawn])
        self.signals.append(prediction.signals)
        self.patients.append(group_of(sample))
        self.dice.append(mean_dice(prediction.mask, truth, index.num_classes))


@dataclass(frozen=True, kw_only=True)
class TemperatureFit:
    """A temperature, and what it is worth on patients that it was not fitted on.

    Attributes:
        temperature: The temperature; 1 where a fitted one does not help on such patients.
        ece_before: Calibration error without a temperature, mean of the folds, 0..1; None with one patient.
        ece_after: Calibration error of each fold with the temperature of the others, mean, 0..1; None with
            one patient.
    """

    temperature: float
    ece_before: float | None
    ece_after: float | None


def choose_temperature(
    scores: Sequence[npt.NDArray[np.floating]],
    labels: Sequence[npt.NDArray[np.integer]],
    patients: Sequence[str],
) -> TemperatureFit:
    """Return the temperature of all cases if fitted ones help on other patients' cases, else 1.

    Args:
        scores: Logits of the pixels of each case, `(N, classes)`, background first.
        labels: Their true labels, `(N,)` each.
        patients: The patient of each case; where none is known, a name of its own.
    """
    numbers = {patient: number for number, patient in enumerate(dict.fromkeys(patients))}
    folds = min(_FOLDS, len(numbers))
    if folds < 2:
        return TemperatureFit(temperature=1.0, ece_before=None, ece_after=None)
    fold_of = [numbers[patient] % folds for patient in patients]
    before, after = [], []
    for fold in range(folds):
        others = [case for case, number in enumerate(fold_of) if number != fold]
        fitted = fit_temperature(*_pixels(scores, labels, others))
        held_out = _pixels(scores, labels, [case for case, number in enumerate(fold_of) if number == fold])
        before.append(_ece(*held_out, 1.0))
        after.append(_ece(*held_out, fitted))
    helps = np.mean(after) < np.mean(before)
    return TemperatureFit(
        temperature=fit_temperature(np.concatenate(scores), np.concatenate(labels)) if helps else 1.0,
        ece_before=float(np.mean(before)),
        ece_after=float(np.mean(after)),
    )


def _pixels(
    scores: Sequence[npt.NDArray[np.floating]],
    labels: Sequence[npt.NDArray[np.integer]],
    cases: Sequence[int],
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.integer]]:
    """Return the pixels of some cases, by their number."""
    return np.concatenate([scores[case] for case in cases]), np.concatenate([labels[case] for case in cases])


def fit_temperature(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> float:
    """Return the temperature T, 0.1 to 10, that minimises the negative log likelihood of `scores / T`.

    Args:
        scores: Logits of pixels, `(N, classes)`, background first.
        labels: Their true labels, `(N,)`.
    """
    low, high = np.log(_TEMPERATURES)
    # In log T the likelihood has one minimum, which the bounded search closes in on.
    found = minimize_scalar(
        lambda log_t: _nll(scores, labels, float(np.exp(log_t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(found.x))


def fit_review(signals: Sequence[dict[str, float]], dice: Sequence[float]) -> ReviewRule:
    """Fit the Dice expected from the signals, and the limit below which predictions are flagged for review.

    A logistic regression of the Dice, with weights that are penalised and cannot be negative: all signals are
    made so that more is better. The limit is the highest that flags at most `REVIEW_SHARE` of the cases.

    Args:
        signals: Signals per validation case; all cases have the same ones, but the agreement may be unknown.
        dice: Dice per case, 0..1.
    """
    names = list(dict.fromkeys(name for case in signals for name in case))
    values = np.array([[case.get(name, np.nan) for name in names] for case in signals])
    values = values.reshape(len(signals), len(names))
    target = np.asarray(dice, dtype=np.float64)
    mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    spread[spread == 0] = 1.0
    # What is unknown counts as the mean, here and in the rule.
    bias, weights = _logistic(np.nan_to_num((values - mean) / spread), target)
    rule = ReviewRule(
        signals={
            name: Signal(mean=float(m), spread=float(s), weight=float(w))
            for name, m, s, w in zip(names, mean, spread, weights, strict=True)
        },
        bias=bias,
        below=0.0,
    )
    expected = np.array([rule.expected_dice(case) for case in signals])
    below = float(np.sort(expected)[int(REVIEW_SHARE * len(expected))])
    flagged = expected < below
    return rule.model_copy(
        update={
            "below": below,
            "flagged": float(flagged.mean()),
            "dice_flagged": float(target[flagged].mean()) if flagged.any() else None,
            "dice_rest": float(target[~flagged].mean()),
        }
    )


def _logistic(z: FloatArray, target: FloatArray) -> tuple[float, FloatArray]:
    """Return bias and weights >= 0 of the penalised logistic regression of `target (N,)` on `z (N, K)`."""

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        bias, weights = parameters[0], parameters[1:]
        odds = bias + z @ weights
        value = np.sum(np.logaddexp(0, odds) - target * odds) + _SHRINKAGE / 2 * weights @ weights
        error = expit(odds) - target
        slope = np.concatenate([[error.sum()], z.T @ error + _SHRINKAGE * weights])
        return float(value), slope

    # Bounded, as the likelihood of cases that are all perfect has no best bias.
    bounds = [(-10.0, 10.0)] + [(0.0, None)] * z.shape[1]
    found = minimize(loss, np.zeros(1 + z.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(found.x[0]), np.asarray(found.x[1:])


def _nll(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], temperature: float) -> float:
    logs = log_softmax(scores / temperature, axis=1)
    return float(-np.take_along_axis(logs, labels[:, None].astype(np.int64), axis=1).mean())


def _ece(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], temperature: float) -> float:
    reliability = Reliability()
    reliability.add(np.exp(log_softmax(scores / temperature, axis=1)).T[1:], labels)
    return reliability.ece
