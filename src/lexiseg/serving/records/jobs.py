"""Records of jobs."""

from __future__ import annotations

from typing import Literal

from lexiseg.json_records import Record
from lexiseg.serving.records.common import ErrorRecord, ModelVersion

#: How far a job is. The last three are final.
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRecord(Record):
    """A job: images and volumes, predicted in the background, with their outputs as one zip file.

    Attributes:
        id: Its number.
        state: How far it is.
        model: The model that computes.
        formats: The outputs, as in `lexiseg predict --write`.
        created: ISO date and time, UTC.
        images: Number of images and volumes. Until the zip files of the job are unpacked, the number of its
            files.
        notes: What of the zip files is not read, one sentence each.
        done: Number of images and volumes that are predicted.
        failed: Number of those that could not be predicted; predictions.jsonl and volumes.jsonl in the zip
            say why.
        flagged: Number of those that a person should look at.
        slices: Number of slices of the volumes that were opened so far.
        slices_done: Number of those slices that are predicted.
        bytes: Size of the zip file; None until the job is done.
        error: Why the whole job failed, or that the end of the server cancelled it; None otherwise.
        expires: When the job and its files are removed at the latest: ISO date and time, UTC; None until it
            is final. The oldest jobs go earlier where newer ones need their place.
    """

    id: str
    state: JobState
    model: ModelVersion
    formats: tuple[str, ...]
    created: str
    images: int
    notes: tuple[str, ...]
    done: int
    failed: int
    flagged: int
    slices: int
    slices_done: int
    bytes: int | None
    error: ErrorRecord | None
    expires: str | None


class JobsResponse(Record):
    """The answer of GET /v1/jobs.

    Attributes:
        jobs: The jobs of the holder of the token, the newest first.
    """

    jobs: tuple[JobRecord, ...]
