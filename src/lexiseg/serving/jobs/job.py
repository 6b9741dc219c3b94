"""One job, as the server knows it while it waits, runs and is kept."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lexiseg.serving.records.common import ErrorRecord, ModelVersion
from lexiseg.serving.records.jobs import JobRecord, JobState

#: States in which nothing happens any more.
FINAL: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})


@dataclass(kw_only=True, eq=False)
class Job:
    """One job.

    Only the loop of the server changes it.

    Attributes:
        id: Its number.
        owner: Name of the token with which it was made.
        version: The model that computes.
        formats: The outputs.
        folder: Its private folder.
        images: Its image files, each with the name that it came with.
        created: When it was made.
        state: How far it is.
        done: Number of images that are predicted.
        failed: Number of images that could not be predicted.
        flagged: Number of predicted images that a person should look at.
        bytes: Size of the zip file; None until the job is done.
        error: Why the whole job failed.
        expires: When it is removed; None until it is final.
        stop: Set when it shall end; the thread that predicts looks at it after each image.
        changes: Number of changes so far, by which streams of its progress know that there is something new.
    """

    id: str
    owner: str
    version: ModelVersion
    formats: tuple[str, ...]
    folder: Path
    images: dict[Path, str]
    created: datetime
    state: JobState = "queued"
    done: int = 0
    failed: int = 0
    flagged: int = 0
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

    def record(self) -> JobRecord:
        """Return what answers say of it."""
        return JobRecord(
            id=self.id,
            state=self.state,
            model=self.version,
            formats=self.formats,
            created=_text(self.created),
            images=len(self.images),
            done=self.done,
            failed=self.failed,
            flagged=self.flagged,
            bytes=self.bytes,
            error=self.error,
            expires=None if self.expires is None else _text(self.expires),
        )


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
