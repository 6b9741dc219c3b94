"""The counts and failures of a batch, also of one that an interrupted command began."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.inference.batches.counts import Counts, Summary
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.printable import brief, counted


@dataclass(frozen=True, kw_only=True)
class BatchSummary(Summary):
    """Counts and failures of a batch.

    Attributes:
        done: Number of images segmented.
        flagged: Number of them that a person should look at.
        failed: Images that could not be read, also not at a second try, with the reason. Images are called as
            in the results: by a path, a URL, or an archive and a member.
        results: The file with one line per image.
        turned: Number of images segmented that viewers rotate or mirror because of their EXIF orientation.
        locked: Whether other processes were kept out of the folder; False where the disk supports no locks.
        assumptions: What was assumed of DICOM files, a sentence per kind, with the number of images.
        refused: Outputs that were not written although their image was segmented: image, format and reason.
        unlike: Number of images segmented that are unlike the training images of the run.
        dicom: Number of images segmented that are DICOM images.
        sides_unknown: Number of them of which the side of their words is unknown.
        resumed: Number of images segmented that an interrupted command had finished before.
        recovered: Number of images segmented that failed at first and succeeded at the second try.
    """

    turned: int = 0
    locked: bool = True
    unlike: int = 0
    dicom: int = 0
    sides_unknown: int = 0
    recovered: int = 0

    def __repr__(self) -> str:
        return brief(
            self,
            counted(self.done, "image"),
            f"{self.flagged} flagged",
            f"{len(self.failed)} failed",
            str(self.results),
        )


@dataclass
class BatchCounts(Counts):
    """The counts of a batch while it runs; they keep nothing of an image that has no fault."""

    turned: int = 0
    unlike: int = 0
    dicom: int = 0
    sides_unknown: int = 0
    recovered: int = 0

    def add(self, record: PredictionRecord, *, resumed: bool = False, recovered: bool = False) -> None:
        """Count an image by its line.

        Args:
            record: Its line.
            resumed: Whether an interrupted command had finished it.
            recovered: Whether it failed at first and succeeded at the second try.
        """
        self.count(
            record.image,
            flagged=record.flagged,
            resumed=resumed,
            assumptions=() if record.dicom is None else record.dicom.assumptions,
            refused=record.not_written,
        )
        self.recovered += recovered
        self.turned += record.exif_orientation != 1
        self.unlike += bool(record.unlike_training_images)
        self.dicom += record.dicom is not None
        self.sides_unknown += record.dicom is not None and record.side == "unknown"

    def summary(self, *, results: Path, locked: bool) -> BatchSummary:
        """Return the counts of a finished batch.

        Args:
            results: The file with one line per image.
            locked: Whether other processes were kept out of the folder.
        """
        return BatchSummary(
            **self.common(results),
            turned=self.turned,
            locked=locked,
            unlike=self.unlike,
            dicom=self.dicom,
            sides_unknown=self.sides_unknown,
            recovered=self.recovered,
        )
