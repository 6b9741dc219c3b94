"""Records of jobs."""

from __future__ import annotations

from typing import Literal

from lexiseg.json_records import Record
from lexiseg.serving.records.common import ErrorRecord, ModelVersion

#: How far a job is. The last three are final.
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRecord(Record):
    """A job: many images, predicted in the background, with their outputs as one zip file.

    Attributes:
        id: Its number.
        state: How far it is.
        model: The model that computes.
        formats: The outputs, as in `lexiseg predict --write`.
        created: ISO date and time, UTC.
        images: Number of images.
        done: Number of images that are predicted.
        failed: Number of images that could not be predicted; predictions.jsonl in the zip says why.
        flagged: Number of predicted images that a person should look at.
        bytes: Size of the zip file; None until the job is done.
        error: Why the whole job failed; None unless it did.
        expires: When the job and its files are removed: ISO date and time, UTC; None until it is final.
    """

    id: str
    state: JobState
    model: ModelVersion
    formats: tuple[str, ...]
    created: str
    images: int
    done: int
    failed: int
    flagged: int
    bytes: int | None
    error: ErrorRecord | None
    expires: str | None


class JobsResponse(Record):
    """The answer of GET /v1/jobs.

    Attributes:
        jobs: The jobs of the holder of the token, the newest first.
    """

    jobs: tuple[JobRecord, ...]
