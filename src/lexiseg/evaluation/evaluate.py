"""Evaluate a run on one split of a data set: `metrics.json`, `cases.csv` and `report.html`.

The predictor sees images only. Masks and sentences are read beside finished predictions, so they cannot reach
the network. The run's files are read and never changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.layouts.scan import some
from lexiseg.data.readers import read_image, read_labels
from lexiseg.errors import DataError, LexisegError, PartialFailureError
from lexiseg.evaluation.checks import check_classes, check_split, check_unseen
from lexiseg.evaluation.evaluation_data import open_scorable, seen_by
from lexiseg.evaluation.options import EvaluationKeywords, EvaluationOptions, Progress
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.provenance import describe_data, describe_execution, describe_run, in_sample
from lexiseg.evaluation.report.case_figures import choose_cases, draw_cases
from lexiseg.evaluation.report.page import build_report
from lexiseg.evaluation.result_folder import EVALUATION_FILES, result_folder
from lexiseg.evaluation.scores.cases import ScoredCase, case_table, count_lesions
from lexiseg.evaluation.scores.metrics import case_metrics
from lexiseg.evaluation.scores.metrics_file import (
    CalibrationMetrics,
    Execution,
    FailedCase,
    Metrics,
    RetrievalScores,
)
from lexiseg.evaluation.scores.reliability import Reliability
from lexiseg.evaluation.scores.retrieval import References, retrieval_scores
from lexiseg.evaluation.scores.summary import summarise
from lexiseg.files import refuse_blocked
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.json_records import record_text
from lexiseg.printable import brief, counted
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        out: Folder that holds `metrics.json`, `cases.csv` and `report.html`.
        metrics: The content of `metrics.json`; `metrics.failed` lists the cases that could not be scored.
        cases: The scored cases, in the order of the split.
    """

    out: Path
    metrics: Metrics
    cases: tuple[ScoredCase, ...]

    def __repr__(self) -> str:
        return brief(
            self, str(self.out), counted(len(self.cases), "case"), f"Dice {self.metrics.dice.mean:.4f}"
        )

    def raise_for_failures(self) -> None:
        """Raise an error if any case failed; all files have been written by then.

        Raises:
            PartialFailureError: Names the failed cases and where the reasons are.
        """
        failed = self.metrics.failed
        if failed:
            names = ", ".join(case.id for case in failed[:5])
            more = ", ..." if len(failed) > 5 else ""
            raise PartialFailureError(
                f"{len(failed)} of {counted(len(failed) + len(self.cases), 'case')} could not be evaluated "
                f"({names}{more}). The others were evaluated. The reasons are under `failed` in "
                f"{self.out / 'metrics.json'}.",
                code="LEX-PART-004",
            )


def evaluate(
    run: Run | str | Path,
    data: str | Path,
    *,
    out: str | Path,
    progress: Progress | None = None,
    **options: Unpack[EvaluationKeywords],
) -> Evaluation:
    """Predict every image of a split, score each prediction on the image's own grid, and write the results.

    Args:
        run: A run, or its folder.
        data: A data set folder, in any layout `lexiseg.data.open_dataset` knows.
        out: Folder for `metrics.json`, `cases.csv` and `report.html`; those of an earlier evaluation are
            replaced.
        progress: Called after each case.
        **options: Fields of `EvaluationOptions`, such as `split="val"`; `average_with` may be a folder.

    Returns:
        The evaluation. Cases that could not be read are in `metrics.failed`; `raise_for_failures` makes them
        an error.

    Raises:
        DataError: The data set cannot be opened, has no such split, has other classes than the run, has
            reports whose left/right convention differs from the stated one, has no usable case, or the split
            holds images the run has learned from; or `out` holds files of these names that Lexiseg did not
            write, or that were changed since.
        RunError: The run folder cannot be used.
        UsageError: `out` is a file, or lies in one, another process writes to it, or the second run has other
            classes or words.
        DiskError: The results cannot be written.

    Examples:
        >>> result = evaluate("runs/chest", "data/chest", out="results")  # doctest: +SKIP
        >>> result.metrics.dice.mean, result.metrics.dice.ci95  # doctest: +SKIP
    """
    run = Run.of(run)
    refuse_blocked(out)
    settings = EvaluationOptions.of(**options)
    index = open_scorable(settings.members(run), data, settings.split, allow_leak=settings.allow_leak)
    return evaluate_on(index, run, settings, out=Path(out), progress=progress)


