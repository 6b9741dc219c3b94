"""The work of a job: its images and volumes are predicted to files, and these become one zip file."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from lexiseg.errors import DataError, LexisegError, RequestError
from lexiseg.extras import load_module, without_commands
from lexiseg.files import disk_errors, private_opener
from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.formats.file_names import RESULTS_FILE, VOLUMES_FILE
from lexiseg.inference.formats.registry import FORMATS
from lexiseg.inference.result import Prediction
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.printable import counted, printable_json
from lexiseg.refinement.refine import Refinement, refine_decoded, statement_for
from lexiseg.serving.corrected_files import CORRECTED_FORMATS, write_corrected, write_masks
from lexiseg.serving.jobs.job import Job
from lexiseg.serving.jobs.job_inputs import JobInputs, job_inputs
from lexiseg.serving.limits import Limits
from lexiseg.serving.served_predictor import ServedPredictor
from lexiseg.serving.volumes.process_client import VolumeProcesses
from lexiseg.structured_text import parse_json

# Seconds between two looks at the size of the outputs.
_LOOK_SECONDS = 5.0


class StoppedError(Exception):
    """The job was cancelled while it ran."""


class JobProgress(Protocol):
    """What is told of a job while it runs."""

    def found(self, images: int, notes: tuple[str, ...]) -> None:
        """Take the number of images and volumes, and what is left out."""

    def opened(self, slices: int) -> None:
        """Take the number of slices of a volume."""

    def slice_done(self) -> None:
        """Take note of a slice that is predicted."""

    def ended(self, result: Prediction | VolumePrediction | LexisegError) -> None:
        """Take the result of an image or of a volume."""

    def refined(self, refinement: Refinement) -> None:
        """Take the result of an image whose mask was corrected."""


def served_formats() -> tuple[str, ...]:
    """Return the names of the outputs that a job may write."""
    return tuple(known.name for known in FORMATS if known.is_served and not known.needs_torch)


def run_job(job: Job, predictor: ServedPredictor, limits: Limits, progress: JobProgress) -> int:
    """Predict the images and volumes of a job and pack their outputs; its files are removed.

    Args:
        job: The job.
        predictor: Its model.
        limits: Limits of the server.
        progress: Told what happens.

    Returns:
        The size of the zip file in bytes.

    Raises:
        StoppedError: It was cancelled.
        LexisegError: It cannot be carried out, or an output cannot be written.
    """
    out, own = job.folder / "out", predictor.for_job(job.settings.view)
    watch = _Watch(job, out, limits)
    try:
        with VolumeProcesses(limits, job.stop) as processes:
            inputs = job_inputs(job, processes, progress.opened)
            progress.found(len(inputs.images) + len(inputs.volumes), inputs.notes)
            if job.settings.said is None:
                _predict(inputs, job, own, out, watch, progress)
            else:
                _refine(inputs, job, own, out, progress)
        return _pack(out, job.zip_file, inputs.names, watch)
    finally:
        for file in job.uploads:
            shutil.rmtree(file.parent, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)


class _Watch:
    """Ends a job that was cancelled, or whose outputs become too large."""

    def __init__(self, job: Job, out: Path, limits: Limits) -> None:
        self._job, self._out, self._most = job, out, limits.result_bytes
        self._looked = time.monotonic()

    def look(self) -> None:
        """Look whether the job may go on.

        Raises:
            StoppedError: It was cancelled.
            RequestError: Its outputs are too large.
        """
        if self._job.stop.is_set():
            raise StoppedError
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self.check_size()

    def check_size(self) -> None:
        """Look at the size of the outputs.

        Raises:
            RequestError: They are too large.
        """
        if _bytes_below(self._out) > self._most:
            raise RequestError(
                f"The outputs of the job are larger than {self._most:,} bytes, the limit of the server. Send "
                "several jobs, or choose fewer formats.",
                status=413,
                code="LEX-REQ-1453",
            )


def _bytes_below(folder: Path) -> int:
    """Return the size of all files in a folder; those that are renamed meanwhile may be left out."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.stat(os.path.join(place, name)).st_size
    return size


