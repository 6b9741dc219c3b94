"""Why a case is suspicious, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lexiseg.evaluation.suspicions.signs import Indices, Kind
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import Vocabulary

# A phrase of the report is named if the run gives it a lower probability.
_UNLIKELY = 0.3
# Smaller shares of an image are not written as a number.
_LEAST_SHOWN = 0.001

#: What is said of a case that the run agrees with.
NOTHING = "Nothing in this case stands out."

#: What is said of an image that the run has seen nothing like.
UNLIKE = "The image is unlike the training images of the run, so the run's answer says little."

Probabilities = Sequence[npt.NDArray[np.floating]]


def reasons(
    kind: Kind,
    told: Indices | None,
    measured: Indices | None,
    words: Probabilities,
    vocabulary: Vocabulary | None,
    *,
    missing: float | None,
    doubted: float | None,
) -> tuple[str, ...]:
    """Return the reasons for the error that is suspected most, one sentence each.

    Args:
        kind: The suspected error.
        told: Phrases of the report; None without one.
        measured: Phrases measured on the mask; None without one.
        words: Probabilities of all phrases per factor; empty without words.
        vocabulary: The vocabulary; None without words.
        missing: Share of the image where the run sees lesion outside the mask; None without a mask.
        doubted: Mean probability of lesion inside the mask; None where it marks nothing.
    """
    found = []
    if kind == "missing lesion" and missing:
        share = f"{100 * missing:.1f} %" if missing >= _LEAST_SHOWN else "less than 0.1 %"
        found.append(f"The run sees lesion outside the mask, on {share} of the image.")
    if kind == "invented lesion" and doubted is not None:
        only = "only " if doubted < 0.5 else ""
        found.append(f"Inside the mask, the mean probability of lesion is {only}{doubted:.2f}.")
    if vocabulary is None or told is None:
        return tuple(found)
    if kind == "swapped sides":
        mirrored = flip(vocabulary, told, "horizontal")
        better = ", ".join(
            f"{factor.title}: {factor.phrases[position]}"
            for factor, position, said in zip(vocabulary.factors, mirrored, told, strict=True)
            if position not in (UNKNOWN, said)
        )
        found.append(f"With left and right exchanged, the report fits better ({better}).")
    if kind in ("other report", "swapped sides"):
        found += _unlikely(told, words, vocabulary)
    return (*found, *_differences(told, measured, vocabulary))


def _unlikely(told: Indices, words: Probabilities, vocabulary: Vocabulary) -> list[str]:
    """Say which phrases of the report the run finds unlikely; those that it retrieves too come last.

    Without any, say where it retrieves another phrase although that of the report is likely, too.
    """
    others: list[str] = []
    same: list[str] = []
    likely: list[str] = []
    for factor, position, probability in zip(vocabulary.factors, told, words, strict=True):
        if position == UNKNOWN:
            continue
        best, is_unlikely = int(np.argmax(probability)), probability[position] < _UNLIKELY
        said = f"{factor.title}: the report says '{factor.phrases[position]}'"
        if best != position:
            (others if is_unlikely else likely).append(
                f"{said} (probability {probability[position]:.2f}), the run '{factor.phrases[best]}' "
                f"({probability[best]:.2f})."
            )
        elif is_unlikely:
            same.append(f"{said}, and so does the run, with the probability {probability[best]:.2f} only.")
    return others + same or likely


def _differences(told: Indices, measured: Indices | None, vocabulary: Vocabulary) -> list[str]:
    """Say where the report differs from the mask."""
    if measured is None:
        return []
    return [
        f"{factor.title}: the report says '{factor.phrases[said]}', the mask shows '{factor.phrases[seen]}'."
        for factor, said, seen in zip(vocabulary.factors, told, measured, strict=True)
        if UNKNOWN not in (said, seen) and said != seen
    ]
