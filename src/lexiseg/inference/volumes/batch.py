"""Predicting many volumes to files: label volumes, DICOM objects, pictures, and `volumes.jsonl`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.volumes.volume import Volume
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, remove_leftovers
from lexiseg.inference.batches.batch_job import BatchJob, write_job
from lexiseg.inference.formats.earlier_outputs import earlier_outputs
from lexiseg.inference.formats.file_names import PARTIAL_VOLUMES_FILE, VOLUMES_FILE
from lexiseg.inference.formats.registry import check_formats, needs_torch, volume_formats, volume_names
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.inference.predictor import Predictor, predictor_of
from lexiseg.inference.records.not_written import NotWritten
from lexiseg.inference.records.predictions_file import FailureRecord
from lexiseg.inference.volumes.nifti_writer import NiftiVolumeWriter
from lexiseg.inference.volumes.prediction import VolumePrediction, of_volumes, predict_volume
from lexiseg.inference.volumes.volume_inputs import all_volumes
from lexiseg.inference.volumes.volume_job import VOLUME_JOB_FILE, FinishedVolumes, VolumeJob
from lexiseg.inference.volumes.volume_lines import VolumeLines
from lexiseg.inference.volumes.volume_summary import VolumeCounts, VolumeSummary
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter
from lexiseg.inference.volumes.volumes_file import VolumeRecord
from lexiseg.inference.volumes.writers import images_only, volume_writers
from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.runs.run import Run

__all__ = ["VolumeSummary", "end_volume_job", "predict_volumes_to_files"]


def predict_volumes_to_files(
    predictor: Predictor | Run | str | Path,
    inputs: Sequence[str | Path | VolumeTarget],
    out: str | Path,
    *,
    formats: Sequence[str] = (NiftiVolumeWriter.name,),
    axis: AxisName = "auto",
    smooth_slices: bool = False,
    keep_job: bool = False,
    on_result: Callable[[str, VolumePrediction | LexisegError], None] | None = None,
    on_slice: Callable[[], None] | None = None,
    on_resumed: Callable[[str], None] | None = None,
) -> VolumeSummary:
    """Segment volumes and write the predictions, one volume at a time.

    `volumes.jsonl`, one line per volume, is always written. One unreadable volume gets a line with its error
    and does not stop the rest. Until the end the lines are in `volumes.jsonl.partial`. After an interruption,
    the same batch goes on: volumes whose outputs are there, and that were not changed since the batch began,
    are not predicted again. Files that Lexiseg did not write, or that a person changed, are neither replaced
    nor removed.

    Args:
        predictor: A loaded run, or a run folder or the name of a run, which is loaded with the default
            options. Its options hold the window and the batch size; the size of a pixel in them has no
            effect.
        inputs: Volume files, folders and quoted glob patterns; a folder holds any number of volume files and
            DICOM series, also in its subfolders. Images in it are left out; `predict_to_files` predicts them.
            Masks of a data set in it are left out too, and the log names them.
            Targets of `find_volumes` are taken too, also together with paths.
        out: Output folder, created if needed.
        formats: Output formats by their names: "nifti" (also named "mask"), "overlay" and "card"; for DICOM
            series also "seg", "labelmap", "sr", "sc" and "gsps". Others are those of single images: they
            are noted as not written, but for "records", as `volumes.jsonl` is always written.
        axis: The slices: "auto", "axial", "coronal", "sagittal", or a voxel axis "i", "j" or "k"
            (`lexiseg.clinic.volume_geometry.chosen_axis`).
        smooth_slices: Whether to average each probability with those of the neighbouring slices.
        keep_job: Whether the same batch also goes on after its end, until `end_volume_job` is called: for a
            command with other work after the volumes, which may be interrupted.
        on_result: Called after each volume that is predicted, with what results call it, for progress.
        on_slice: Called after each slice, for progress.
        on_resumed: Called for each volume that an interrupted batch had finished.

    Returns:
        Counts, and the failures with their reasons.

    Raises:
        DataError: A path names no volume, two volumes would write the same files, or `out` holds files of
            another origin, or changed ones, which this batch would replace.
        UsageError: A path is a URL, a format is unknown or needs another engine, another process writes to
            `out`, there is no such axis, or a package is missing.
        DiskError: There is no space or no permission; nothing half-written is left.

    Examples:
        >>> import lexiseg
        >>> lexiseg.predict_volumes_to_files("runs/ct", ["scans", "a.nii.gz"], "out")  # doctest: +SKIP
        VolumeSummary(12 volumes, 960 slices, 2 flagged, 0 failed, out/volumes.jsonl)
    """
    check_formats(formats)
    out, predictor = Path(out), of_volumes(predictor_of(predictor, needs_torch=needs_torch(formats)))
    targets = all_volumes(inputs, out, predictor.options.view)
    names, chosen = volume_names(formats), volume_writers(formats)
    for writer in chosen:
        writer.check(predictor)
    batch = _Batch(
        predictor=predictor,
        job=VolumeJob(slices=BatchJob.of(predictor, names), axis=axis, smooth=smooth_slices),
        writers=chosen,
        images_only=tuple(name for name in names if name not in {known.name for known in volume_formats()}),
        on_slice=on_slice,
    )
    counts = VolumeCounts()
    with owned_folder(out, earlier=earlier_outputs) as folder:
        _refuse_others(folder, targets, batch.writers)
        with _lines(folder, batch.job, targets, keep_job=keep_job) as lines:
            finished = _finished(folder, targets, batch.writers, lines)
            for target in targets:
                earlier = lines.finished(target.name)
                if earlier is not None and finished.holds(target, earlier):
                    lines.keep(target.name)
                    counts.add(earlier, resumed=True)
                    if on_resumed is not None:
                        on_resumed(target.label)
                    continue
                result, record = batch.written(target, folder)
                lines.write(record)
                if isinstance(record, VolumeRecord):
                    counts.add(record, resumed=False)
                else:
                    counts.failed.append((target.label, record.error))
                if on_result is not None:
                    on_result(target.label, result)
    return counts.summary(out / VOLUMES_FILE)


def end_volume_job(out: Path) -> None:
    """End a batch that was told to `keep_job`: the next one predicts all volumes.

    Args:
        out: Its output folder.

    Raises:
        UsageError: Another process writes to `out`.
        DiskError: There is no permission.
    """
    with owned_folder(out, earlier=earlier_outputs) as folder:
        folder.remove(out / VOLUME_JOB_FILE)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What is the same for all volumes of a batch.

    Attributes:
        predictor: The predictor.
        job: How volumes are predicted.
        writers: The formats of volumes that are written.
        images_only: Names of the formats that volumes do not have.
        on_slice: Called after each slice.
    """

    predictor: Predictor
    job: VolumeJob
    writers: tuple[VolumeWriter, ...]
    images_only: tuple[str, ...]
    on_slice: Callable[[], None] | None

    def written(
        self, target: VolumeTarget, folder: OutputFolder
    ) -> tuple[VolumePrediction | LexisegError, VolumeRecord | FailureRecord]:
        """Predict a volume and write its outputs; return its prediction or error, and its line."""
        for known in volume_formats():
            folder.remove(folder.path / str(known.folder) / f"{target.name}{known.suffix}")
        try:
            volume = target.open(self.predictor.options.view)
            prediction = predict_volume(
                self.predictor,
                volume,
                axis=self.job.axis,
                smooth_slices=self.job.smooth,
                on_slice=self.on_slice,
            )
        except DataError as error:
            message = target.named(str(error))
            return error, FailureRecord(image=target.label, error=message, code=error.code)
        not_written = _write(prediction, volume, target, self.predictor, folder, self.writers)
        not_written |= dict.fromkeys(self.images_only, NotWritten(text=images_only()))
        return prediction, _record(prediction, volume, target, not_written, self.writers)


