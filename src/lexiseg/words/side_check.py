"""What reports and masks say of each other: whose left a sheet means, and how often each factor agrees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.lesion_regions import Half
from lexiseg.words.measure_rules import GridMeasure, ZonesMeasure
from lexiseg.words.vocabulary import Vocabulary

#: Fewer one-sided cases do not settle the convention, nor does a smaller majority: a wrong side is the worst
#: error, and where a convention is kept only slips of the pen disagree (COVID-Xray: 0.5 %).
MIN_CASES = 5
MIN_SHARE = 0.9

#: Indices from a report, and indices measured on its mask in the image's side convention.
Pair = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class SideEvidence:
    """Whose left the reports mean, judged by the cases where report and mask are both one-sided.

    Attributes:
        side: The convention, or None where the cases do not settle it.
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
        """How clear it is, in words."""
        return f"{100 * self.share:.1f} % of {self.cases} one-sided cases"


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
    """Return the side a description speaks of if it names one side only, else None.

    Zones of two halves: one of them holds lesion, the other is said to have none. A 3 x 3 grid: its left or
    right column. Vocabularies without such factors name no side.

    Args:
        indices: One index per factor, `UNKNOWN` allowed.
        vocabulary: The vocabulary of the indices.
    """
    holds: dict[Half, bool] = {}
    for factor, index in zip(vocabulary.factors, indices, strict=True):
        if index == UNKNOWN:
            continue
        if isinstance(factor.measure, ZonesMeasure):
            holds[factor.measure.half] = factor.phrases[index] != factor.measure.absent
        elif isinstance(factor.measure, GridMeasure):
            holds |= {"left": index % 3 == 0, "right": index % 3 == 2}
    if len(holds) < 2 or holds["left"] == holds["right"]:
        return None
    return "left" if holds["left"] else "right"


def infer_side(pairs: Iterable[Pair], vocabulary: Vocabulary) -> SideEvidence:
    """Return whose left the reports mean.

    Args:
        pairs: Per case the indices its report gives, as written, and those measured on its mask with
            `measure_indices(..., side="image")`.
        vocabulary: The vocabulary of both.
    """
    cases = image_cases = 0
    for reported, measured in pairs:
        said, seen = one_sided(reported, vocabulary), one_sided(measured, vocabulary)
        if said is not None and seen is not None:
            cases += 1
            image_cases += said == seen
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
