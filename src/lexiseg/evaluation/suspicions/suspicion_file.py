"""Content of `suspicions.json`: the cases of a data set by how suspicious they are."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from lexiseg.evaluation.suspicions.signs import Kind
from lexiseg.json_records import FileRecord, Record
from lexiseg.printable import brief, counted, row_of_cells
from lexiseg.words.description import ShownSide


class Suspicion(Record):
    """One case of the data set.

    Attributes:
        rank: Its place, 1 for the most suspicious case.
        id: Id of the sample.
        image: The image file, from the folder of the data set.
        split: Its split.
        kind: The error that is suspected most.
        score: Sign of this error: 0 is the median of all cases, 1 the value that a tenth of them exceeds.
        reasons: Why, in words.
        scores: The scores of all errors that were looked for. That of swapped sides can be the largest one
            although another error is suspected: it counts only where the report fits better with left and
            right exchanged.
        report: The report; None without one.
        told: Phrase per factor that was read in the report, None where unknown; empty without a report.
        retrieved: Phrase per factor that the run retrieves; empty for a run that names no words.
        measured: Phrase per factor that is measured on the mask, None where unknown; empty without words.
        dice: Dice of the mask and the predicted mask, all classes together, 0..1; None without a mask.
    """

    rank: int = Field(ge=1)
    id: str
    image: str
    split: str
    kind: Kind
    score: float
    reasons: tuple[str, ...]
    scores: dict[Kind, float]
    report: str | None
    told: dict[str, str | None]
    retrieved: dict[str, str]
    measured: dict[str, str | None]
    dice: float | None

    @property
    def shown_score(self) -> str:
        """The score with one decimal, never "-0.0"."""
        return f"{self.score:z.1f}"


class SuspicionFailure(Record):
    """A case that could not be checked.

    Attributes:
        id: Id of the sample.
        image: The image file.
        error: Why.
    """

    id: str
    image: str
    error: str


class Suspicions(FileRecord):
    """All cases of a data set that were checked, most suspicious first.

    Attributes:
        data: Name of the data set.
        runs: The runs that predicted: one, or one per fold.
        engine: What computed the network of the (first) run; None in files of early versions.
        side: Whose left is meant in all words; "unknown" for sentences of a sheet whose side nothing states;
            None without words.
        checked: Number of cases that were checked.
        left_out: Number of images that were left out because the run was trained on them.
        nothing_to_check: Number of images without mask and without report that can be read.
        notes: What was not looked for, and why; and that images of the training may be among the cases.
        cases: The cases.
        failed: Cases that could not be read.
    """

    data: str
    runs: tuple[str, ...]
    engine: str | None = None
    side: ShownSide | None
    checked: int
    left_out: int
    nothing_to_check: int
    notes: tuple[str, ...]
    cases: tuple[Suspicion, ...]
    failed: tuple[SuspicionFailure, ...]

    def __repr__(self) -> str:
        return brief(
            self, self.data, f"{counted(self.checked, 'case')} checked", f"{len(self.failed)} failed"
        )

    def table(self) -> str:
        """Return the cases as CSV, one row per case."""
        rows = []
        for case in self.cases:
            row: dict[str, object] = {
                "rank": case.rank, "id": case.id, "image": case.image, "split": case.split,
                "kind": case.kind, "score": case.score, "reasons": "; ".join(case.reasons), "dice": case.dice,
            }  # fmt: skip
            row |= {f"score_{kind.replace(' ', '_')}": score for kind, score in case.scores.items()}
            row |= {f"told_{factor}": phrase for factor, phrase in case.told.items()}
            row |= {f"retrieved_{factor}": phrase for factor, phrase in case.retrieved.items()}
            row |= {f"measured_{factor}": phrase for factor, phrase in case.measured.items()}
            rows.append(row_of_cells(row))
        return str(pd.DataFrame(rows).to_csv(index=False, float_format="%.4g", lineterminator="\n"))
