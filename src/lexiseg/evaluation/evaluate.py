"""Evaluate a run on one split of a data set: `metrics.json`, `cases.csv` and `report.html`.

The predictor sees images only. Masks and sentences are read here, beside finished predictions, so nothing of
them can reach the network, and the run's files are only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.data import DatasetIndex, Sample, Split
from lexiseg.data.readers import read_image, read_mask
from lexiseg.errors import DataError, LexisegError, PartialFailureError
from lexiseg.evaluation.cases import Case, Failure, case_table, count_lesions
from lexiseg.evaluation.checks import check_classes, check_split, check_unseen
from lexiseg.evaluation.interface import PredictsPaths
from lexiseg.evaluation.metrics import DEFAULT_TOLERANCE, case_metrics
from lexiseg.evaluation.opening import open_checked
from lexiseg.evaluation.overlays import choose, render
from lexiseg.evaluation.provenance import describe_data, describe_execution, in_sample
from lexiseg.evaluation.reliability import Reliability
from lexiseg.evaluation.report import build_report
from lexiseg.evaluation.retrieval import References, retrieval_scores
from lexiseg.evaluation.summary import summarise
from lexiseg.files import refuse_blocked, write_json, write_text
from lexiseg.inference.options import BATCH_SIZE, PredictionOptions
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.runs.run import Run

#: Called after each case with the number of cases done and the number in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` found and wrote.

    Attributes:
        out: Folder that holds `metrics.json`, `cases.csv` and `report.html`.
        metrics: The content of `metrics.json`.
        cases: The scored cases, in the order of the split.
        failed: Cases that could not be scored; they are in no figure.
    """

    out: Path
    metrics: dict[str, Any]
    cases: tuple[Case, ...]
    failed: tuple[Failure, ...]

    def raise_for_failures(self) -> None:
        """Raise an error if any case failed; everything else has been written by then.

        Raises:
            PartialFailureError: Names the failed cases and where the reasons are.
        """
        if self.failed:
            names = ", ".join(failure.id for failure in self.failed[:5])
            more = ", ..." if len(self.failed) > 5 else ""
            raise PartialFailureError(
                f"{len(self.failed)} of {len(self.failed) + len(self.cases)} cases could not be evaluated "
                f"({names}{more}). All others were; the reasons are under `failed` in "
                f"{self.out / 'metrics.json'}.",
                code="LEX-PART-004",
            )


