from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data import DatasetIndex, Sample, open_dataset
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics import case_metrics
from lexiseg.evaluation.scores.metrics_file import RetrievalScores
from lexiseg.evaluation.scores.retrieval import References, retrieval_scores
from lexiseg.runs.manifest import DataRecord
from lexiseg.runs.run import Run
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.reading.sentence_groups import group_sentences
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
Phrases = Callable[..., dict[str, str | None]]
GREY = np.zeros((64, 64, 3), np.uint8)

LEFT_ONLY = "Unilateral pulmonary infection, one infected area, lower left lung."


def make_case(retrieved: tuple[int, ...], reference: tuple[int, ...], name: str = "a") -> ScoredCase:
    empty = np.zeros((4, 4), np.uint8)
    return ScoredCase(
        sample=Sample(id=name, image=Path(f"{name}.png"), mask=None, split="test"),
        scores=case_metrics(empty, empty, num_classes=2),
        image_px=16,
        lesions=0,
        retrieved=retrieved,
        confidence=(1.0,) * len(retrieved),
        reference=reference,
        agreement=1.0,
        flagged=False,
    )


def scores_of(retrieved: list[int], reference: list[int], training: list[int]) -> RetrievalScores:
    """Return the scores of the first chest factor (bilateral, unilateral)."""
    pairs = zip(retrieved, reference, strict=True)
    cases = [make_case((r, 0, 0, 0), (t, 0, 0, 0), str(n)) for n, (r, t) in enumerate(pairs)]
    blind = [(index, 0, 0, 0) for index in training]
    return retrieval_scores(cases, blind, vocabulary=CHEST, seed=0)["laterality"]


def test_accuracy_confusion_and_both_majorities() -> None:
    # References: 0 three times, 1 once. Training said 1 most often: a blind guess is right once in four.
    scores = scores_of([0, 0, 1, 1], [0, 0, 0, 1], training=[1, 1, 1, 0])
    assert scores.accuracy == 0.75
    assert scores.confusion == ((2, 1), (0, 1))  # rows are references
    assert scores.majority == 0.25
    assert scores.majority_phrase == "unilateral pulmonary infection"
    assert scores.majority_of_split == 0.75
    assert scores.n == 4
    low, high = scores.ci95
    assert 0 <= low < 0.75 < high <= 1


def test_unknown_references_are_left_out_of_everything() -> None:
    scores = scores_of([0, 1, 1], [0, UNKNOWN, UNKNOWN], training=[UNKNOWN, UNKNOWN, 1])
    assert (scores.n, scores.accuracy, scores.majority) == (1, 1.0, 0.0)
    assert scores.confusion == ((1, 0), (0, 0))


def test_nothing_known_and_no_training_split() -> None:
    unknown = scores_of([0], [UNKNOWN], training=[0])
    assert (unknown.n, unknown.accuracy, unknown.ci95, unknown.majority) == (0, None, None, None)
    untrained = scores_of([0], [0], training=[])
    assert (untrained.accuracy, untrained.majority, untrained.majority_phrase) == (1.0, None, None)
    assert untrained.majority_of_split == 1.0


@pytest.fixture
def mask(disc: Callable[..., np.ndarray]) -> np.ndarray:
    """A lesion low in the left half of the image."""
    return disc(64, 48, 12, 8)


@pytest.fixture
def index(write_case: Callable[..., Path], mask: np.ndarray, tmp_path: Path) -> DatasetIndex:
    write_case(tmp_path / "data", "a", mask)
    write_case(tmp_path / "data", "b", mask, "train")
    rows = ["image,description", *(f'{name}.png,"{LEFT_ONLY}"' for name in "ab")]
    (tmp_path / "data" / "reports.csv").write_text("\n".join(rows))
    return open_dataset(tmp_path / "data")


@pytest.fixture
def phrases(mask: np.ndarray) -> Phrases:
    def phrases_of(run: Run, index: DatasetIndex) -> dict[str, str | None]:
        (sample,) = index.split("test")
        return References.for_run(run, index).of(sample, mask, GREY).phrases

    return phrases_of


def test_reports_are_parsed_for_a_run_taught_by_reports(
    index: DatasetIndex, fake_run: Callable[..., Run], phrases: Phrases
) -> None:
    found = phrases(fake_run(), index)
    assert found["left"] == "lower left lung"
    assert found["laterality"] == "unilateral pulmonary infection"
    references = References.for_run(fake_run(), index)
    assert references.kind == "reports"
    (training,), _ = references.indices_of(index.split("train"), index)
    assert training[:3] == (1, 0, 2)


def test_references_are_turned_into_the_side_convention_of_the_run(
    index: DatasetIndex, fake_run: Callable[..., Run], phrases: Phrases
) -> None:
    # The sheet means the image's left; this run speaks of the patient's.
    found = phrases(fake_run(side="patient"), index)
    assert found["right"] == "lower right lung"
    assert found["left"] != "lower left lung"
    # A sheet that means the patient's left needs no turning for it.
    assert phrases(fake_run(side="patient"), replace(index, side="patient"))["left"] == "lower left lung"


