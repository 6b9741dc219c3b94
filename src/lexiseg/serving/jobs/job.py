"""One job, as the server knows it while it waits, runs and is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.serving.records.common import ErrorRecord, ModelVersion
from lexiseg.serving.records.jobs import JobRecord, JobState

#: States in which nothing happens any more.
FINAL: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What a job writes, and how.

    Attributes:
        formats: The outputs.
        view: The window and the frame of DICOM files, and the window of volumes.
        axis: The slices of volumes.
        smooth_slices: Whether labels of volumes are smoothed between slices.
        single_slices: Whether slices of DICOM series are images of their own.
        said: What a person says of the only image; None where its mask is not corrected.
        who: Name of the token of this person; empty where the server asks for none.
    """

    formats: tuple[str, ...] = ("mask",)
    view: View = AS_STORED
    axis: AxisName = "auto"
    smooth_slices: bool = False
    single_slices: bool = False
    said: str | Mapping[str, str] | None = None
    who: str = ""


@dataclass(kw_only=True, eq=False)
class Job:
    """One job.

    Only the loop of the server changes it.

    Attributes:
        id: Its number.
        owner: Name of the token with which it was made.
        version: The model that computes.
        settings: What it writes, and how.
        folder: Its private folder.
        uploads: Its files, each with the name that it came with.
        held_bytes: Bytes on the disk that count for it.
        created: When it was made.
        state: How far it is.
        images: Number of images and volumes; until zip files are unpacked, that of files.
        notes: What of its files is not read, one sentence each.
        done: Number of them that are predicted.
        failed: Number of them that could not be predicted.
        flagged: Number of them that a person should look at.
        slices: Number of slices of the volumes that were opened so far.
        slices_done: Number of slices that are predicted.
        bytes: Size of the zip file; None until the job is done.
        error: Why the whole job failed, or was cancelled by the server.
        expires: When it is removed at the latest; None until it is final.
        stop: Set when it shall end; the thread that predicts looks at it after each image and each slice.
        changes: Number of changes so far, by which streams of its progress know that there is something new.
    """

    id: str
    owner: str
    version: ModelVersion
    settings: JobSettings
    folder: Path
    uploads: dict[Path, str]
    held_bytes: int
    created: datetime
    state: JobState = "queued"
    images: int = 0
    notes: tuple[str, ...] = ()
    done: int = 0
    failed: int = 0
    flagged: int = 0
    slices: int = 0
    slices_done: int = 0
    bytes: int | None = None
    error: ErrorRecord | None = None
    expires: datetime | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    changes: int = 0

    @property
    def zip_file(self) -> Path:
        """Its result."""
        return self.folder / "result.zip"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more."""
        return self.state in FINAL

    def note_begin(self) -> None:
        """Take note that the job runs, where it was not cancelled meanwhile."""
        if self.state == "queued":
            self.state = "running"
            self.changes += 1

    def note_inputs(self, images: int, notes: tuple[str, ...]) -> None:
        """Take the number of images and volumes, and what is not read."""
        self.images, self.notes = images, notes
        self.changes += 1

    def note_volume(self, slices: int) -> None:
        """Take the number of slices of a volume that is opened."""
        self.slices += slices
        self.changes += 1

    def note_slice(self) -> None:
        """Count a slice that is predicted."""
        self.slices_done += 1
        self.changes += 1

    def note_result(self, *, flagged: bool) -> None:
        """Count an image or a volume that is predicted."""
        self.done += 1
        self.flagged += flagged
        self.changes += 1

    def note_failure(self) -> None:
        """Count an image or a volume that could not be predicted."""
        self.failed += 1
        self.changes += 1

    def record(self) -> JobRecord:
        """Return what answers say of it."""
        return JobRecord(
            id=self.id,
            state=self.state,
            model=self.version,
            formats=self.settings.formats,
            created=_text(self.created),
            images=self.images,
            notes=self.notes,
            done=self.done,
            failed=self.failed,
            flagged=self.flagged,
            slices=self.slices,
            slices_done=self.slices_done,
            bytes=self.bytes,
            error=self.error,
            expires=None if self.expires is None else _text(self.expires),
        )


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
