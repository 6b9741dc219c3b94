"""How well the network retrieves the words of an image: reference words, majority rates, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lexiseg.data.content import image_turn
from lexiseg.data.readers import read_image, read_labels
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.data.side_check import check_side
from lexiseg.errors import LexisegError
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.metrics_file import Interval, ReferenceKind, RetrievalScores
from lexiseg.evaluation.scores.statistics import mean_ci
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.run import Run
from lexiseg.words.description import UNKNOWN, Description, Side
from lexiseg.words.flips import to_side, without_sides
from lexiseg.words.measure import measure
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class References:
    """Source of the words that a retrieved description is compared with.

    Attributes:
        kind: Sentences of the sheet, or words measured on the true mask.
        vocabulary: The run's vocabulary.
        side: The run's side convention: reference words are always given in it.
        data_side: The convention of the data set's sentences; None takes the vocabulary's own.
        note: Why phrases that name a side are no references, one sentence; empty where they are.
    """

    kind: ReferenceKind
    vocabulary: Vocabulary
    side: Side
    data_side: Side | None
    note: str = ""

    @classmethod
    def for_run(cls, run: Run, index: DatasetIndex) -> References | None:
        """Choose the kind: reports for a run taught by them, where the data has any; else concepts.

        Returns:
            The references; None for a run without words.
        """
        if run.spoken_vocabulary is None:
            return None
        has_reports = any(sample.report for sample in index.samples)
        kind: ReferenceKind = "reports" if run.text_source == "reports" and has_reports else "concepts"
        if kind == "reports":
            return cls.of_reports(run, run.spoken_vocabulary, index)
        return cls(kind=kind, vocabulary=run.spoken_vocabulary, side=run.side, data_side=index.side)

    @classmethod
    def of_reports(cls, run: Run, vocabulary: Vocabulary, index: DatasetIndex) -> References:
        """Return the references that the sentences of a data set are.

        Where only one of the two is known, whose left the sentences of the run or those of the data set mean,
        the sentences of the run's own data set mean the same as the run's, and those of other data cannot be
        compared where they name a side. Sentences that a grammar reads follow the convention of their
        vocabulary where nothing else is stated.

        Args:
            run: The run.
            vocabulary: The vocabulary of its words.
            index: The data set.
        """
        data_side, note = index.side, ""
        # The side of a vocabulary of sentences is that of the training data, and says nothing of other data.
        unstated = index.side is None and vocabulary.quotes_sentences
        if unstated is not (run.shown_side == "unknown"):
            if LearnedImages(run).same_data(index.name):
                data_side = run.side
            else:
                why = (
                    f"the training data of the run stated whose left they mean, but {index.root} does not. "
                    f"If it is known, write `side` into {index.root / 'dataset.yaml'}."
                    if unstated
                    else f"{index.root} states whose left they mean, but the training data of the run did "
                    "not."
                )
                note = (
                    f"Sentences that name left or right are not compared with those that {run.shown} "
                    f"retrieves: {why}"
                )
        return cls(kind="reports", vocabulary=vocabulary, side=run.side, data_side=data_side, note=note)

    def of(self, sample: Sample, truth: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8]) -> Description:
        """Return the reference words of one case, in the run's side convention.

        Args:
            sample: The case.
            truth: `(H, W)` true labels, on the stored grid.
            image: `(H, W, 3)` uint8, on the stored grid.
        """
        if self.kind == "concepts":
            turn = image_turn(sample.image)
            truth, image = turn.apply(truth), turn.apply(image)
            return measure(truth, self.vocabulary, image=image, side=self.side)
        return self._parsed(sample.report)

    def indices_of(
        self, samples: Sequence[Sample], index: DatasetIndex
    ) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
        """Return the indices of many samples, and the names of those that are left out.

        An image is left out if its mask or itself cannot be read, or if the two differ in size. One without
        a mask says nothing and is not named.
        """
        if self.kind == "reports":
            sentences = {sample.report for sample in samples}
            read = {sentence: self._parsed(sentence).indices for sentence in sentences}
            return [read[sample.report] for sample in samples], ()
        found, left_out = [], []
        for sample in samples:
            if sample.mask is None:
                continue
            try:
                truth, image = read_labels(sample, index.coding), read_image(sample.image)
            except LexisegError:
                # An unreadable training file says nothing about the majority phrase.
                left_out.append(sample.id)
                continue
            if truth.shape != image.shape[:2]:
                left_out.append(sample.id)
                continue
            found.append(self.of(sample, truth, image).indices)
        return found, tuple(left_out)

    def check_side(self, index: DatasetIndex, samples: Sequence[Sample]) -> None:
        """Compare one-sided sentences with their masks; reference words of the wrong side would mislead.

        Args:
            index: The data set.
            samples: The samples about to be scored; of their one-sided sentences at most 200 are looked at.

        Raises:
            DataError: At least 90 % of the one-sided masks lie on the other side than the sentences say.
        """
        if self.kind != "reports":
            return
        reported = [s for s in samples if s.report is not None and s.mask is not None]
        indices = [
            parse_report(sample.report or "", self.vocabulary, side=self.data_side).indices
            for sample in reported
        ]
        # An unreadable mask is among the failed cases of the evaluation.
        check_side(
            index,
            reported,
            indices,
            self.vocabulary,
            stated=self.data_side or self.vocabulary.side,
            skip_unreadable=True,
        )

    def _parsed(self, sentence: str | None) -> Description:
        if sentence is None:
            unknown = (UNKNOWN,) * len(self.vocabulary.factors)
            return self.vocabulary.describe(unknown, source="reports", side=self.side)
        said = parse_report(sentence, self.vocabulary, side=self.data_side)
        indices = (
            without_sides(self.vocabulary, said.indices)
            if self.note
            else to_side(self.vocabulary, said.indices, given=said.side, wanted=self.side)
        )
        return self.vocabulary.describe(indices, source="reports", side=self.side, problems=said.problems)


def retrieval_scores(
    cases: Sequence[ScoredCase], training: Sequence[tuple[int, ...]], *, vocabulary: Vocabulary, seed: int
) -> dict[str, RetrievalScores]:
    """Score the retrieved words factor by factor.

    Args:
        cases: Scored cases with retrieved and reference indices.
        training: Reference indices of the training split, from which the majority phrase is taken.
        vocabulary: Factors and phrases.
        seed: Seed of the bootstrap.

    Returns:
        The scores by name of the factor.
    """
    found = {}
    for position, factor in enumerate(vocabulary.factors):
        majority = _majority([row[position] for row in training], len(factor.phrases))
        confusion = _confusion(cases, position, len(factor.phrases))
        found[factor.name] = RetrievalScores(
            title=factor.title,
            phrases=factor.phrases,
            n=int(confusion.sum()),
            confusion=tuple(tuple(row) for row in confusion.tolist()),
            majority_phrase=None if majority is None else factor.phrases[majority],
            **_accuracies(cases, confusion, position, majority, seed),
        )
    return found


class _Accuracies(TypedDict):
    accuracy: float | None
    ci95: Interval | None
    majority: float | None
    majority_of_split: float | None


def _confusion(cases: Sequence[ScoredCase], position: int, size: int) -> npt.NDArray[np.int64]:
    """Return the counts `(size, size)` of reference and retrieved phrase, of cases with a known reference."""
    confusion = np.zeros((size, size), dtype=np.int64)
    for case in cases:
        if case.reference[position] != UNKNOWN:
            confusion[case.reference[position], case.retrieved[position]] += 1
    return confusion


def _accuracies(
    cases: Sequence[ScoredCase],
    confusion: npt.NDArray[np.int64],
    position: int,
    majority: int | None,
    seed: int,
) -> _Accuracies:
    """Return the accuracy of one factor beside those of two constant answers."""
    known = [case for case in cases if case.reference[position] != UNKNOWN]
    if not known:
        return {"accuracy": None, "ci95": None, "majority": None, "majority_of_split": None}
    hits = [float(case.reference[position] == case.retrieved[position]) for case in known]
    score = mean_ci(hits, [case.sample.patient for case in known], seed)
    references = confusion.sum(axis=1)
    return {
        "accuracy": score.mean,
        "ci95": score.ci95,
        "majority": None if majority is None else float(references[majority] / len(known)),
        "majority_of_split": float(references.max() / len(known)),
    }


def _majority(indices: Sequence[int], size: int) -> int | None:
    """Return the most frequent known index; the first of equals, None if nothing is known."""
    known = [index for index in indices if index != UNKNOWN]
    return int(np.bincount(known, minlength=size).argmax()) if known else None
