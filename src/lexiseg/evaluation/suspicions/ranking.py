"""The order of the cases of a data set: the most suspicious one first, with the error that is suspected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexiseg.data import DatasetIndex, Sample
from lexiseg.evaluation.suspicions.reasons import NOTHING, UNLIKE, reasons
from lexiseg.evaluation.suspicions.signs import KINDS, Signs, standardise
from lexiseg.evaluation.suspicions.suspicion_file import Suspicion
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary

_SWAPPED = KINDS.index("swapped sides")

# Standardised value from which the sign of swapped sides is clear.
_CLEARLY = 1.0


@dataclass(frozen=True, kw_only=True)
class CaseFindings:
    """What was found in one case, before cases are compared with each other.

    Attributes:
        sample: The sample.
        signs: Its signs by kind.
        told: Phrases of its report, one index per factor; None without a report that can be read.
        measured: Phrases measured on its mask; None without mask or words.
        retrieved: Probabilities of all phrases per factor; empty where reports are not checked.
        vocabulary: The vocabulary of the phrases; None where reports are not checked.
        dice: Dice of mask and predicted mask; None without a mask.
        missing: Share of the image where the run sees lesion outside the mask, 0..1; None without a mask.
        doubted: Mean probability of lesion inside the mask; None where it marks nothing.
        unlike: Whether the image is unlike the training images of the run.
    """

    sample: Sample
    signs: Signs
    told: tuple[int, ...] | None
    measured: tuple[int, ...] | None
    retrieved: tuple[npt.NDArray[np.floating], ...]
    vocabulary: Vocabulary | None
    dice: float | None
    missing: float | None
    doubted: float | None
    unlike: bool = False


def rank(cases: Sequence[CaseFindings], index: DatasetIndex) -> tuple[Suspicion, ...]:
    """Return the cases, most suspicious first.

    The sign of each kind is standardised over all cases; the largest value of a case counts. Most reports fit
    worse with left and right exchanged, so a standardised sign of swapped sides can be large although the
    report of the case fits worse too. It counts only where the report fits better, that is, where the sign
    itself is above 0; the other signs are never below 0. Swapped sides make the sign of another report large
    too, so a report that fits better with left and right exchanged counts as swapped.

    Args:
        cases: What was found in each case.
        index: The data set.

    Returns:
        The cases with at least one sign that counts.
    """
    if not cases:
        return ()
    signs = np.array([[case.signs.get(kind, np.nan) for kind in KINDS] for case in cases])
    table = np.stack([standardise(column) for column in signs.T], axis=1)
    counts = np.isfinite(table)
    counts[:, _SWAPPED] &= signs[:, _SWAPPED] > 0
    chosen = np.where(counts, table, -np.inf)
    worst, score = chosen.argmax(axis=1), chosen.max(axis=1)
    order = [i for i in np.argsort(-score, kind="stable").tolist() if counts[i].any()]
    return tuple(
        _suspicion(place, cases[i], table[i], int(worst[i]), index) for place, i in enumerate(order, start=1)
    )


def _suspicion(
    place: int,
    case: CaseFindings,
    scores: npt.NDArray[np.float64],
    worst: int,
    index: DatasetIndex,
) -> Suspicion:
    sample, kind, vocabulary = case.sample, KINDS[worst], case.vocabulary
    if kind == "other report" and case.signs.get("swapped sides", 0) > 0 and scores[_SWAPPED] > _CLEARLY:
        kind = "swapped sides"
    factors = () if vocabulary is None else vocabulary.factors
    why = reasons(
        kind, case.told, case.measured, case.retrieved, vocabulary,
        missing=case.missing, doubted=case.doubted,
    )  # fmt: skip
    if case.unlike:
        why = (*why, UNLIKE)
    elif not why:
        why = (NOTHING,)
    image = sample.image
    shown = image.relative_to(index.root) if image.is_relative_to(index.root) else image

    def phrases(indices: tuple[int, ...] | None) -> dict[str, str | None]:
        if indices is None:
            return {}
        return {
            factor.name: None if position == UNKNOWN else factor.phrases[position]
            for factor, position in zip(factors, indices, strict=True)
        }

    return Suspicion(
        rank=place,
        id=sample.id,
        image=shown.as_posix(),
        split=sample.split,
        kind=kind,
        score=round(float(scores[worst]), 4),
        reasons=why,
        scores={name: round(float(s), 4) for name, s in zip(KINDS, scores, strict=True) if not np.isnan(s)},
        report=sample.report,
        told=phrases(case.told),
        retrieved={
            factor.name: factor.phrases[int(np.argmax(probability))]
            for factor, probability in zip(factors, case.retrieved, strict=True)
        },
        measured=phrases(case.measured),
        dice=None if case.dice is None else round(case.dice, 4),
    )  # fmt: skip
