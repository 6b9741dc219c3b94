"""`prediction-job.json`: how the images of a batch are predicted, so that only the same batch goes on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from lexiseg._version import __version__
from lexiseg.files import disk_errors
from lexiseg.json_records import FileRecord, record_sha256, record_text
from lexiseg.structured_text import UnusableTextError, read_json

if TYPE_CHECKING:
    from lexiseg.inference.predictor import Predictor
    from lexiseg.outputs.output_folder import OutputFolder

#: Name of the file in an output folder, while a batch is not finished.
JOB_FILE = "prediction-job.json"

_Job = TypeVar("_Job", bound=FileRecord)


class BatchJob(FileRecord):
    """What decides how an image is predicted and written.

    Attributes:
        schema_version: Version of this schema.
        lexiseg_version: Version of Lexiseg.
        weights_sha256: SHA-256 of the weights of each run whose answers are averaged.
        calibration_sha256: SHA-256 of the calibration in use; None without one.
        compares_images: Whether images are compared with the training images.
        engine: What computes the (first) network.
        flip_average: Whether the answers to each image and its mirror image are averaged.
        spacing_mm: Height and width of a pixel in millimetres that hold for all images; None if not given.
        view: The window and the frame of DICOM files, as text.
        formats: The output formats.
    """

    lexiseg_version: str
    weights_sha256: tuple[str, ...]
    calibration_sha256: str | None
    compares_images: bool
    engine: str
    flip_average: bool
    spacing_mm: tuple[float, float] | None
    view: str
    formats: tuple[str, ...]

    @classmethod
    def of(cls, predictor: Predictor, formats: tuple[str, ...]) -> BatchJob:
        """Return the job of a predictor.

        Batch size and number of threads are no part of it: no result depends on them.

        Args:
            predictor: The predictor.
            formats: Names of the formats that are written.

        Raises:
            WeightsError: A file of weights is missing or cannot be read.
        """
        options, calibration = predictor.options, predictor.calibration
        return cls(
            lexiseg_version=__version__,
            weights_sha256=predictor.weights_sha256,
            calibration_sha256=None if calibration is None else record_sha256(calibration),
            compares_images=predictor.compares_images,
            engine=str(predictor.engine.description),
            flip_average=options.flip_average,
            spacing_mm=options.spacing_mm,
            view=str(options.view),
            formats=formats,
        )

    def difference(self, earlier: BatchJob | None) -> str:
        """Return in which points an earlier job differs, as a part of a sentence; empty where in none.

        Args:
            earlier: The job; None where it cannot be read.
        """
        if earlier is None:
            return f"{JOB_FILE}, which states how, is missing or cannot be read"
        before, now = earlier.model_dump(mode="json"), self.model_dump(mode="json")
        points = [f"{name} was {before[name]}, now {now[name]}" for name in now if before[name] != now[name]]
        return "; ".join(points)

    @classmethod
    def read(cls, out: Path) -> BatchJob | None:
        """Return the job of an unfinished batch in a folder; see `read_job`."""
        return read_job(cls, out / JOB_FILE)


def read_job(kind: type[_Job], file: Path) -> _Job | None:
    """Return the record of an unfinished job; None where there is none that can be read.

    A batch whose job cannot be read starts from the beginning, so nothing wrong is taken over.

    Args:
        kind: The type of the record.
        file: Its file.
    """
    try:
        return kind.model_validate(read_json(file))
    except (OSError, UnusableTextError, ValidationError):
        return None


def write_job(folder: OutputFolder, file: Path, job: FileRecord, copies: Iterable[Path]) -> None:
    """Write the record of a job that begins.

    The time of its file is the one that `unchanged_since` takes. An archive that is replaced after it was
    unpacked, and before the job begins, is a changed one: so the time is that of the oldest private copy.

    Args:
        folder: The output folder.
        file: The file of the record.
        job: The record.
        copies: The private copies of images or volumes that the job reads.

    Raises:
        DiskError: There is no space or no permission, or a copy is gone.
    """
    folder.write_text(file, record_text(job))
    with disk_errors(file):
        unpacked = min((os.stat(copy).st_ctime_ns for copy in copies), default=None)
        if unpacked is not None:
            os.utime(file, ns=(unpacked, unpacked))


def unchanged_since(files: Iterable[Path], begun_ns: int) -> bool:
    """Return whether files are there, and none was changed or put there after a time in nanoseconds.

    A symbolic link counts as well as the file that it leads to, which can be an older one.
    """
    try:
        found = (status for file in files for status in (os.lstat(file), os.stat(file)))
        # The second time also tells a file that was copied with its old time.
        return all(max(one.st_mtime_ns, one.st_ctime_ns) <= begun_ns for one in found)
    except OSError:
        return False
