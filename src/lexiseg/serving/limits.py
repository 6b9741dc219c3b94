"""Limits of the server: what one request may ask for, and what all requests together may hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lexiseg.errors import RequestError, UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the server.

    Attributes:
        file_bytes: Bytes of one image.
        request_bytes: Bytes of the body of one request, except for jobs.
        held_bytes: Bytes of the bodies of all requests that are in memory at a time.
        images: Images of one request.
        pixels: Pixels of one image; it is refused before it is decoded.
        frames: Frames of one DICOM file.
        seconds: Seconds that one request may take, its upload included.
        decode_seconds: Seconds that decoding of one image may take.
        decode_bytes: Memory of one process that decodes images.
        requests: Requests that are worked on at a time; one whose answer has begun does not count.
        waiting: Images that wait for a model at a time.
        jobs: Jobs that are arriving, waiting or running at a time.
        job_bytes: Bytes of the files of one job.
        job_images: Files of one job; also those that a zip file holds.
        job_seconds: Seconds that the upload of one job may take.
        silent_seconds: Seconds that the upload of a job may pause.
        job_minutes: Minutes after which a finished job is removed.
        kept_jobs: Finished jobs that are kept; the oldest ones go first.
        job_disk_bytes: Bytes on the disk of the uploads of all jobs, unpacked, and of the results of finished
            ones. Outputs of the job that runs, and their zip file, come on top: each up to `result_bytes`.
        result_bytes: Bytes of the outputs of one job.
        volume_bytes: Bytes of one volume file or zip file of a job.
        unpacked_bytes: Bytes that the zip files of one job may hold; more are refused before unpacking.
        voxels: Voxels of one volume; it is refused before they are read.
        slices: Slices of one volume.
        volume_seconds: Seconds that reading of a volume, or of one of its slices, may take.

    Raises:
        UsageError: A limit is not above 0.
    """

    file_bytes: int = 64 << 20
    request_bytes: int = 256 << 20
    held_bytes: int = 1 << 30
    images: int = 64
    pixels: int = 40_000_000
    frames: int = 2000
    seconds: float = 60.0
    decode_seconds: float = 20.0
    decode_bytes: int = 4 << 30
    requests: int = 64
    waiting: int = 64
    jobs: int = 16
    job_bytes: int = 2_000_000_000
    job_images: int = 5000
    job_seconds: float = 900.0
    silent_seconds: float = 30.0
    job_minutes: float = 60.0
    kept_jobs: int = 200
    job_disk_bytes: int = 16_000_000_000
    result_bytes: int = 4_000_000_000
    volume_bytes: int = 1_000_000_000
    unpacked_bytes: int = 4_000_000_000
    voxels: int = 500_000_000
    slices: int = 2000
    volume_seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"Expected a limit {name} above 0, got {value}.", code="LEX-USE-1100")


class Budget:
    """An amount that all requests share, such as bytes in memory.

    Args:
        most: What may be held at a time.

    Attributes:
        held: What is held now.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Holding]:
        """Yield a holding, and give back what it holds at the end."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            self.held -= holding.amount

    def fits(self, amount: int) -> bool:
        """Return whether an amount is left."""
        return self.held + amount <= self._most


class Holding:
    """What one request holds of a budget.

    Attributes:
        amount: What it holds.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.amount = 0

    def add(self, amount: int) -> None:
        """Hold more.

        Raises:
            RequestError: There is not as much left.
        """
        if not self._budget.fits(amount):
            raise RequestError(
                "The server holds as much data of other requests as it may. Send the request again later.",
                status=429,
                retry_after=1,
                code="LEX-REQ-1100",
            )
        self._budget.held += amount
        self.amount += amount
