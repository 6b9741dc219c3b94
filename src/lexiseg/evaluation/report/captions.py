"""Captions and headings of the report that depend on the data: none states what is not true of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lexiseg.evaluation.scores.cases import TERCILES, ScoredCase
from lexiseg.evaluation.scores.metrics_file import Metrics, SizeStratum, Stratum
from lexiseg.printable import counted

#: Groups whose mean Dice differ by less than this are folded to one line.
HARDLY = 0.02
#: Heading of each group of cases that `choose_cases` returns.
GROUP_HEADINGS = {
    "Best": "Best by Dice",
    "Median": "Median by Dice",
    "Worst": "Worst by Dice",
    "Only case": "The only case",
    "Same Dice": "Cases, all with the same Dice",
    "Most disagreeing": "Most disagreeing: lowest agreement of words and mask",
}


@dataclass(frozen=True, kw_only=True)
class StrataTable:
    """The scores of groups of cases, such as small and large lesions.

    Attributes:
        heading: What divides the cases into groups.
        rows: Name and scores of each group that has a case.
        folded: The table in one sentence, where it can be folded; None for a table that stays open.
    """

    heading: str
    rows: tuple[tuple[str, Stratum], ...]
    folded: str | None


def strata_tables(metrics: Metrics) -> list[StrataTable]:
    """Return the tables of scores by lesion size, number of lesions and source of the image.

    Args:
        metrics: The content of `metrics.json`.
    """
    sizes = [(_size_name(stratum), stratum) for stratum in metrics.by_size]
    found = [
        _table("Lesion size", sizes),
        _table("Lesions in the image", list(metrics.by_count.items())),
        _table("Source of the image", list((metrics.sources or {}).items())),
    ]
    return [table for table in found if table.rows]


def _table(heading: str, groups: Sequence[tuple[str, Stratum]]) -> StrataTable:
    rows = tuple((name, stratum) for name, stratum in groups if stratum.n)
    means = [stratum.dice.mean for _, stratum in rows if stratum.dice is not None]
    folded = None
    if len(rows) == 1:
        name, stratum = rows[0]
        cases = "the only case is" if stratum.n == 1 else f"all {stratum.n:,} cases are"
        folded = f'{heading}: {cases} in the group "{name}"'
    elif means and max(means) - min(means) < HARDLY:
        folded = f"{heading}: the mean Dice hardly changes ({min(means):.3f} to {max(means):.3f})"
    return StrataTable(heading=heading, rows=rows, folded=folded)


def _size_name(stratum: SizeStratum) -> str:
    if stratum.tercile not in TERCILES:
        return stratum.tercile
    low, high = (100 * end for end in stratum.share)
    if stratum.share[1] == 1:
        return f"{stratum.tercile}: above {low:.2g} % of the image"
    if stratum.share[0] == 0:
        return f"{stratum.tercile}: up to {high:.2g} % of the image"
    return f"{stratum.tercile}: {low:.2g} to {high:.2g} % of the image"


def distribution_caption(cases: Sequence[ScoredCase]) -> str:
    """Return what the distribution of the Dice shows at its lower end.

    Args:
        cases: The scored cases, at least one.
    """
    low = sum(case.scores.dice < 0.5 for case in cases)
    if low == 0:
        return "Dice of each case. No case has a Dice below 0.5."
    if low == len(cases):
        return "Dice of each case. Every case has a Dice below 0.5."
    some = counted(low, "case has", "cases have")
    return f"Dice of each case. {some} a Dice below 0.5, on the left, which the mean does not show."


def size_caption(counts: Mapping[str, int]) -> str:
    """Return the caption of a figure over lesion sizes.

    Args:
        counts: Number of cases by name of the size group.
    """
    points = "Each point is one case with a lesion."
    if not all(counts.get(name) for name in TERCILES):
        return points
    return f"{points} Dashed lines separate small, medium and large lesions."
