"""From phrase probabilities to retrieved words: the best phrase of each factor, with its runners-up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lexiseg.inference.result import RetrievedWord
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
