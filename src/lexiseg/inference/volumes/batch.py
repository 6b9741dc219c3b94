"""Predicting many volumes to files: label volumes, DICOM objects, pictures, and `volumes.jsonl`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lexiseg.clinic.volume_geometry import AxisName
from lexiseg.data.volumes.volume import Volume
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import disk_errors, private_opener
from lexiseg.inference.earlier_outputs import earlier_outputs
from lexiseg.inference.predictions_file import FailureRecord
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.nifti_writer import NiftiVolumeWriter
from lexiseg.inference.volumes.prediction import VolumePrediction, predict_volume
from lexiseg.inference.volumes.targets import VolumeTarget
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter
from lexiseg.inference.volumes.volumes_file import PARTIAL_VOLUMES_FILE, VOLUMES_FILE, VolumeRecord
from lexiseg.inference.volumes.writers import VOLUME_WRITERS
from lexiseg.json_records import FileRecord
from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.printable import printable_json

#: What the format `mask`, the default, is for volumes.
_FORMS = {"mask": NiftiVolumeWriter.name}
_IMAGES_ONLY = (
    "This format is one of single images. Volumes have nifti, overlay and card, and DICOM series also seg, "
    "labelmap, sr, sc and gsps; with single slices, the slices of a DICOM series are predicted as images."
)


@dataclass(frozen=True, kw_only=True)
class VolumeSummary:
    """Counts and failures of a batch of volumes.

    Attributes:
        done: Number of volumes segmented.
        slices: Number of their slices.
        flagged: Number of volumes that a person should look at.
        failed: Volumes that could not be predicted, with the reason.
        refused: Outputs that were not written although their volume was segmented: volume, format and reason.
        assumptions: What was assumed, a sentence per kind, with the number of volumes.
        planes: Which slices were predicted, such as "axial (k)", with the number of volumes.
        results: The file with one line per volume.
    """

    done: int
    slices: int
    flagged: int
    failed: tuple[tuple[Path, str], ...]
    refused: tuple[tuple[Path, str, str], ...]
    assumptions: tuple[tuple[str, int], ...]
    planes: tuple[tuple[str, int], ...]
    results: Path


def predict_volumes_to_files(
    predictor: Predictor,
    targets: Sequence[VolumeTarget],
    out: str | Path,
    *,
    formats: Sequence[str] = (NiftiVolumeWriter.name,),
    axis: AxisName = "auto",
    smooth: bool = False,
    on_result: Callable[[Path, VolumePrediction | LexisegError], None] | None = None,
    on_slice: Callable[[], None] | None = None,
) -> VolumeSummary:
    """Segment volumes and write the predictions, one volume at a time.

    `volumes.jsonl`, one line per volume, is always written. One unreadable volume gets a line with its error
    and does not stop the rest. Files that Lexiseg did not write, or that a person changed, are neither
    replaced nor removed.

    Args:
        predictor: A loaded run; its options hold the window and the batch size.
        targets: From `find_volumes`.
        out: Output folder, created if needed.
        formats: Output formats: "nifti" (also named "mask"), "overlay" and "card"; for DICOM series also
            "seg", "labelmap", "sr", "sc" and "gsps". Others are those of single images; they are noted as not
            written.
        axis: The slices (`lexiseg.clinic.volume_geometry.chosen_axis`).
        smooth: Whether to average each probability with those of the neighbouring slices.
        on_result: Called after each volume, for progress.
        on_slice: Called after each slice, for progress.

    Returns:
        Counts, and the failures with their reasons.

    Raises:
        DataError: `out` holds files of another origin, or changed ones, which this batch would replace.
        UsageError: Another process writes to `out`, there is no such axis, a package is missing, or a format
            needs another engine.
        DiskError: There is no space or no permission; nothing half-written is left.
    """
    out = Path(out)
    names, writers = _names(formats), volume_writers(formats)
    for writer in writers:
        writer.check(predictor)
    imageonly = [name for name in names if name not in {kind.name for kind in VOLUME_WRITERS}]
    failed: list[tuple[Path, str]] = []
    refused: list[tuple[Path, str, str]] = []
    assumed: Counter[str] = Counter()
    planes: Counter[str] = Counter()
    done = slices = flagged = 0
    with owned_folder(out, earlier=earlier_outputs) as folder:
        files = [writer.file(target.name, out) for target in targets for writer in writers]
        folder.refuse_others([out / VOLUMES_FILE, *files])
        with _lines(folder) as lines:
            for target in targets:
                for kind in VOLUME_WRITERS:
                    folder.remove(kind().file(target.name, out))
                try:
                    volume = target.open(predictor.options.view)
                    prediction = predict_volume(
                        predictor, volume, axis=axis, smooth=smooth, on_slice=on_slice
                    )
                except DataError as error:
                    message = target.named(str(error))
                    failed.append((target.path, message))
                    lines(FailureRecord(image=target.label, error=message, code=error.code))
                    if on_result is not None:
                        on_result(target.path, error)
                    continue
                not_written = _write(prediction, volume, target, predictor, folder, writers)
                not_written |= dict.fromkeys(imageonly, _IMAGES_ONLY)
                lines(_record(prediction, volume, target, not_written, writers))
                done, slices = done + 1, slices + len(prediction.slices)
                flagged += prediction.flagged
                assumed.update(prediction.assumptions)
                planes[f"{prediction.plane} ({'ijk'[prediction.axis]})"] += 1
                refused += [(target.path, name, reason) for name, reason in not_written.items()]
                if on_result is not None:
                    on_result(target.path, prediction)
    return VolumeSummary(
        done=done,
        slices=slices,
        flagged=flagged,
        failed=tuple(failed),
        refused=tuple(refused),
        assumptions=tuple(assumed.items()),
        planes=tuple(planes.items()),
        results=out / VOLUMES_FILE,
    )


def volume_writers(formats: Sequence[str]) -> list[VolumeWriter]:
    """Return the writers of the formats that volumes have, in the order in which they write.

    Args:
        formats: As for `predict_volumes_to_files`.
    """
    names = _names(formats)
    return [kind() for kind in VOLUME_WRITERS if kind.name in names]


def _names(formats: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_FORMS.get(name, name) for name in formats))


def _write(
    prediction: VolumePrediction,
    volume: Volume,
    target: VolumeTarget,
    predictor: Predictor,
    folder: OutputFolder,
    writers: Sequence[VolumeWriter],
) -> dict[str, str]:
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
            predicted.refused[writer.name] = target.named(f"{error} [{error.code}]")
    return predicted.refused


def _record(
    prediction: VolumePrediction,
    volume: Volume,
    target: VolumeTarget,
    not_written: dict[str, str],
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
def _lines(folder: OutputFolder) -> Iterator[Callable[[FileRecord], None]]:
    """Yield what writes one line of `volumes.jsonl`; the file gets its name once the batch is finished."""
    partial = folder.path / PARTIAL_VOLUMES_FILE
    with disk_errors(partial):
        partial.unlink(missing_ok=True)
        file: TextIO = open(  # noqa: SIM115
            partial, "w", buffering=1, encoding="utf-8", errors="backslashreplace", opener=private_opener
        )
    folder.note(partial)
    folder.remove(folder.path / VOLUMES_FILE)

    def write(record: FileRecord) -> None:
        file.write(printable_json(record.model_dump(mode="json")) + "\n")

    try:
        yield write
    finally:
        with disk_errors(partial):
            file.close()
    folder.rename(partial, folder.path / VOLUMES_FILE)
