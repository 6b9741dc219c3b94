"""The work of a job: its images are predicted to files, and these become one zip file."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lexiseg.clinic.detection import may_be_dicom
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, fitting_name
from lexiseg.inference.batch import predict_to_files
from lexiseg.inference.predictions_file import RESULTS_FILE
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.inference.writers.base import Target
from lexiseg.inference.writers.registry import format_names
from lexiseg.printable import printable_json
from lexiseg.serving.jobs.job import Job
from lexiseg.serving.jobs.private_folder import open_private
from lexiseg.structured_text import parse_json

#: Called after each image.
OnResult = Callable[[Prediction | LexisegError], None]

# Bytes of a file name that suffixes of outputs, and numbers of equal names, need.
_ROOM = 24
# Formats that only the command line writes: cards look into the network, which needs torch; a table of many
# images is for batches of many thousands.
_NOT_SERVED = frozenset({"card", "parquet"})


class StoppedError(Exception):
    """The job was cancelled while it ran."""


def served_formats() -> tuple[str, ...]:
    """Return the names of the outputs that a job may write."""
    return tuple(name for name in format_names() if name not in _NOT_SERVED)


def run_job(job: Job, predictor: Predictor, on_result: OnResult) -> int:
    """Predict the images of a job and pack their outputs; the images are removed.

    Args:
        job: The job.
        predictor: Its model.
        on_result: Called after each image.

    Returns:
        The size of the zip file in bytes.

    Raises:
        StoppedError: It was cancelled.
        LexisegError: An output cannot be written.
    """
    out = job.folder / "out"

    def after(path: Path, result: Prediction | LexisegError) -> None:
        on_result(result)
        if job.stop.is_set():
            raise StoppedError

    try:
        predict_to_files(predictor, _targets(job.images), out, writers=job.formats, on_result=after)
        return _pack(out, job.zip_file, job.images)
    finally:
        for file in job.images:
            file.unlink(missing_ok=True)
        shutil.rmtree(out, ignore_errors=True)


def _targets(images: Mapping[Path, str]) -> list[Target]:
    """Return the images with names of their outputs, each name once."""
    taken: set[str] = set()
    targets = []
    for file, name in images.items():
        # The last number of a UID is no ending.
        stem = fitting_name(name if may_be_dicom(Path(name)) else Path(name).stem, room=_ROOM)
        own, number = stem, 1
        while own.lower() in taken:
            number += 1
            own = f"{stem}-{number}"
        taken.add(own.lower())
        targets.append(Target(image=file, name=Path(own)))
    return targets


def _pack(out: Path, packed: Path, images: Mapping[Path, str]) -> int:
    """Write the outputs as a zip file, without the places of this server in them."""
    folders = {path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")}
    with disk_errors(packed), open_private(packed) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(RESULTS_FILE, _lines(out / RESULTS_FILE, images), zipfile.ZIP_DEFLATED)
        for folder in sorted(folders):
            for output in sorted((out / folder).rglob("*")):
                if output.is_file():
                    archive.write(output, output.relative_to(out).as_posix(), zipfile.ZIP_DEFLATED)
    return packed.stat().st_size


def _lines(file: Path, images: Mapping[Path, str]) -> str:
    """Return the lines of a batch with the names with which its images came."""
    names = {str(path): name for path, name in images.items()}
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        record = parse_json(line)
        path = record["image"]
        record["image"] = names[path]
        if "error" in record:
            record["error"] = record["error"].replace(path, names[path])
        else:
            record["not_written"] = {
                name: why.replace(path, names[path]) for name, why in record["not_written"].items()
            }
        lines.append(printable_json(record) + "\n")
    return "".join(lines)


def check_served(formats: tuple[str, ...]) -> None:
    """Refuse outputs that a job does not write.

    Raises:
        DataError: There is such a one.
    """
    unknown = sorted(set(formats) - set(served_formats()))
    if unknown or not formats:
        raise DataError(
            f"A job does not write {', '.join(map(repr, unknown))[:200] or 'nothing'}: expected some of "
            f"{', '.join(served_formats())}.",
            code="LEX-DATA-1107",
        )
