"""`volumes-job.json`: how volumes are predicted; which of them an interrupted batch finished."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.inference.batches.batch_job import BatchJob, read_job, unchanged_since
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.inference.volumes.volume_writer import VolumeWriter
from lexiseg.inference.volumes.volumes_file import VolumeRecord
from lexiseg.json_records import FileRecord

#: Name of the file in an output folder, while a batch of volumes is not finished.
VOLUME_JOB_FILE = "volumes-job.json"


class VolumeJob(FileRecord):
    """What decides how a volume is predicted and written.

    Attributes:
        schema_version: Version of this schema.
        slices: What decides how each slice is predicted, and the output formats.
        axis: How the slices are chosen.
        smooth: Whether labels are smoothed between slices.
    """

    slices: BatchJob
    axis: AxisName
    smooth: bool

    @classmethod
    def read(cls, out: Path) -> VolumeJob | None:
        """Return the job of an unfinished batch in a folder; see `read_job`."""
        return read_job(cls, out / VOLUME_JOB_FILE)


@dataclass(frozen=True, kw_only=True)
class FinishedVolumes:
    """Tells which volumes of a batch an interrupted one finished.

    Attributes:
        out: The output folder. Its outputs are as Lexiseg wrote them: a batch is refused otherwise.
        writers: The writers of the batch.
        begun_ns: When the interrupted batch began, in nanoseconds.
        written_ns: When it wrote its last line, in nanoseconds.
        shared: What volumes are called of which several have one name, such as series in one folder.
    """

    out: Path
    writers: Sequence[VolumeWriter]
    begun_ns: int
    written_ns: int
    shared: frozenset[str]

    def holds(self, target: VolumeTarget, record: VolumeRecord) -> bool:
        """Return whether a line is that of a volume, whose files are unchanged and whose outputs are there.

        Args:
            target: The volume.
            record: A line of the interrupted batch with its name.
        """
        return (
            record.image == target.label
            and self._has_slices_of(target, record)
            and unchanged_since(target.files_that_tell, self.begun_ns)
            and all(self._is_there(target, record, writer) for writer in self.writers)
        )

    def _has_slices_of(self, target: VolumeTarget, record: VolumeRecord) -> bool:
        """Return whether a line is that of the slices of a series; the names of series may be exchanged."""
        if not target.slices:
            return True
        if len(target.slices) != record.voxels_ijk[2]:
            return False
        named = {found.file for found in record.slices}
        if named == {None}:  # slices across the acquired ones, and frames of one file
            return target.label not in self.shared
        return named == {target.named(str(header.path)) for header in target.slices}

    def _is_there(self, target: VolumeTarget, record: VolumeRecord, writer: VolumeWriter) -> bool:
        if writer.name in record.not_written:
            return True
        try:
            found = os.stat(writer.file(target.name, self.out))
        except OSError:
            return False
        # A later file is one of an image with the same name, of another command.
        return found.st_mtime_ns <= self.written_ns
