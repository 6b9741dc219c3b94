"""Importers for CAMUS and ACDC: NIfTI frames with label volumes, cut into slices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.volume_geometry import NIFTI_MILLIMETRES
from lexiseg.data.public.importers.masks import labels_of
from lexiseg.data.public.importers.source import (
    SourceCase,
    SourceDataset,
    find_folders,
    natural,
    not_found,
    note_left_out,
    read_text,
    subfolders,
    visible_files,
)
from lexiseg.data.public.importers.volumes import need, to_pixels
from lexiseg.data.public.registry import Entry
from lexiseg.data.sample import Split
from lexiseg.data.volumes.voxel_file import StoredVoxels, read_stored
from lexiseg.errors import DataError

_SUFFIXES = (".nii", ".nii.gz")
_MASK = re.compile(r"_gt(\.nii(?:\.gz)?)$")
_PATIENT = re.compile(r"^patient\d+$", re.IGNORECASE)
_CAMUS_FRAME = re.compile(r"_(?:2CH|4CH)_(?:ED|ES)_gt\.nii(?:\.gz)?$", re.IGNORECASE)
_ACDC_FRAME = re.compile(r"_frame(\d+)_gt\.nii(?:\.gz)?$", re.IGNORECASE)
_CAMUS_LISTS: dict[str, Split] = {
    "subgroup_training.txt": "train",
    "subgroup_validation.txt": "val",
    "subgroup_testing.txt": "test",
}
_ACDC_FOLDERS: dict[str, Split] = {"training": "train", "testing": "test"}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A label file with its facts.

    Attributes:
        mask: The label file; its image has the same name without `_gt`.
        patient: The patient.
        split: The published split, if there is one.
        phase: "ED" or "ES", where known.
    """

    mask: Path
    patient: str
    split: Split | None = None
    phase: str | None = None

    @property
    def image(self) -> Path:
        """The image file."""
        return self.mask.with_name(_MASK.sub(r"\1", self.mask.name))

    @property
    def name(self) -> str:
        """The image's name without its endings."""
        return self.image.name.split(".nii")[0]


def read_slices(path: Path) -> tuple[npt.NDArray[np.generic], tuple[float, float] | None]:
    """Read a NIfTI file of two dimensions, or of three.

    Returns:
        `(slices, rows, columns)` numbers in stored order, and the pixel spacing (row, column) in millimetres;
        None where the file states none.

    Raises:
        DataError: It cannot be read (`lexiseg.data.volumes.nifti_file`), or holds NaN or infinities.
    """
    stored = read_stored(path)
    values = stored.scaled(stored.values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            f"{path} holds values that are not finite numbers ({values.dtype}).", code="LEX-DATA-076"
        )
    # In NIfTI the first index varies fastest: it runs along the rows of a picture.
    return values.T, _pixel_spacing(stored)


def _pixel_spacing(stored: StoredVoxels) -> tuple[float, float] | None:
    """Return what the header states, also in files without an affine: published data sets are in mm."""
    unit = stored.header.get_xyzt_units()[0]
    column, row = (float(step) * NIFTI_MILLIMETRES[unit] for step in stored.header.get_zooms()[:2])
    return (row, column) if all(0 < step < float("inf") for step in (row, column)) else None


def read_camus(folder: Path, entry: Entry) -> SourceDataset:
    """Find CAMUS: end-diastole and end-systole of two views, with the split of its lists if they exist."""
    patients = _patients(folder, entry)
    splits = _camus_splits(folder)
    notes = [] if splits else ["No database_split/subgroup_*.txt was found, so there is no published split."]
    frames = [
        Frame(mask=path, patient=inner.name, split=splits.get(inner.name))
        for inner in patients
        if not splits or inner.name in splits
        for path in visible_files(inner, _SUFFIXES)
        if _CAMUS_FRAME.search(path.name)
    ]
    if splits:
        note_left_out(notes, (p.name for p in patients if p.name not in splits), "patients in no list")
    return _source(folder, frames, entry, notes)


def _camus_splits(folder: Path) -> dict[str, Split]:
    """Return the split of each patient, from the published lists."""
    return {
        name: split
        for title, split in _CAMUS_LISTS.items()
        for path in sorted(folder.rglob(title))
        for name in read_text(path).split()
    }


def read_acdc(folder: Path, entry: Entry) -> SourceDataset:
    """Find ACDC: the frames with labels, `training` as train and `testing` as test."""
    frames = []
    for inner in _patients(folder, entry):
        phases = _phases(inner / "Info.cfg")
        for path in visible_files(inner, _SUFFIXES):
            if match := _ACDC_FRAME.search(path.name):
                split = _ACDC_FOLDERS.get(inner.parent.name.lower())
                phase = phases.get(int(match[1]))
                frames.append(Frame(mask=path, patient=inner.name, split=split, phase=phase))
    notes = []
    if frames and any(frame.split is None for frame in frames):
        notes.append("The patients are not in training/ and testing/, so there is no published split.")
        frames = [Frame(mask=f.mask, patient=f.patient, phase=f.phase) for f in frames]
    return _source(folder, frames, entry, notes)


def _phases(path: Path) -> dict[int, str]:
    """Return which frame is end-diastole and which end-systole."""
    if not path.is_file():
        return {}
    found = re.findall(r"^(ED|ES):\s*(\d+)\s*$", read_text(path), re.MULTILINE)
    return {int(number): phase for phase, number in found}


def _patients(folder: Path, entry: Entry) -> list[Path]:
    """Return the folders of all patients."""
    roots = find_folders(folder, lambda root: any(_PATIENT.match(inner.name) for inner in subfolders(root)))
    if not roots:
        raise not_found(folder, entry)
    return [inner for root in roots for inner in subfolders(root) if _PATIENT.match(inner.name)]


def _source(folder: Path, frames: list[Frame], entry: Entry, notes: list[str]) -> SourceDataset:
    need("nibabel")
    lost = [frame for frame in frames if not frame.image.is_file()]
    note_left_out(notes, (frame.mask.name for frame in lost), "there are labels without an image")
    frames = [frame for frame in frames if frame not in lost]
    if not frames:
        raise not_found(folder, entry)
    return SourceDataset(
        cases=_cases(folder, sorted(frames, key=lambda f: natural(f.image)), entry, notes), notes=notes
    )


def _cases(folder: Path, frames: list[Frame], entry: Entry, notes: list[str]) -> Iterator[SourceCase]:
    """Yield the slices of each frame."""
    for frame in frames:
        (values, spacing_mm), (label_values, _) = read_slices(frame.image), read_slices(frame.mask)
        if values.shape != label_values.shape:
            raise DataError(
                f"{frame.image} has the shape {values.shape} (slices, rows, columns), but "
                f"{frame.mask.name} has {label_values.shape}.",
                code="LEX-DATA-077",
            )
        pixels, done = to_pixels(values)
        if done is not None:
            notes.append(f"{frame.image.name}: {done}.")
        labels = labels_of(label_values, entry, frame.mask)
        where = frame.image.relative_to(folder).as_posix() + (f" {frame.phase}" if frame.phase else "")
        for number in range(len(pixels)):
            is_stack = len(pixels) > 1
            yield SourceCase(
                name=f"{frame.name}_z{number:02d}" if is_stack else frame.name,
                image=pixels[number],
                labels=labels[number],
                original=f"{where} slice {number}" if is_stack else where,
                patient=frame.patient,
                spacing_mm=spacing_mm,
                split=frame.split,
            )