@pytest.mark.parametrize(
    ("stated_by_run", "trained_on", "data_side", "left", "clear"),
    [
        # Nothing states whose left the run's sentences mean: they are compared where they name no side.
        (False, "other", "patient", None, "dense"),
        (False, "other", "image", None, "dense"),
        # Sentences of the run's own data mean the same, whatever is stated of them later.
        (False, "data", "patient", "dense left", "dense"),
        # Nothing is stated at all: sentences are compared as they are written.
        (False, "other", None, "dense left", "dense"),
        (True, "other", "patient", "dense right", "dense"),
        (True, "other", "image", "dense left", "dense"),
        # The run's side is known, and nothing states that of other data.
        (True, "other", None, None, "dense"),
        (True, "data", None, "dense left", "dense"),
    ],
)
def test_sentences_of_unknown_side_are_not_turned(
    stated_by_run: bool,
    trained_on: str,
    data_side: Side | None,
    left: str | None,
    clear: str,
    index: DatasetIndex,
    fake_run: Callable[..., Run],
) -> None:
    sheet = group_sentences(["dense left", "dense right", "dense"], lambda texts: pytest.fail("not needed"))
    vocabulary = sheet.with_stated_side() if stated_by_run else sheet
    run = fake_run()
    manifest = run.manifest.model_copy(update={"vocabulary": vocabulary, "data": DataRecord(name=trained_on)})
    references = References.for_run(replace(run, manifest=manifest), replace(index, side=data_side))

    def phrase(sentence: str) -> str | None:
        sample = replace(index.split("test")[0], report=sentence)
        return references.of(sample, np.zeros((64, 64), np.uint8), GREY).phrases["sentence"]

    assert (phrase("dense left"), phrase("dense")) == (left, clear)
    assert ("name left or right" in references.note) == (left is None)


@pytest.mark.parametrize(("trained_on", "left"), [("other", None), ("data", "dense left")])
def test_sentences_of_other_data_are_not_turned_for_a_run_of_the_patients_side(
    trained_on: str, left: str | None, index: DatasetIndex, fake_run: Callable[..., Run]
) -> None:
    """Nothing states whose left they mean; the vocabulary of the run says what its training data stated."""
    sheet = group_sentences(
        ["dense left", "dense right", "dense"], lambda texts: pytest.fail("not needed"), side="patient"
    ).with_stated_side()
    run = fake_run(side="patient")
    data = DataRecord(name=trained_on)
    manifest = run.manifest.model_copy(update={"vocabulary": sheet, "data": data})
    references = References.for_run(replace(run, manifest=manifest), index)
    sample = replace(index.split("test")[0], report="dense left")
    found = references.of(sample, np.zeros((64, 64), np.uint8), GREY)
    assert found.phrases["sentence"] == left
    assert ("write `side` into" in references.note) == (left is None)


def test_concepts_are_measured_on_the_true_mask(
    index: DatasetIndex, fake_run: Callable[..., Run], phrases: Phrases
) -> None:
    run = fake_run(text_source="concepts")
    assert References.for_run(run, index).kind == "concepts"
    assert phrases(run, index)["right"] == "no lesion in right lung"
    mirrored = fake_run(text_source="concepts", side="patient")
    assert phrases(mirrored, index)["left"] == "no lesion in left lung"
    (training,), _ = References.for_run(run, index).indices_of(index.split("train"), index)
    assert training[:2] == (1, 0)


def test_a_run_taught_by_reports_is_measured_where_there_are_none(
    index: DatasetIndex, fake_run: Callable[..., Run]
) -> None:
    silent = replace(index, samples=tuple(replace(sample, report=None) for sample in index.samples))
    assert References.for_run(fake_run(), silent).kind == "concepts"


def test_a_case_without_its_sentence_is_unknown(
    index: DatasetIndex, fake_run: Callable[..., Run], mask: np.ndarray
) -> None:
    sample = replace(index.split("test")[0], report=None)
    assert set(References.for_run(fake_run(), index).of(sample, mask, GREY).indices) == {UNKNOWN}


def test_unreadable_training_masks_do_not_stop_the_majority(
    index: DatasetIndex, fake_run: Callable[..., Run]
) -> None:
    (sample,) = index.split("train")
    sample.mask.write_bytes(b"no image")
    found, left_out = References.for_run(fake_run(text_source="concepts"), index).indices_of([sample], index)
    assert (found, left_out) == ([], (sample.id,))


def test_a_training_mask_of_another_size_does_not_stop_the_majority(
    index: DatasetIndex, fake_run: Callable[..., Run]
) -> None:
    (sample,) = index.split("train")
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(sample.mask)
    found, left_out = References.for_run(fake_run(text_source="concepts"), index).indices_of([sample], index)
    assert (found, left_out) == ([], (sample.id,))


def test_a_run_without_words_has_no_references(index: DatasetIndex, fake_run: Callable[..., Run]) -> None:
    assert References.for_run(fake_run(text_source="none"), index) is None