def evaluate(
    run: Run | str | Path,
    data: str | Path,
    *,
    split: Split = "test",
    out: str | Path,
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
    flip_average: bool = False,
    average_with: Run | str | Path | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict every image of a split, score it on its own grid, and write what was found.

    Args:
        run: A run, or its folder.
        data: A data set folder, in any layout `lexiseg.data.open_dataset` knows.
        split: "train", "val" or "test".
        out: Folder for `metrics.json`, `cases.csv` and `report.html`; existing ones are replaced.
        batch_size: Images predicted at once.
        device: Torch device of the prediction.
        flip_average: Whether to predict each image and its mirror image and average, see `Predictor`.
        average_with: A second run, or its folder, to average with, see `Predictor`.
        tolerance: Boundary error that surface Dice forgives, in millimetres where every image's spacing is
            known, else in pixels.
        seed: Seed of the bootstrap intervals.
        progress: Called after each case.

    Returns:
        The evaluation. Cases that could not be read are in its `failed`; `raise_for_failures` makes them an
        error.

    Raises:
        DataError: The data set cannot be opened, has no such split, other classes than the run, reports that
            mean the other side than stated, no usable case, or the split holds images the run has learned
            from.
        RunError: The run folder cannot be used.
        UsageError: `out` is a file, or lies in one, or the second run has other classes or words.
        DiskError: The results cannot be written.
    """
    run = Run.of(run)
    refuse_blocked(out)
    second = None if average_with is None else Run.of(average_with)
    index = open_checked((run,) if second is None else (run, second), data, split)
    predictor = Predictor(
        run, PredictionOptions(device=device, flip_average=flip_average, average_with=second)
    )
    return evaluate_predictor(
        predictor,
        index,
        split=split,
        out=Path(out),
        batch_size=batch_size,
        device=device,
        flip_average=flip_average,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
    )


def evaluate_predictor(
    predictor: PredictsPaths,
    index: DatasetIndex,
    *,
    split: Split,
    out: Path,
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
    flip_average: bool = False,
    tolerance: float = DEFAULT_TOLERANCE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a predictor that is already loaded with `device` and what it averages; see `evaluate`."""
    started = time.monotonic()
    run = predictor.run
    samples = check_split(index, split)
    check_classes(index, run)
    for member in predictor.runs:
        check_unseen(index, member, split)
    in_mm = all(sample.spacing_mm is not None for sample in samples)
    references = References.for_run(run, index)
    if references is not None:
        references.check_side(index, samples)
    scoring = _Scoring(
        index=index, references=references, in_mm=in_mm, tolerance=tolerance, reliability=Reliability()
    )
    cases, failed = _score(predictor, samples, scoring, batch_size, progress)
    if not cases:
        raise DataError(
            f"None of the {len(samples)} cases of the {split} split of {index.root} could be evaluated. "
            f"First reason: {failed[0].error}",
            code="LEX-DATA-143",
        )
    metrics = _metrics(cases, failed, run=run, scoring=scoring, seed=seed)
    metrics["calibration"] = {
        "temperature": predictor.calibration and predictor.calibration.temperature,
        "signals": predictor.calibration and predictor.calibration.review.weights,
        **scoring.reliability.to_dict(),
    }
    metrics["in_sample"] = in_sample(predictor, index, split)
    metrics["data"] = describe_data(index, samples, split)
    shown = render(choose(cases), predictor, index=index, references=references)
    metrics["execution"] = describe_execution(
        run=run.shown,
        data=index.root,
        split=split,
        out=out,
        seed=seed,
        tolerance=tolerance,
        device=device,
        flip_average=flip_average,
        average_with=[other.shown for other in predictor.runs[1:]],
        seconds=time.monotonic() - started,
    )
    table = case_table(
        cases, root=index.root, vocabulary=run.spoken_vocabulary, class_names=index.class_names, side=run.side
    )
    write_text(out / "cases.csv", table)
    write_text(out / "report.html", build_report(metrics, cases, shown, history=run.history))
    # Last, so that its presence tells that the evaluation is complete.
    write_json(out / "metrics.json", metrics)
    return Evaluation(out=out, metrics=metrics, cases=tuple(cases), failed=tuple(failed))


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """How predictions become cases."""

    index: DatasetIndex
    references: References | None
    in_mm: bool
    tolerance: float
    reliability: Reliability

    def case(self, sample: Sample, prediction: Prediction) -> Case:
        """Score one prediction, and count its pixels by the probability they were given.

        Raises:
            LexisegError: The mask is missing, unreadable, of another size, or holds an unknown class.
        """
        if sample.mask is None:
            raise DataError(f"{sample.image} has no mask to be scored against.", code="LEX-DATA-144")
        truth = read_mask(sample.mask, self.index.coding)
        if truth.shape != prediction.mask.shape:
            raise DataError(
                f"The mask {sample.mask} has {_size(truth)} pixels, its image {sample.image} has "
                f"{_size(prediction.mask)}. Export both at one size.",
                code="LEX-DATA-145",
            )
        reference: tuple[int, ...] = ()
        if self.references is not None:
            reference = self.references.of(sample, truth, read_image(sample.image)).indices
        scores = case_metrics(
            prediction.mask,
            truth,
            num_classes=self.index.num_classes,
            spacing_mm=sample.spacing_mm if self.in_mm else None,
            tolerance=self.tolerance,
        )
        # Last of what can fail, so that only pixels of scored cases are counted.
        self.reliability.add(prediction.probability, truth)
        return Case(
            sample=sample,
            scores=scores,
            image_px=truth.size,
            lesions=count_lesions(truth),
            retrieved=tuple(word.index for word in prediction.words),
            confidence=tuple(word.confidence for word in prediction.words),
            reference=reference,
            agreement=prediction.agreement,
            flagged=prediction.flagged,
            expected_dice=prediction.expected_dice,
        )


def _score(
    predictor: PredictsPaths,
    samples: Sequence[Sample],
    scoring: _Scoring,
    batch_size: int,
    progress: Progress | None,
) -> tuple[list[Case], list[Failure]]:
    cases: list[Case] = []
    failed: list[Failure] = []
    predictions = predictor.predict_paths([sample.image for sample in samples], batch_size=batch_size)
    for done, (sample, (path, prediction)) in enumerate(zip(samples, predictions, strict=True), start=1):
        assert path == sample.image, "predictions come in the order of the paths"
        try:
            if isinstance(prediction, LexisegError):
                raise prediction
            cases.append(scoring.case(sample, prediction))
        except LexisegError as error:
            failed.append(Failure(id=sample.id, image=sample.image, error=str(error)))
        if progress is not None:
            progress(done, len(samples))
    return cases, failed


def _metrics(
    cases: Sequence[Case], failed: Sequence[Failure], *, run: Run, scoring: _Scoring, seed: int
) -> dict[str, Any]:
    """Return what `metrics.json` says about the scores; `evaluate_predictor` adds data and execution."""
    index, references = scoring.index, scoring.references
    retrieval: dict[str, Any] = {}
    if references is not None:
        training = references.indices_of(index.split("train"), index)
        retrieval = retrieval_scores(cases, training, vocabulary=references.vocabulary, seed=seed)
    return {
        "split": cases[0].sample.split,
        "units": "mm" if scoring.in_mm else "px",
        "tolerance": scoring.tolerance,
        "class_names": list(index.class_names),
        "side": run.side,
        **summarise(cases, class_names=index.class_names, seed=seed),
        "reference_words": references.kind if references else None,
        "retrieval": retrieval,
        "failed": [{"id": f.id, "image": str(f.image), "error": f.error} for f in failed],
        "run": {
            "folder": run.shown,
            "manifest": run.manifest.model_dump(mode="json", exclude={"vocabulary"}),
        },
    }


def _size(labels: npt.NDArray[np.integer]) -> str:
    return f"{labels.shape[1]} x {labels.shape[0]}"
