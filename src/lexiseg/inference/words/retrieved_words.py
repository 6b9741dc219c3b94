"""From phrase probabilities to retrieved words: the best phrase of each factor, with its runners-up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lexiseg.errors import UsageError
from lexiseg.inference.result import Prediction, RetrievedWord
from lexiseg.words.factor import Factor
from lexiseg.words.vocabulary import Vocabulary

_RUNNERS_UP = 3


def retrieved_words(
    vocabulary: Vocabulary, probabilities: Sequence[npt.NDArray[np.floating]]
) -> tuple[RetrievedWord, ...]:
    """Return the best phrase of every factor, with its runners-up.

    Args:
        vocabulary: The vocabulary of the words.
        probabilities: Per factor, `(N_f,)` softmax probabilities of its phrases.
    """
    words = []
    for factor, probability in zip(vocabulary.factors, probabilities, strict=True):
        best, *others = np.argsort(-probability, kind="stable").tolist()
        words.append(
            RetrievedWord(
                factor=factor.name,
                title=factor.title,
                index=best,
                phrase=factor.phrases[best],
                confidence=float(probability[best]),
                runners_up=tuple((factor.phrases[i], float(probability[i])) for i in others[:_RUNNERS_UP]),
                probabilities=tuple(probability.tolist()),
            )
        )
    return tuple(words)


def check_words(prediction: Prediction, vocabulary: Vocabulary | None) -> None:
    """Refuse a prediction of another run, as far as its words tell: one phrase of each factor is expected.

    Args:
        prediction: The prediction.
        vocabulary: The vocabulary whose words the run names; None if it names none.

    Raises:
        UsageError: The words are others.
    """
    difference = _difference(prediction.words, () if vocabulary is None else vocabulary.factors)
    if difference is not None:
        raise UsageError(
            f"The prediction has {difference}. Give a prediction that this run made, or none.",
            code="LEX-USE-309",
        )


def _difference(words: Sequence[RetrievedWord], factors: Sequence[Factor]) -> str | None:
    """Say which words are not those of the factors; None if all are."""
    given, expected = [word.factor for word in words], [factor.name for factor in factors]
    if given != expected:
        return f"{_listed(given)}, but the run names {_listed(expected)}"
    for word, factor in zip(words, factors, strict=True):
        known = word.phrase in factor.phrases[word.index : word.index + 1]
        if not known or len(word.probabilities) != len(factor.phrases):
            return (
                f"'{word.phrase}' as phrase {word.index + 1} of {len(word.probabilities)} of the factor "
                f"{factor.name}, but those of the run are {', '.join(factor.phrases)}"
            )
    return None


def _listed(factors: Sequence[str]) -> str:
    return f"words of the factors {', '.join(factors)}" if factors else "no words"
