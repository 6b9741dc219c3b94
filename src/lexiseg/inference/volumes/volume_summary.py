"""The counts and failures of a batch of volumes, also of one that an interrupted command began."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.inference.batches.counts import Counts, Summary
from lexiseg.inference.volumes.volumes_file import VolumeRecord
from lexiseg.printable import brief, counted


@dataclass(frozen=True, kw_only=True)
class VolumeSummary(Summary):
    """Counts and failures of a batch of volumes.

    Attributes:
        done: Number of volumes segmented.
        slices: Number of their slices.
        flagged: Number of volumes that a person should look at.
        failed: Volumes that could not be predicted, with the reason. Volumes are called as in the results: by
            the path of their file or folder, or an archive and a folder in it.
        refused: Outputs that were not written although their volume was segmented: volume, format and reason.
        assumptions: What was assumed, a sentence per kind, with the number of volumes.
        planes: Which slices were predicted, such as "axial (k)", with the number of volumes.
        results: The file with one line per volume.
        resumed: Number of volumes segmented that an interrupted command had finished before.
    """

    slices: int
    planes: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        return brief(
            self,
            counted(self.done, "volume"),
            counted(self.slices, "slice"),
            f"{self.flagged} flagged",
            f"{len(self.failed)} failed",
            str(self.results),
        )


@dataclass
class VolumeCounts(Counts):
    """The counts of a batch while it runs."""

    slices: int = 0
    planes: Counter[str] = field(default_factory=Counter)

    def add(self, record: VolumeRecord, *, resumed: bool) -> None:
        """Count a volume by its line.

        Args:
            record: Its line.
            resumed: Whether an interrupted command had finished it.
        """
        self.count(
            record.image,
            flagged=record.flagged,
            resumed=resumed,
            assumptions=record.assumptions,
            refused=record.not_written,
        )
        self.slices += len(record.slices)
        self.planes[f"{record.plane} ({record.axis})"] += 1

    def summary(self, results: Path) -> VolumeSummary:
        """Return the counts of a finished batch.

        Args:
            results: The file with one line per volume.
        """
        return VolumeSummary(**self.common(results), slices=self.slices, planes=tuple(self.planes.items()))