def evaluate_on(
    index: DatasetIndex,
    run: Run | PathPredictor,
    options: EvaluationOptions,
    *,
    out: Path,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a run on a data set that is already open; see `evaluate`.

    Args:
        index: The data set; training masks that were hidden from the run are not read.
        run: The run, or a predictor that is already loaded as the options say.
        options: How to evaluate.
        out: Folder for the results.
        progress: Called after each case.
    """
    started = time.monotonic()
    predictor = Predictor(run, options) if isinstance(run, Run) else run
    samples = check_split(index, options.split)
    check_classes(index, predictor.run)
    for member in predictor.runs:
        check_unseen(index, member, options.split)
    index = seen_by(predictor.runs, index, options.split)
    scorer = _CaseScorer.of(index, samples, predictor.run, options)
    with result_folder(out, EVALUATION_FILES) as folder:
        cases, failed = _score(predictor, samples, scorer, options.batch_size, progress)
        if not cases:
            raise DataError(
                f"No case of the {options.split} split of {index.root} could be evaluated (of "
                f"{counted(len(samples), 'case')}). First reason: {failed[0].error}",
                code="LEX-DATA-143",
            )
        figures = draw_cases(choose_cases(cases), predictor, index=index, references=scorer.references)
        execution = describe_execution(
            predictor, index.root, options, out=out, seconds=time.monotonic() - started
        )
        metrics = _metrics(cases, failed, samples, predictor, scorer, options, execution)
        table = case_table(
            cases,
            root=index.root,
            vocabulary=predictor.run.spoken_vocabulary,
            class_names=index.class_names,
            side=predictor.run.shown_side,
        )
        folder.write_text(out / "cases.csv", table)
        report = build_report(metrics, cases, figures, history=predictor.run.history)
        folder.write_text(out / "report.html", report)
        # Last: its presence means that the evaluation is complete.
        folder.write_text(out / "metrics.json", record_text(metrics))
        return Evaluation(out=out, metrics=metrics, cases=tuple(cases))


@dataclass(frozen=True, kw_only=True)
class _CaseScorer:
    """Scores predictions case by case."""

    index: DatasetIndex
    references: References | None
    in_mm: bool
    tolerance: float
    reliability: Reliability

    @classmethod
    def of(
        cls, index: DatasetIndex, samples: Sequence[Sample], run: Run, options: EvaluationOptions
    ) -> _CaseScorer:
        """Return a scorer for the samples of a split.

        Raises:
            DataError: The reports' left/right convention differs from the stated one.
        """
        references = References.for_run(run, index)
        if references is not None:
            references.check_side(index, samples)
        return cls(
            index=index,
            references=references,
            in_mm=all(sample.spacing_mm is not None for sample in samples),
            tolerance=options.tolerance,
            reliability=Reliability(),
        )

    def score(self, sample: Sample, prediction: Prediction) -> ScoredCase:
        """Score one prediction, and count its pixels by their predicted probability.

        Raises:
            LexisegError: The mask is missing, unreadable, of another size, or holds an unknown class.
        """
        if sample.mask is None:
            raise DataError(f"{sample.image} has no mask, so it cannot be scored.", code="LEX-DATA-144")
        truth = read_labels(sample, self.index.coding)
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
        unlike = prediction.unlike_training_images
        # After everything that can fail, so that only pixels of scored cases are counted.
        self.reliability.add(prediction.probability, truth)
        return ScoredCase(
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
            unlike=None if unlike is None else bool(unlike),
        )


def _score(
    predictor: PathPredictor,
    samples: Sequence[Sample],
    scorer: _CaseScorer,
    batch_size: int,
    progress: Progress | None,
) -> tuple[list[ScoredCase], list[FailedCase]]:
    cases: list[ScoredCase] = []
    failed: list[FailedCase] = []
    predictions = predictor.predict_paths([sample.image for sample in samples], batch_size=batch_size)
    for done, (sample, (path, prediction)) in enumerate(zip(samples, predictions, strict=True), start=1):
        assert path == sample.image, "predictions come in the order of the paths"
        try:
            if isinstance(prediction, LexisegError):
                raise prediction
            cases.append(scorer.score(sample, prediction))
        except LexisegError as error:
            failed.append(FailedCase(id=sample.id, image=str(sample.image), error=str(error)))
        if progress is not None:
            progress(done, len(samples))
    return cases, failed


def _metrics(
    cases: Sequence[ScoredCase],
    failed: Sequence[FailedCase],
    samples: Sequence[Sample],
    predictor: PathPredictor,
    scorer: _CaseScorer,
    options: EvaluationOptions,
    execution: Execution,
) -> Metrics:
    """Return the content of `metrics.json`."""
    index = scorer.index
    retrieval, left_out = _retrieval(cases, scorer, seed=options.seed)
    data = describe_data(index, samples, options.split)
    earlier = [name for run in predictor.runs for name in LearnedImages(run).unknown_runs(index.name)]
    return Metrics(
        **dict(summarise(cases, class_names=index.class_names, seed=options.seed)),
        split=options.split,
        units="mm" if scorer.in_mm else "px",
        tolerance=options.tolerance,
        class_names=index.class_names,
        side=predictor.run.shown_side,
        reference_words=scorer.references.kind if scorer.references else None,
        retrieval=retrieval,
        calibration=_calibration(predictor, scorer.reliability),
        in_sample=in_sample(predictor, index, options.split),
        failed=tuple(failed),
        run=describe_run(predictor.run, predictor.weights_sha256[0]),
        data=data.model_copy(
            update={
                "left_out": (*data.left_out, *left_out),
                "unknown_runs": tuple(dict.fromkeys(earlier)),
            }
        ),
        execution=execution,
    )


def _retrieval(
    cases: Sequence[ScoredCase], scorer: _CaseScorer, *, seed: int
) -> tuple[dict[str, RetrievalScores], tuple[str, ...]]:
    """Return the retrieval scores by factor, and what they leave out, one sentence each.

    Both are empty for a run without words.
    """
    references, index = scorer.references, scorer.index
    if references is None:
        return {}, ()
    training, skipped = references.indices_of(index.split("train"), index)
    scores = retrieval_scores(cases, training, vocabulary=references.vocabulary, seed=seed)
    notes = (references.note,) if references.note else ()
    if not skipped:
        return scores, notes
    return scores, (
        *notes,
        f"{counted(len(skipped), 'training image')} cannot be read or differ in size from their mask "
        f"({some(skipped)}), so the most frequent phrases are those of the others. `lexiseg data check` "
        "gives the reasons.",
    )


def _calibration(predictor: PathPredictor, reliability: Reliability) -> CalibrationMetrics:
    fitted = predictor.calibration
    return CalibrationMetrics(
        **dict(reliability.scores()),
        temperature=None if fitted is None else fitted.temperature,
        signals=None if fitted is None else fitted.review.weights,
    )


def _size(labels: npt.NDArray[np.integer]) -> str:
    return f"{labels.shape[1]} x {labels.shape[0]}"