def _refuse_others(
    folder: OutputFolder, targets: Sequence[VolumeTarget], writers: Sequence[VolumeWriter]
) -> None:
    """Refuse a batch that would replace what Lexiseg did not write; remove what a kill left.

    Raises:
        DataError: There are such files.
    """
    out = folder.path
    for known in volume_formats():
        remove_leftovers(out / str(known.folder), recursive=True)
    files = [writer.file(target.name, out) for target in targets for writer in writers]
    folder.refuse_others([out / VOLUMES_FILE, out / VOLUME_JOB_FILE, *files])


def _finished(
    folder: OutputFolder, targets: Sequence[VolumeTarget], writers: Sequence[VolumeWriter], lines: VolumeLines
) -> FinishedVolumes:
    """Return what tells the volumes that an interrupted batch finished."""
    labels = Counter(target.label for target in targets)
    return FinishedVolumes(
        out=folder.path,
        writers=tuple(writers),
        begun_ns=(folder.path / VOLUME_JOB_FILE).stat().st_mtime_ns,
        written_ns=lines.written_ns,
        shared=frozenset(label for label, count in labels.items() if count > 1),
    )


def _write(
    prediction: VolumePrediction,
    volume: Volume,
    target: VolumeTarget,
    predictor: Predictor,
    folder: OutputFolder,
    writers: Sequence[VolumeWriter],
) -> dict[str, NotWritten]:
    """Write the outputs of one volume; return why an output was refused, by format."""
    predicted = PredictedVolume(
        name=target.name,
        prediction=prediction,
        volume=volume,
        predictor=predictor,
        formats=tuple(writer.name for writer in writers),
    )
    for writer in writers:
        try:
            with folder.writing(writer.file(target.name, folder.path)) as beside:
                writer.save(predicted, beside)
        except DataError as error:
            predicted.refused[writer.name] = NotWritten.of(error).said(target.named)
    return predicted.refused


