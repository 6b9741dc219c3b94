"""The last look at the validation split: scores of the selected weights, and when to ask a person."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from lexiseg.data.readers import read_labels
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError
from lexiseg.evaluation.scores.lesion_sizes import LesionSizes
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.reliability.review import REVIEW_SHARE
from lexiseg.inference.result import Prediction
from lexiseg.mask_overlap import mean_dice
from lexiseg.printable import counted, markdown_text, printable
from lexiseg.runs.data_sentence import data_sentence
from lexiseg.runs.manifest import FinishedTraining, ValidationRecord
from lexiseg.runs.run import Run
from lexiseg.systems.registry import system_of
from lexiseg.training.steps.callbacks import PLAIN_LINE_SECONDS
from lexiseg.words.description import SIDE_NOTES

#: Said wherever a run of `shuffle_words` shows itself.
NOT_A_MODEL = (
    "SHUFFLED WORDS: each training image has another image's words. This run shows what words that are not "
    "true buy; it is no model for use."
)


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """Scores on all validation cases, at their own grids.

    Attributes:
        cases: Number of cases.
        dice: Mean per-case Dice over foreground classes.
        agreement: Mean agreement of retrieved and measured words; None without text.
        review_below: Agreement below which a prediction is flagged.
        flagged: Share of the validation cases that are flagged.
        dice_flagged: Their mean Dice; None if there are none.
        dice_rest: Mean Dice of the others; None if there are none.
        dice_size_standardised: Mean Dice standardised by lesion size; None without sizes.
    """

    cases: int
    dice: float
    agreement: float | None
    review_below: float
    flagged: float
    dice_flagged: float | None
    dice_rest: float | None
    dice_size_standardised: float | None = None

    def record(self) -> ValidationRecord:
        """Return the scores with five digits, as a run's manifest holds them."""
        return ValidationRecord.model_validate(
            {name: value if value is None else round(value, 5) for name, value in vars(self).items()}
        )


