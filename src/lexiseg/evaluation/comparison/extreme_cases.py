"""The cases in which two runs differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lexiseg.evaluation.comparison.comparison_file import CaseDifference, ExtremeCases


def most_different(a: Mapping[str, float], b: Mapping[str, float], *, shown: int) -> ExtremeCases:
    """Return the cases that differ most, the largest difference first.

    Args:
        a: Dice per case.
        b: Dice per case, of the same cases.
        shown: Maximal number of cases in each direction.
    """
    gaps = sorted((a[case] - b[case], case) for case in b)

    def listed(found: Sequence[tuple[float, str]]) -> tuple[CaseDifference, ...]:
        return tuple(
            CaseDifference(id=case, difference=gap, a=a[case], b=b[case]) for gap, case in found[:shown]
        )

    return ExtremeCases(
        better=listed([gap for gap in gaps[::-1] if gap[0] > 0]),
        worse=listed([gap for gap in gaps if gap[0] < 0]),
    )
