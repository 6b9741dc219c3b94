"""The content of `comparison.json` (two runs, case by case) and of `table.json` (several runs)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lexiseg.data.sample import Split
from lexiseg.evaluation.scores.metrics_file import Interval
from lexiseg.json_records import FileRecord, PartlyWritten, Record
from lexiseg.printable import brief, counted


class ComparedRun(Record):
    """One of two runs.

    Attributes:
        name: Its short name.
        folder: Its folder, or its name if it comes with Lexiseg.
    """

    name: str
    folder: str


class RunPair(Record):
    """The two runs of a comparison.

    Attributes:
        a: The first; differences are a - b.
        b: The second.
    """

    a: ComparedRun
    b: ComparedRun


class GroupDifference(Record):
    """The paired difference in Dice in one group of cases.

    Attributes:
        group: "all", or the name of a stratum.
        n: Number of cases.
        mean_a: Mean Dice of run a, 0..1.
        mean_b: Mean Dice of run b, 0..1.
        mean: Mean difference, a - b.
        ci95: Its 95 % bootstrap interval over patients, or over cases if no patient is known; None for a
            single one.
        p_value: Two-sided Wilcoxon signed-rank test over the same.
        better: Number of cases where a is better.
        worse: Number of cases where a is worse.
        equal: Number of cases without a difference.
        p_holm: The p-value adjusted by Holm over the strata; for all cases the p-value itself.
    """

    group: str
    n: int = Field(ge=1)
    mean_a: float
    mean_b: float
    mean: float
    ci95: Interval | None
    p_value: float = Field(ge=0, le=1)
    better: int
    worse: int
    equal: int
    p_holm: float = Field(ge=0, le=1)


class CaseDifference(Record):
    """The difference in Dice of one case.

    Attributes:
        id: The case.
        difference: Dice of a minus Dice of b.
        a: Dice of a, 0..1.
        b: Dice of b, 0..1.
    """

    id: str
    difference: float
    a: float
    b: float


class ExtremeCases(Record):
    """The cases that differ most, the largest difference first; cases without a difference are in neither.

    Attributes:
        better: Cases where a is better.
        worse: Cases where a is worse.
    """

    better: tuple[CaseDifference, ...]
    worse: tuple[CaseDifference, ...]


class Comparison(PartlyWritten, FileRecord):
    """The content of `comparison.json`: two runs on the same cases.

    Attributes:
        runs: The two runs.
        data: The data set's folder.
        split: The split.
        flip_average: Whether both predicted with flip averaging.
        n: Number of cases that were scored for both runs.
        pooled: Pooled Dice of a and of b, 0..1.
        groups: The difference in every group of cases; the first group is all cases.
        most: The cases that differ most.
        failed: Ids of the cases that could not be scored for both.
        few_cases: What is to be said of the intervals of so few patients or cases; None from 30 on.
        notices: What limits the scores, such as cases that a run may have learned; each begins with "A: ",
            "B: " or "A and B: ".
    """

    LEFT_OUT = frozenset({"notices"})

    runs: RunPair
    data: str
    split: Split
    flip_average: bool
    n: int = Field(ge=1)
    pooled: tuple[float, float]
    groups: tuple[GroupDifference, ...]
    most: ExtremeCases
    failed: tuple[str, ...]
    few_cases: str | None = None
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(
            self,
            f"{self.runs.a.name} against {self.runs.b.name}",
            counted(self.n, "case"),
            f"difference {self.groups[0].mean:+.4f}" if self.groups else None,
        )


class RunRow(Record):
    """The scores of one run in a table of several.

    Attributes:
        run: The run's short name.
        cases: Number of scored cases.
        failed: Number of cases that could not be scored.
        dice: Dice, mean of cases, 0..1.
        dice_low: Lower end of its 95 % interval; None without one.
        dice_high: Upper end of its 95 % interval; None without one.
        pooled_dice: Dice of the pixels of all cases together, 0..1.
        iou: Intersection over union, mean of cases, 0..1.
        hd95: 95th percentile of the Hausdorff distance, mean of cases, in `units`.
        units: Unit of HD95.
        dice_small: Mean Dice of small lesions; None without such cases.
        dice_medium: Mean Dice of medium lesions; None without such cases.
        dice_large: Mean Dice of large lesions; None without such cases.
        retrieval: Retrieval accuracy by factor, 0..1; None where no reference is known.
    """

    run: str
    cases: int
    failed: int
    dice: float
    dice_low: float | None
    dice_high: float | None
    pooled_dice: float
    iou: float
    hd95: float
    units: Literal["mm", "px"]
    dice_small: float | None
    dice_medium: float | None
    dice_large: float | None
    retrieval: dict[str, float | None]


class RunTable(FileRecord):
    """The content of `table.json`: several runs on the same cases.

    Attributes:
        data: The data set's folder.
        split: The split.
        average_with: The run that each was averaged with; None if there was none.
        runs: One row per run.
    """

    data: str
    split: Split
    average_with: str | None
    runs: tuple[RunRow, ...]
