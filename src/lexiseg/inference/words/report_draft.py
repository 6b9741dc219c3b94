"""The draft of a report sentence: the retrieved words as one sentence, with uncertain parts marked."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.clinic.result_content import NOT_FOR_DIAGNOSIS
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary

#: A phrase with a lower confidence is marked as uncertain.
CERTAIN_FROM = 0.5

_LEGEND = (
    f"Parts in [...?] are uncertain: their confidence is below {100 * CERTAIN_FROM:.0f} %, or the mask shows "
    "something else."
)


def draft_of(prediction: Prediction, vocabulary: Vocabulary) -> str:
    """Return the draft for a prediction, in the words of its own side convention; see `report_draft`."""
    measured = None if prediction.measured is None else prediction.measured.indices
    return report_draft(prediction.words, measured, vocabulary)


def report_draft(
    words: Sequence[RetrievedWord], measured: Sequence[int] | None, vocabulary: Vocabulary
) -> str:
    """Return the draft of a report sentence, which always says that it is not for diagnosis.

    Args:
        words: The retrieved words; factors without one are left out of the sentence.
        measured: What the mask itself shows, one index per factor, `UNKNOWN` where nothing is known; None
            where nothing was measured.
        vocabulary: The vocabulary of both.

    Returns:
        Such as "Unilateral pulmonary infection, [two infected areas?], lower left lung. Parts in [...?] ...";
        empty without words.
    """
    by_factor = {word.factor: word for word in words}
    indices = [by_factor[name].index if name in by_factor else UNKNOWN for name in vocabulary.names]
    shown = measured if measured is not None else [UNKNOWN] * len(indices)
    uncertain = {
        name
        for name, index, seen in zip(vocabulary.names, indices, shown, strict=True)
        if index != UNKNOWN and (by_factor[name].confidence < CERTAIN_FROM or seen not in (UNKNOWN, index))
    }
    sentence = _marked(vocabulary, uncertain).sentence_for(indices)
    if not sentence:
        return ""
    if sentence.startswith("["):
        sentence = sentence[:2].upper() + sentence[2:]
    return " ".join(filter(None, (sentence, _LEGEND if uncertain else "", NOT_FOR_DIAGNOSIS)))


def _marked(vocabulary: Vocabulary, uncertain: set[str]) -> Vocabulary:
    """Return a vocabulary whose uncertain phrases stand in marks; it is good for sentences only."""
    factors = tuple(
        factor.model_copy(update={"phrases": tuple(f"[{phrase}?]" for phrase in factor.phrases)})
        if factor.name in uncertain
        else factor
        for factor in vocabulary.factors
    )
    return vocabulary.model_copy(update={"factors": factors})
