"""Figures of single cases for the report: the cases are chosen by their scores and predicted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.data.readers import read_image_with_facts, read_labels
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import LexisegError
from lexiseg.evaluation.predictor_protocol import PathPredictor
from lexiseg.evaluation.report.case_picture import case_picture
from lexiseg.evaluation.scores.cases import ScoredCase
from lexiseg.evaluation.scores.retrieval import References
from lexiseg.inference.result import Prediction

#: Cases shown per group.
PER_GROUP = 3

_LONGEST_SIDE = 448


@dataclass(frozen=True, kw_only=True)
class WordRow:
    """One factor of one case in the report.

    Attributes:
        title: The factor's title.
        retrieved: The phrase that the network retrieved.
        confidence: In 0..1.
        reference: The reference phrase; None if it is not known.
        measured: The phrase measured on the predicted mask; None if it cannot be measured.
    """

    title: str
    retrieved: str
    confidence: float
    reference: str | None
    measured: str | None

    @property
    def matches(self) -> bool | None:
        """Whether the retrieved phrase is the reference; None where the reference is not known."""
        return None if self.reference is None else self.retrieved == self.reference


@dataclass(frozen=True, kw_only=True)
class CaseFigure:
    """One case as the report shows it.

    Attributes:
        case: The case.
        uri: The picture as a data URI.
        alt: Its alternative text.
        words: Its words; empty for a run without.
        reasons: Reasons to doubt the prediction, see `Prediction`.
    """

    case: ScoredCase
    uri: str
    alt: str
    words: tuple[WordRow, ...]
    reasons: tuple[str, ...]


def choose_cases(cases: Sequence[ScoredCase]) -> dict[str, list[ScoredCase]]:
    """Choose cases by mean Dice, and by agreement for runs with words; few of a small set.

    Args:
        cases: Evaluated cases.

    Returns:
        Cases by title of the group: "Best", "Median" (of three cases or more), "Worst", "Most disagreeing".
        A single case is the "Only case"; cases of one Dice are those of the "Same Dice". A case may be in
        several groups.
    """
    count = max(1, min(PER_GROUP, len(cases) // 4))
    ranked = sorted(cases, key=lambda case: (case.scores.dice, case.sample.id))
    if len(ranked) == 1:
        return {"Only case": ranked}
    groups = _by_dice(ranked, count)
    # The sort is stable: among equal agreements, the worse mask comes first.
    with_words = [(case.agreement, case) for case in ranked if case.agreement is not None]
    disagreeing = sorted((pair for pair in with_words if pair[0] < 1), key=lambda pair: pair[0])
    if disagreeing:
        groups["Most disagreeing"] = [case for _, case in disagreeing[:count]]
    return groups


def _by_dice(ranked: list[ScoredCase], count: int) -> dict[str, list[ScoredCase]]:
    """Return the groups that the Dice makes of two cases or more, lowest Dice first."""
    if ranked[0].scores.dice == ranked[-1].scores.dice:
        return {"Same Dice": ranked[:PER_GROUP]}
    middle = (len(ranked) - count) // 2
    groups = {"Best": ranked[::-1][:count]}
    if len(ranked) > 2:
        groups["Median"] = ranked[middle : middle + count]
    return groups | {"Worst": ranked[:count]}


def draw_cases(
    groups: dict[str, list[ScoredCase]],
    predictor: PathPredictor,
    *,
    index: DatasetIndex,
    references: References | None,
) -> dict[str, list[CaseFigure]]:
    """Predict the chosen cases again and draw them, each once.

    Raises:
        LexisegError: A file that could be read a moment ago no longer can.
    """
    chosen = {case.sample.image: case for cases in groups.values() for case in cases}
    drawn: dict[str, CaseFigure] = {}
    for path, prediction in predictor.predict_paths(list(chosen)):
        if isinstance(prediction, LexisegError):
            raise prediction
        drawn[chosen[path].sample.id] = _draw(chosen[path], prediction, index, references)
    return {title: [drawn[case.sample.id] for case in cases] for title, cases in groups.items()}


def _draw(
    case: ScoredCase, prediction: Prediction, index: DatasetIndex, references: References | None
) -> CaseFigure:
    sample = case.sample
    assert sample.mask is not None, "only cases with a mask are evaluated"
    image, truth = read_image_with_facts(sample.image), read_labels(sample, index.coding)
    words: tuple[WordRow, ...] = ()
    if references is not None and prediction.measured is not None:
        reference = references.of(sample, truth, image.pixels)
        words = tuple(
            WordRow(
                title=word.title,
                retrieved=word.phrase,
                confidence=word.confidence,
                reference=reference.phrases[word.factor],
                measured=prediction.measured.phrases[word.factor],
            )
            for word in prediction.words
        )
    return CaseFigure(
        case=case,
        uri=case_picture(image, prediction.mask, truth, longest_side=_LONGEST_SIDE),
        alt=(
            f"Image {sample.id} with {'the' if case.predicted_px else 'no'} predicted outline (solid orange) "
            f"and {'the' if case.truth_px else 'no'} true outline (dashed blue); Dice "
            f"{case.scores.dice:.3f}."
        ),
        words=words,
        reasons=prediction.reasons,
    )