def _predict(
    inputs: JobInputs, job: Job, predictor: ServedPredictor, out: Path, watch: _Watch, progress: JobProgress
) -> None:
    def ended(image: str, result: Prediction | VolumePrediction | LexisegError) -> None:
        progress.ended(result)
        watch.look()

    def slice_done() -> None:
        progress.slice_done()
        watch.look()

    settings = job.settings
    if inputs.volumes:
        # Volumes need packages of extras, which a server for images is without.
        volumes = load_module("lexiseg.inference.volumes.batch")
        volumes.predict_volumes_to_files(
            predictor,
            inputs.volumes,
            out,
            formats=settings.formats,
            axis=settings.axis,
            smooth_slices=settings.smooth_slices,
            on_result=ended,
            on_slice=slice_done,
        )
    if inputs.images:
        predict_to_files(predictor, inputs.images, out, formats=settings.formats, on_result=ended)
    watch.check_size()


def _refine(
    inputs: JobInputs, job: Job, predictor: ServedPredictor, out: Path, progress: JobProgress
) -> None:
    """Correct the mask of the only image.

    Raises:
        LexisegError: There are others, the image cannot be read, or the words cannot move its mask.
    """
    settings = job.settings
    assert settings.said is not None
    if len(inputs.images) != 1 or inputs.volumes:
        raise DataError(
            f"Words correct the mask of one image; the job holds {counted(len(inputs.images), 'image')} and "
            f"{counted(len(inputs.volumes), 'volume')}. Send one image, or leave out the field 'say'.",
            code="LEX-DATA-1459",
        )
    (target,) = inputs.images
    name = inputs.names[target.image]
    statement = statement_for(predictor, settings.said)
    image = predictor.decoded(target.image)
    refinement = refine_decoded(predictor, image, statement, prediction=predictor.predict_decoded([image])[0])
    write_masks(
        predictor, refinement, name=PurePosixPath(name).name, pixels=image.pixels, out=out / "refined"
    )
    formats = [name for name in settings.formats if name in CORRECTED_FORMATS]
    refused = write_corrected(
        predictor, refinement, image=target.image, name=name, who=settings.who, formats=formats, out=out
    )
    notes = tuple(f"The {kind} is not written: {why}" for kind, why in refused.items())
    progress.found(1, (*inputs.notes, *notes))
    progress.refined(refinement)


def _pack(out: Path, packed: Path, names: Mapping[Path, str], watch: _Watch) -> int:
    """Write the outputs as a zip file, without the places of this server in them."""
    with (
        disk_errors(packed),
        open(packed, "xb", opener=private_opener) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name in (RESULTS_FILE, VOLUMES_FILE):
            if (out / name).is_file():
                archive.writestr(name, _lines(out / name, names), zipfile.ZIP_DEFLATED)
        for output in sorted(out.rglob("*")):
            inside = output.relative_to(out)
            hidden = any(part.startswith(".") for part in inside.parts)
            if output.is_file() and len(inside.parts) > 1 and not hidden:
                watch.look()
                archive.write(output, inside.as_posix(), zipfile.ZIP_DEFLATED)
    return packed.stat().st_size


def _lines(file: Path, images: Mapping[Path, str]) -> str:
    """Return the lines of a batch with the names with which its images came, and no place of this server."""
    names = {str(path): name for path, name in images.items()}
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        record = parse_json(line)
        path = record["image"]
        record["image"] = name = names.get(path, path)  # a volume has its name already
        if "error" in record:
            record["error"] = without_commands(record["error"].replace(path, name))
        else:
            record["not_written"] = {
                kind: without_commands(why.replace(path, name)) for kind, why in record["not_written"].items()
            }
        lines.append(printable_json(record) + "\n")
    text = "".join(lines)
    # Checks of outputs name the file that they read back, and equal files name each other.
    for place in (file.parent, file.parent.parent):
        text = text.replace(printable_json(f"{place}{os.sep}")[1:-1], "")
    return text


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