def _record(
    prediction: VolumePrediction,
    volume: Volume,
    target: VolumeTarget,
    not_written: Mapping[str, NotWritten],
    writers: Sequence[VolumeWriter],
) -> VolumeRecord:
    has_mask = NiftiVolumeWriter.name in [writer.name for writer in writers]
    has_mask = has_mask and NiftiVolumeWriter.name not in not_written
    return VolumeRecord.of(
        prediction,
        volume,
        image=target.label,
        name=target.name.as_posix(),
        mask=NiftiVolumeWriter().file(target.name, Path()).as_posix() if has_mask else None,
        files=tuple(target.named(str(path)) for path in volume.slice_files(prediction.axis)),
        not_written=not_written,
    )


@contextmanager
def _lines(
    folder: OutputFolder, job: VolumeJob, targets: Sequence[VolumeTarget], *, keep_job: bool
) -> Iterator[VolumeLines]:
    """Yield the lines of a batch that begins, or that goes on; they get their name once it is finished."""
    lines = VolumeLines(folder, resumed=_begin(folder, job, targets))
    finished = False
    try:
        yield lines
        finished = True
    finally:
        lines.close(finished=finished)
    if not keep_job:
        folder.remove(folder.path / VOLUME_JOB_FILE)


def _begin(folder: OutputFolder, job: VolumeJob, targets: Sequence[VolumeTarget]) -> bool:
    """Begin a batch, and return whether it goes on with the lines of one that was interrupted.

    Raises:
        DiskError: There is no space or no permission.
    """
    partial, results = folder.path / PARTIAL_VOLUMES_FILE, folder.path / VOLUMES_FILE
    with disk_errors(partial):
        if VolumeJob.read(folder.path) == job:
            if partial.is_file():
                folder.remove(results)
                return True
            if folder.owns(results):  # the work after the volumes was interrupted
                folder.rename(results, partial)
                return True
        # The lines go first, so that they are never those of another job.
        partial.unlink(missing_ok=True)
    folder.remove(results)
    copies = (
        file
        for target in targets
        if target.copied_from is not None
        for file in ([part.path for part in target.slices] or [target.path])
    )
    write_job(folder, folder.path / VOLUME_JOB_FILE, job, copies)
    return False