def validate_run(
    predictor: Predictor,
    index: DatasetIndex,
    sizes: LesionSizes | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> ValidationScores:
    """Predict every validation image and score it.

    Args:
        predictor: The run, loaded.
        index: The data set.
        sizes: Lesion sizes by which the mean Dice is standardised too; None: it is not.
        progress: Called after each image with the number of images done and in all.

    Raises:
        DataError: An image or mask cannot be read.
    """
    samples = index.split("val")
    dice, lesions, agreements = [], [], []
    for sample, (path, result) in zip(
        samples, predictor.predict_paths([sample.image for sample in samples]), strict=True
    ):
        if not isinstance(result, Prediction):
            raise DataError(f"{path} can no longer be read: {result}", code="LEX-DATA-132") from result
        assert sample.mask is not None
        truth = read_labels(sample, index.coding)
        dice.append(mean_dice(result.mask, truth, index.num_classes))
        lesions.append(np.count_nonzero(truth) / truth.size)
        agreements.append(np.nan if result.agreement is None else result.agreement)
        if progress is not None:
            progress(len(dice), len(samples))
    score = np.array(dice)
    standardised = None if sizes is None else sizes.standardised(score, lesions)
    return _summary(score, np.array(agreements), standardised)


def _summary(
    score: np.ndarray[Any, np.dtype[np.float64]],
    share: np.ndarray[Any, np.dtype[np.float64]],
    standardised: float | None,
) -> ValidationScores:
    """Return the scores of all cases from the Dice and the agreement of each, which may be unknown."""
    known = share[~np.isnan(share)]
    if not len(known):
        return ValidationScores(
            cases=len(score), dice=float(score.mean()), agreement=None, review_below=0.0, flagged=0.0,
            dice_flagged=None, dice_rest=float(score.mean()), dice_size_standardised=standardised,
        )  # fmt: skip
    below = review_threshold(known)
    # A case in which nothing could be measured is not flagged.
    flagged = share < below
    return ValidationScores(
        cases=len(score),
        dice=float(score.mean()),
        agreement=float(known.mean()),
        review_below=below,
        flagged=float(flagged.mean()),
        dice_flagged=float(score[flagged].mean()) if flagged.any() else None,
        dice_rest=float(score[~flagged].mean()) if not flagged.all() else None,
        dice_size_standardised=standardised,
    )


def counting_lines(console: Console) -> Callable[[int, int], None]:
    """Return what prints now and then how many validation images are scored.

    Args:
        console: Where to.
    """
    spoken = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal spoken
        if time.monotonic() - spoken > PLAIN_LINE_SECONDS and done < total:
            spoken = time.monotonic()
            console.print(f"      {done:,} of {counted(total, 'validation case')} scored", highlight=False)

    return show


def review_threshold(agreements: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Return the highest agreement below which at most `REVIEW_SHARE` of the cases lie.

    Args:
        agreements: Agreement per validation case, 0..1.
    """
    levels = np.unique(agreements)
    return max(float(level) for level in levels if (agreements < level).mean() <= REVIEW_SHARE)


def selected_weights(training: FinishedTraining, *, averaged: bool) -> str:
    """Return for people which weights a run has, and how they were selected.

    Args:
        training: The training of the run.
        averaged: Whether they are the moving average of the weights of many steps.
    """
    weights = f"{'averaged ' if averaged else ''}weights of step {training.selected_step}"
    if training.selection == "last":
        return f"{weights}, the last step; validation Dice selects nothing"
    by_size = training.selection == "size_standardised_dice"
    return f"{weights}, by validation Dice{' standardised by lesion size' if by_size else ''}"


def _whose_side(run: Run) -> str:
    """Say whose left and right the words of a run mean."""
    side = run.shown_side
    return SIDE_NOTES[side] if side == "unknown" else f"left and right are the {side}'s"


def model_card(run: Run, scores: ValidationScores, *, averaged: bool) -> str:
    """Return the run's model card in Markdown.

    Args:
        run: The run, with a finished training.
        scores: Scores of its weights on the validation cases.
        averaged: Whether its weights are the moving average of those of many steps.
    """
    manifest, training = run.manifest, run.finished_training
    network = manifest.network
    system = system_of(network)
    words = (
        "trained without words"
        if run.vocabulary is None
        else f"taught with {manifest.text}, vocabulary '{markdown_text(run.vocabulary.name)}'; "
        f"{_whose_side(run)}" + ("; predictions name no words" if run.spoken_vocabulary is None else "")
    )
    warning = f"**{NOT_A_MODEL}**\n\n" if manifest.data.shuffled_words else ""
    if manifest.data.leaks:
        warning += f"**The splits are not independent. {' '.join(manifest.data.leaks)}**\n\n"
    by_size = ""
    if scores.dice_size_standardised is not None:
        by_size = f"; {scores.dice_size_standardised:.4f} with lesions of each size weighed as in training"
    taught = ""
    if training.distillation is not None:
        names = ", ".join(
            f"{markdown_text(teacher.name)} ({teacher.encoder}, {teacher.image_size} px)"
            for teacher in training.distillation.teachers
        )
        taught = f"\n- Taught by the soft masks of {names}, which weigh {training.distillation.share:g}."
    if training.start is not None:
        start = training.start
        of_data = f", trained on {markdown_text(start.data)}" if start.data else ""
        taught = f"\n- Started from the weights of {markdown_text(start.name)}{of_data}.{taught}"
    before = ""
    if training.teacher_minutes is not None:
        before = f", after {training.teacher_minutes} minutes of teachers"
    command = (training.command or "").replace("`", "'")
    return f"""# {markdown_text(manifest.data.name or "run")}: {network.model}, {network.preset}

{warning}Research software, not a medical device: not for clinical use.

- Network: {network.encoder}, {network.num_parameters / 1e6:.2f} M parameters, {manifest.image_size} px
  ({manifest.fit}), {words}.
- Classes: {markdown_text(", ".join(manifest.class_names))}.
- Data: {markdown_text(data_sentence(manifest.data))}.
- Training: {counted(training.steps, "step")} in {training.minutes} minutes{before}, seed {training.seed},
  {training.machine}, torch {training.torch}, Lexiseg {manifest.lexiseg_version}, {manifest.created}.{taught}
- Selected: {selected_weights(training, averaged=averaged)}.
- Validation (not test): mean per-case Dice {scores.dice:.4f} over {counted(scores.cases, "case")}{by_size}.
- {_review_sentence(scores)}
- Method: {system.title}, {system.preset} preset. {system.citation}
- Limits: {" ".join(system.limits)}

Repeat it with: `{printable(command)}`
"""


def _review_sentence(scores: ValidationScores) -> str:
    """Say which predictions a person should look at, and how good they were on the validation cases."""
    below = f"{scores.review_below:.2f}"
    if scores.dice_flagged is None or scores.dice_rest is None:
        others = "." if scores.agreement is None else f"; predictions with an agreement below {below} are."
        return f"No validation case is flagged for review{others}"
    return (
        f"Predictions with an agreement below {below} are flagged: "
        f"{100 * scores.flagged:.1f} % of the validation cases, mean Dice {scores.dice_flagged:.3f} against "
        f"{scores.dice_rest:.3f} for the rest."
    )
