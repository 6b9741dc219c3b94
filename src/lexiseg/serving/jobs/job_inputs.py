"""What a job predicts: images and volumes, also those in zip files, which are unpacked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lexiseg.data.portable_names import stored_name
from lexiseg.errors import DataError, LexisegError
from lexiseg.files import fitting_name
from lexiseg.inference.inputs.duplicate_targets import replaced_note
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_search import FoundImages, find_images
from lexiseg.inference.inputs.temporary_images import named
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.inference.volumes.targets import FoundVolumes, find_volumes
from lexiseg.serving.corrected_files import OUTPUT_ROOM, served_name
from lexiseg.serving.declared_size import META_BYTES, unread_coding
from lexiseg.serving.jobs.archives import is_zip, unpack
from lexiseg.serving.jobs.job import Job
from lexiseg.serving.volumes.isolated_headers import IsolatedHeaders
from lexiseg.serving.volumes.isolated_volumes import IsolatedTarget
from lexiseg.serving.volumes.process_client import VolumeProcesses


@dataclass(frozen=True, kw_only=True)
class JobInputs:
    """What a job predicts.

    Attributes:
        images: The images, with names of their outputs.
        volumes: The volumes, likewise; no two of all names are the same.
        names: What results call the files of the images.
        notes: What is left out, one sentence each.
    """

    images: tuple[Target, ...]
    volumes: tuple[IsolatedTarget, ...]
    names: dict[Path, str]
    notes: tuple[str, ...]


def job_inputs(job: Job, processes: VolumeProcesses, on_open: Callable[[int], None]) -> JobInputs:
    """Unpack the zip files of a job, and find its images and volumes.

    Args:
        job: The job.
        processes: Read its volumes.
        on_open: Told the number of slices of each volume that is opened.

    Raises:
        DataError: A zip file is damaged, or holds neither images nor volumes.
        DiskError: There is no space.
    """
    images: list[Target] = []
    volumes: list[VolumeTarget] = []
    names: dict[Path, str] = {}
    notes: list[str] = []
    headers = IsolatedHeaders(processes)
    for file, name in job.uploads.items():
        found = (_of_zip if is_zip(name) else _of_file)(job, file, name, headers)
        images += found.images
        volumes += found.volumes
        names |= found.names
        notes += found.notes
    taken: set[str] = set()
    return JobInputs(
        images=tuple(replace(target, name=_free(target.name, taken)) for target in images),
        volumes=tuple(
            IsolatedTarget(
                path=target.path,
                name=_free(target.name, taken),
                slices=target.slices,
                source=target.source,
                processes=processes,
                on_open=on_open,
            )
            for target in volumes
        ),
        names=names,
        notes=tuple(notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    images: tuple[Target, ...] = ()
    volumes: tuple[VolumeTarget, ...] = ()
    names: Mapping[Path, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _of_file(job: Job, file: Path, name: str, headers: IsolatedHeaders) -> _Found:
    """Return the volume or the image of one file."""
    try:
        # Reading the header of a deflated file would inflate it, within no limit; as an image it is refused.
        volumes = () if _unread_coding(file) else _volumes(job, file, {}, headers).targets
    except LexisegError as error:
        raise named(error, file, name) from error
    if volumes:
        return _Found(volumes=tuple(replace(one, source=name) for one in volumes))
    target = Target(image=file, name=Path(served_name(name)))
    return _Found(images=(target,), names={file: name})


def _of_zip(job: Job, file: Path, name: str, headers: IsolatedHeaders) -> _Found:
    """Unpack a zip file and return its volumes and images; outputs keep its folders."""
    own = stored_name(name[: -len(".zip")].strip(".") or "archive")
    folder = file.parent / "unpacked" / fitting_name(own, room=OUTPUT_ROOM)
    labels = {folder: name}
    try:
        replaced = unpack(file, folder)
        file.unlink()
        _refuse_deflated(folder, name)
        found = _volumes(job, folder, labels, headers)
        images = find_images([folder], of_volumes=found.files, labels=labels, same_names=True)
    except LexisegError as error:
        raise named(named(error, folder, name), file, name) from error
    return _Found(
        images=tuple(replace(target, source=None, copied_from=None) for target in images.targets),
        volumes=found.targets,
        names={target.image: target.label for target in images.targets},
        notes=(*((replaced_note(name, replaced, "file"),) if replaced else ()), *_notes(images, name)),
    )


def _volumes(job: Job, place: Path, labels: Mapping[Path, str], headers: IsolatedHeaders) -> FoundVolumes:
    settings = job.settings
    with_dicom = not settings.single_slices and settings.view.frame is None
    return find_volumes(
        [place],
        with_dicom=with_dicom,
        labels=labels,
        read_headers=headers.read,
        same_names=True,
        beside_only=True,
    )


def _refuse_deflated(folder: Path, name: str) -> None:
    """Refuse DICOM files that reading of their headers would inflate, within no limit.

    Raises:
        DataError: There is one.
    """
    for path in folder.rglob("*"):
        why = _unread_coding(path) if path.is_file() else None
        if why is not None:
            raise DataError(
                f"{name} holds {path.relative_to(folder)}, a DICOM file that {why}, which the server does "
                "not read. Export it without compression.",
                code="LEX-DATA-1457",
            )


def _unread_coding(path: Path) -> str | None:
    with open(path, "rb") as file:
        return unread_coding(file.read(META_BYTES + 1))


def _notes(found: FoundImages, name: str) -> tuple[str, ...]:
    """Return what of a zip file is not read, one sentence each."""
    masks = sum(files.count for files in found.unread.masks.values())
    skipped = ", ".join(
        f"{files.count} {ending or 'without ending'} (such as {files.example.name})"
        for ending, files in sorted(found.unread.skipped.items())
    )
    reasons = {
        f"Files of {name} that are not read because of their ending": skipped,
        f"Pictures of {name} that are not read because a prediction wrote them": len(found.unread.earlier),
        f"Files of {name} that are not read because their folder holds the masks of a data set": masks,
    }
    return tuple(f"{said}: {what}." for said, what in reasons.items() if what)


def _free(name: Path, taken: set[str]) -> Path:
    """Return a name of outputs that no other one has, and note it."""
    own, number = name, 1
    while own.as_posix().lower() in taken:
        number += 1
        own = name.with_name(f"{name.name}-{number}")
    taken.add(own.as_posix().lower())
    return own
