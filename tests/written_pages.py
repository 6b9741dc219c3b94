"""All pages that Lexiseg writes, made of phantom images without any training."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from audit_results import compared_results, make_results, make_settings
from known_answers import FakePredictor, make_run
from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.readers import read_image, read_mask
from lexiseg.errors import LexisegError
from lexiseg.evaluation.comparison.compare import compare_on
from lexiseg.evaluation.evaluate import evaluate_on
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.suspicions.find import check_cases, write_suspicions
from lexiseg.evaluation.suspicions.run_samples import RunSamples
from lexiseg.inference.explanation.card import build_card
from lexiseg.inference.explanation.explain import ExplainedWord, Explanation, WhatIf
from lexiseg.inference.result import Prediction
from lexiseg.outputs.output_folder import owned_folder
from lexiseg.runs.run import Run
from lexiseg.studies.audit_page import AuditPictures, build_page
from lexiseg.words.measure import measure_indices

Mask = npt.NDArray[np.uint8]

#: Names of the pages.
PAGES = ("report", "comparison", "audit", "suspicions", "card", "card_without_words")
_IMAGES = 14
_PIXELS = 96


class PhantomPredictor(FakePredictor):
    """Answers with the true mask, moved the more the later the case is; the last one is empty."""

    def __init__(self, run: Run, index: DatasetIndex, step: float) -> None:
        super().__init__(run, {})
        vocabulary = run.vocabulary
        assert vocabulary is not None
        for number, sample in enumerate(index.split("test")):
            assert sample.mask is not None
            truth = read_mask(sample.mask, index.coding)
            moved = np.roll(truth, round(step * number), axis=0) * (number < _IMAGES - 1)
            words = list(measure_indices(truth, vocabulary, side=run.side))
            if number % 4 == 3:
                words[0] = (words[0] + 1) % len(vocabulary.factors[0].phrases)
            self.answers[sample.image.stem] = (moved.astype(np.uint8), tuple(words))

    def predict_paths(
        self, paths: Iterable[str | Path], *, batch_size: int = 16
    ) -> Iterator[tuple[Path, Prediction | LexisegError]]:
        for path, answer in super().predict_paths(paths, batch_size=batch_size):
            if isinstance(answer, Prediction):
                answer = _less_sure(answer)
            yield path, answer


def _less_sure(answer: Prediction) -> Prediction:
    """Return a prediction with soft probabilities, a probability per phrase, and an expected Dice."""
    soft = gaussian_filter(answer.mask.astype(np.float32), 3)[None]
    flagged = answer.flagged or not answer.mask.any()
    return replace(
        answer,
        probability=np.clip(soft, 0.01, 0.99),
        words=tuple(replace(word, probabilities=_shares(word.factor, word.index)) for word in answer.words),
        expected_dice=round(0.9 - 0.4 * flagged, 2),
        flagged=flagged,
        reasons=("low confidence: expected Dice 0.50 (no lesion found)",) if flagged else (),
        unlike_training_images=(),
    )


def _shares(factor: str, index: int) -> tuple[float, ...]:
    vocabulary = make_run().vocabulary
    assert vocabulary is not None
    (phrases,) = (found.phrases for found in vocabulary.factors if found.name == factor)
    return tuple(0.75 if i == index else 0.25 / (len(phrases) - 1) for i in range(len(phrases)))


def write_pages(folder: Path) -> dict[str, Path]:
    """Write all pages.

    Args:
        folder: An empty folder.

    Returns:
        The file of each page by name, see `PAGES`.
    """
    write_phantom(folder / "data", num_train=2, num_val=2, num_test=_IMAGES, size=_PIXELS, seed=3)
    index = open_dataset(folder / "data")
    runs = {name: _run(folder / name) for name in ("words", "no-words")}
    predictors = {
        name: PhantomPredictor(run, index, step)
        for (name, run), step in zip(runs.items(), (1, 1.5), strict=True)
    }
    evaluate_on(index, predictors["words"], EvaluationOptions(), out=folder / "report")
    _compare(index, runs, predictors, folder / "comparison")
    parts = [RunSamples(predictor=predictors["words"], samples=index.split("test"))]
    with owned_folder(folder / "suspicions") as out:
        write_suspicions(check_cases(index, parts), index, parts, out)
    _audit(folder)
    _cards(index, predictors["words"], folder)
    return {
        "report": folder / "report" / "report.html",
        "comparison": folder / "comparison" / "comparison.html",
        "suspicions": folder / "suspicions" / "suspicions.html",
        **{name: folder / f"{name}.html" for name in ("audit", "card", "card_without_words")},
    }


def _run(folder: Path) -> Run:
    folder.mkdir()
    rows = [f"{25 * n},{0.8 - 0.6 * 0.7**n:.4f},{1.2 * 0.8**n:.4f}" for n in range(1, 13)]
    (folder / "history.csv").write_text("\n".join(["step,val/dice,train/total", *rows]) + "\n")
    run = make_run(text_source="concepts", side="patient")
    training = run.manifest.training.model_copy(update={"selected_step": 275})
    return Run(folder, run.manifest.model_copy(update={"training": training}))


def _compare(
    index: DatasetIndex, runs: dict[str, Run], predictors: dict[str, PhantomPredictor], out: Path
) -> None:
    def load(run: Run, options: EvaluationOptions) -> PhantomPredictor:
        return predictors[run.path.name]

    # The names of these modules are also those of functions of the package.
    modules = (
        importlib.import_module(f"lexiseg.evaluation.{name}") for name in ("evaluate", "comparison.compare")
    )
    with patch.object(next(modules), "Predictor", load), patch.object(next(modules), "Predictor", load):
        compare_on(index, runs, EvaluationOptions(), out=out)


def _audit(folder: Path) -> None:
    result = compared_results(make_results(), make_settings())
    pair = result.differences.pairs[0]
    index = open_dataset(folder / "data")
    models = importlib.import_module("lexiseg.evaluation.comparison.change_figures")
    dice = {sample.id: 0.5 for sample in index.split("test")}
    run = make_run(text_source="concepts")
    changes = models.draw_changes(
        {case: 0.1 * number - 0.5 for number, case in enumerate(dice)},
        [
            models.ModelMasks(title=f"{arm}, seed 0", predictor=PhantomPredictor(run, index, step), dice=dice)
            for arm, step in (("no text", 1.5), ("reports", 1))
        ],
        index,
        "test",
    )
    named = tuple(
        replace(change, id=case) for change, case in zip(changes, result.differences.ids, strict=False)
    )
    page = build_page(result, AuditPictures(pair=pair, cases=named))
    (folder / "audit.html").write_text(page, encoding="utf-8")


def _cards(index: DatasetIndex, predictor: PhantomPredictor, folder: Path) -> None:
    sample = index.split("test")[3]
    image = read_image(sample.image)
    [(_, answer)] = predictor.predict_paths([sample.image])
    assert isinstance(answer, Prediction)
    rows, columns = np.mgrid[:8, :8]
    heat = np.exp(-((rows - 5) ** 2 + (columns - 2) ** 2) / 6).astype(np.float32)
    words = tuple(
        ExplainedWord(
            factor=word.factor,
            heat=heat,
            what_if=tuple(
                _what_if(answer.mask, phrase, share, 6 * (number % 2)) for phrase, share in word.runners_up
            ),
        )
        for number, word in enumerate(answer.words)
    )
    explanation = Explanation(
        prediction=answer, words=words, plain=answer.mask, heat_kind="attention", prompted_part="decoder",
        scales=((16, tuple(word.factor for word in words[:2])), (8, tuple(word.factor for word in words))),
        notes=(), draft="Draft: opacity in the lower left lung [two?]. Not for diagnosis.",
    )  # fmt: skip
    silent = replace(
        explanation, words=(), scales=(), heat_kind=None, draft="", notes=("This run names no words.",),
        prediction=replace(answer, words=(), agreement=None, expected_dice=None, flagged=False, reasons=()),
    )  # fmt: skip
    for name, shown in (("card", explanation), ("card_without_words", silent)):
        card = build_card(image, shown, name=sample.id, run="words")
        (folder / f"{name}.html").write_text(card, encoding="utf-8")


def _what_if(plain: Mask, phrase: str, share: float, step: int) -> WhatIf:
    mask = np.roll(plain, step, axis=1)
    overlap = 2 * float((mask & plain).sum()) / float(mask.sum() + plain.sum())
    return WhatIf(phrase=phrase, confidence=share, mask=mask, overlap=overlap, area_change=0)
