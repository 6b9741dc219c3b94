"""One job, as the server knows it while it waits, runs and is kept."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.serving.records.common import ModelVersion
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
        record: What answers say of it.
        owner: Name of the token with which it was made.
        settings: What it writes, and how.
        folder: Its private folder.
        uploads: Its files, each with the name that it came with.
        held_bytes: Bytes on the disk that count for it.
        stop: Set when it shall end; the thread that predicts looks at it after each image and each slice.
        changes: Number of changes so far, by which streams of its progress know that there is something new.
    """

    record: JobRecord
    owner: str
    settings: JobSettings
    folder: Path
    uploads: dict[Path, str]
    held_bytes: int
    stop: threading.Event = field(default_factory=threading.Event)
    changes: int = 0

    @property
    def zip_file(self) -> Path:
        """Its result."""
        return self.folder / "result.zip"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more."""
        return self.record.state in FINAL

    def change(self, **values: Any) -> None:
        """Change fields of the record."""
        self.record = self.record.model_copy(update=values)
        self.changes += 1

    def count(self, **more: int) -> None:
        """Add to numbers of the record."""
        self.change(**{name: getattr(self.record, name) + added for name, added in more.items()})

    def begin(self) -> None:
        """Take note that the job runs, where it was not cancelled meanwhile."""
        if self.record.state == "queued":
            self.change(state="running")


def queued_record(number: str, model: ModelVersion, formats: tuple[str, ...], files: int) -> JobRecord:
    """Return what answers say of a new job.

    Args:
        number: Its number.
        model: The model that computes.
        formats: The outputs.
        files: Number of its files.
    """
    return JobRecord(
        id=number,
        state="queued",
        model=model,
        formats=formats,
        created=time_text(datetime.now(UTC)),
        images=files,
        notes=(),
        done=0,
        failed=0,
        flagged=0,
        slices=0,
        slices_done=0,
        bytes=None,
        error=None,
        expires=None,
    )


def time_text(time: datetime) -> str:
    """Return a time as records state it."""
    return time.astimezone(UTC).isoformat(timespec="seconds")
