"""The left/right check: whose left do descriptions mean, judged by the masks of the same images.

A wrong side is the worst error such a tool can make. The functions here are pure: they compare indices.
`lexiseg.data.side_check` applies them to the files of a data set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lexiseg.printable import counted
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary

#: With fewer one-sided cases, or a smaller majority, the convention stays undecided. Where reports follow one
#: convention, only typing errors disagree (COVID-Xray: 0.5 % of the cases).
MIN_CASES = 5
MIN_SHARE = 0.9

#: Indices of a description, and indices measured on its mask in the image's side convention.
Pair = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class SideEvidence:
    """Whose left the descriptions mean, judged by the cases where description and mask are both one-sided.

    Attributes:
        side: The convention; None where the cases do not decide it.
        share: Share of the cases that follow the more frequent convention, 0.5..1; 0 without cases.
        cases: Number of one-sided cases.
        image_cases: How many of them use the image's left.
    """

    side: Side | None
    share: float
    cases: int
    image_cases: int

    @property
    def summary(self) -> str:
        """How clear the evidence is, in words."""
        return f"{100 * self.share:.1f} % of {counted(self.cases, 'one-sided case')}"

    def contradicts(self, side: Side) -> bool:
        """Return whether the masks show the other convention."""
        return self.side is not None and self.side != side


@dataclass(frozen=True, kw_only=True)
class FactorAgreement:
    """How often two descriptions agree in one factor.

    Attributes:
        rate: Share of the cases that agree, 0..1; None without cases.
        cases: Number of cases in which both know the factor.
    """

    rate: float | None
    cases: int


def one_sided(indices: Sequence[int], vocabulary: Vocabulary) -> Half | None:
    """Return the only side on which a description places a lesion; None if it names no side or both.

    With zones of two halves, one half holds a lesion and the other is described as free of it. With a 3 x 3
    grid, it is the left or the right column. Vocabularies without such factors name no side.

    Args:
        indices: One index per factor, `UNKNOWN` allowed.
        vocabulary: The vocabulary of the indices.
    """
    lesion_in: dict[Half, bool] = {}
    for factor, index in zip(vocabulary.factors, indices, strict=True):
        if index != UNKNOWN and factor.measure is not None:
            lesion_in |= factor.measure.lesion_in_halves(factor.phrases, index)
    if len(lesion_in) < 2 or lesion_in["left"] == lesion_in["right"]:
        return None
    return "left" if lesion_in["left"] else "right"


def infer_side(pairs: Iterable[Pair], vocabulary: Vocabulary) -> SideEvidence:
    """Return whose left descriptions mean.

    Args:
        pairs: Per case the indices of its description, as written, and those measured on its mask with
            `measure_indices(..., side="image")`.
        vocabulary: The vocabulary of both.
    """
    cases = image_cases = 0
    for stated, measured in pairs:
        stated_side, measured_side = one_sided(stated, vocabulary), one_sided(measured, vocabulary)
        if stated_side is not None and measured_side is not None:
            cases += 1
            image_cases += stated_side == measured_side
    majority = max(image_cases, cases - image_cases)
    share = majority / cases if cases else 0.0
    side: Side | None = None
    if cases >= MIN_CASES and share >= MIN_SHARE:
        side = "image" if image_cases == majority else "patient"
    return SideEvidence(side=side, share=share, cases=cases, image_cases=image_cases)


def factor_agreement(pairs: Iterable[Pair], vocabulary: Vocabulary) -> dict[str, FactorAgreement]:
    """Return, per factor name, how often the two descriptions of each pair agree where both know the factor.

    Args:
        pairs: Two descriptions of each case as indices, in the same side convention.
        vocabulary: The vocabulary of both.
    """
    cases, agreed = [dict.fromkeys(vocabulary.names, 0) for _ in range(2)]
    for a, b in pairs:
        for name, x, y in zip(vocabulary.names, a, b, strict=True):
            if UNKNOWN not in (x, y):
                cases[name] += 1
                agreed[name] += x == y
    return {
        name: FactorAgreement(rate=agreed[name] / cases[name] if cases[name] else None, cases=cases[name])
        for name in vocabulary.names
    }
