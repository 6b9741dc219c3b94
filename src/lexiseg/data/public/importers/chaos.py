"""Importers for CHAOS: DICOM series with one PNG of labels per slice."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexiseg.data.layouts.pairing import image_files, plain_stem
from lexiseg.data.public.importers.masks import lesion, nearest_value
from lexiseg.data.public.importers.source import (
    Pixels,
    SourceCase,
    SourceDataset,
    below,
    find_folders,
    natural,
    not_found,
    subfolders,
    visible_files,
)
from lexiseg.data.public.importers.volumes import in_window, need, to_pixels
from lexiseg.data.public.registry import Entry
from lexiseg.errors import DataError
from lexiseg.open_files import too_many_open
from lexiseg.printable import counted

#: Exceptions of pydicom for damaged files; they have no common base class.
_BROKEN = (
    OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, EOFError, MemoryError,
    struct.error,
)  # fmt: skip

_DICOM, _GROUND = "DICOM_anon", "Ground"

#: Name of each MR series, its folder of slices, and its folder of labels, below the patient's.
_MR_SERIES = (
    ("t1in", f"T1DUAL/{_DICOM}/InPhase", f"T1DUAL/{_GROUND}"),
    ("t1out", f"T1DUAL/{_DICOM}/OutPhase", f"T1DUAL/{_GROUND}"),
    ("t2", f"T2SPIR/{_DICOM}", f"T2SPIR/{_GROUND}"),
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A DICOM series with its labels.

    Attributes:
        name: Unique name.
        patient: The patient.
        slices: (DICOM file, PNG of labels) in order.
    """

    name: str
    patient: str
    slices: tuple[tuple[Path, Path], ...]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One DICOM slice.

    Attributes:
        values: (H, W) stored numbers, or Hounsfield units where the file gives slope and intercept.
        spacing_mm: Pixel spacing (row, column) in millimetres; None where the file states none.
    """

    values: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float] | None


def read_dicom(path: Path, *, rescaled: bool) -> Slice:
    """Read one slice.

    Args:
        path: The file.
        rescaled: Whether slope and intercept are applied (CT: Hounsfield units).

    Raises:
        DataError: It cannot be read, or is not a single grey picture.
        UsageError: pydicom is not installed.
    """
    pydicom = need("pydicom")
    try:
        file: Any = pydicom.dcmread(path)
        values = np.asarray(file.pixel_array, dtype=np.float64)
        if rescaled:
            values = values * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0))
        steps = [float(step) for step in file.get("PixelSpacing") or ()]
    except (*_BROKEN, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException) as error:
        raise too_many_open(path, error) or DataError(
            f"{path} cannot be read as DICOM: {error}", code="LEX-DATA-067"
        ) from error
    if values.ndim != 2:
        raise DataError(
            f"{path} has the shape {values.shape}; expected a single grey picture.", code="LEX-DATA-068"
        )
    is_known = len(steps) == 2 and all(0 < step < float("inf") for step in steps)
    return Slice(values=values, spacing_mm=(steps[0], steps[1]) if is_known else None)


def read_chaos_mr(folder: Path, entry: Entry) -> SourceDataset:
    """Find the MR part of CHAOS: T1 in and out of phase, which share labels, and T2."""
    need("pydicom")
    patients = _children_of(
        find_folders(folder, lambda root: any(below(p, _MR_SERIES[2][2]) for p in subfolders(root)))
    )
    series = [
        Series(name=f"mr{patient.name}_{name}", patient=f"mr{patient.name}", slices=_slices(images, ground))
        for patient in patients
        for name, dicom, labels in _MR_SERIES
        if (images := below(patient, dicom)) is not None and (ground := below(patient, labels)) is not None
    ]
    return _source(folder, series, entry)


def read_chaos_ct(folder: Path, entry: Entry) -> SourceDataset:
    """Find the CT part of CHAOS; a note says that units outside the entry's window are clipped."""
    need("pydicom")
    patients = _children_of(
        find_folders(folder, lambda root: any(below(p, _GROUND) and below(p, _DICOM) for p in _ct(root)))
    )
    series = [
        Series(name=f"ct{patient.name}", patient=f"ct{patient.name}", slices=_slices(images, ground))
        for patient in patients
        if (images := below(patient, _DICOM)) is not None and (ground := below(patient, _GROUND)) is not None
    ]
    return _source(folder, series, entry)


def _ct(root: Path) -> list[Path]:
    """Return the folders that may belong to CT patients: MR sequences have folders of the same names."""
    return [path for path in subfolders(root) if path.name.upper() not in ("T1DUAL", "T2SPIR")]


def _children_of(roots: list[Path]) -> list[Path]:
    return [inner for root in roots for inner in subfolders(root)]


def _slices(images: Path, ground: Path) -> tuple[tuple[Path, Path], ...]:
    """Match slices with labels: by name if all names agree, otherwise in the order of their names."""
    files = visible_files(images, ".dcm")
    labels = sorted(image_files(ground), key=natural)
    if len(files) != len(labels):
        raise DataError(
            f"{images} holds {counted(len(files), 'slice')}, but {ground} {counted(len(labels), 'picture')} "
            "of labels.",
            code="LEX-DATA-069",
        )
    by_name = {plain_stem(path.name): path for path in labels}
    if all(path.stem in by_name for path in files):
        return tuple((path, by_name[path.stem]) for path in files)
    return tuple(zip(files, labels, strict=True))


def _source(folder: Path, series: list[Series], entry: Entry) -> SourceDataset:
    if not series:
        raise not_found(folder, entry)
    notes = []
    if entry.window_hu is not None:
        low, high = entry.window_hu
        notes.append(
            f"CT numbers from {low} to {high} HU became grey values from 0 to 255; values outside are "
            f"clipped."
        )
    total = sum(len(item.slices) for item in series)
    return SourceDataset(cases=_cases(folder, series, entry, notes), total=total, notes=notes)


def _cases(folder: Path, series: list[Series], entry: Entry, notes: list[str]) -> Iterator[SourceCase]:
    for item in series:
        slices = _pixels(item, entry, notes)
        for number, ((path, ground), (pixels, spacing)) in enumerate(zip(item.slices, slices, strict=True)):
            yield SourceCase(
                name=f"{item.name}_{number:03d}",
                image=pixels,
                labels=lesion(ground) if entry.num_classes == 2 else nearest_value(ground, entry),
                original=path.relative_to(folder).as_posix(),
                patient=item.patient,
                spacing_mm=spacing,
            )


def _pixels(
    item: Series, entry: Entry, notes: list[str]
) -> Iterator[tuple[Pixels, tuple[float, float] | None]]:
    """Yield the pixels of each slice with its spacing; MR is scaled by series, CT slice by slice."""
    if entry.window_hu is not None:
        for path, _ in item.slices:
            found = read_dicom(path, rescaled=True)
            yield in_window(found.values, entry.window_hu), found.spacing_mm
        return
    slices = [read_dicom(path, rescaled=False) for path, _ in item.slices]
    if len({found.values.shape for found in slices}) > 1:
        raise DataError(f"The slices in {item.slices[0][0].parent} differ in size.", code="LEX-DATA-070")
    pixels, done = to_pixels(np.stack([found.values for found in slices]))
    if done is not None:
        notes.append(f"{item.name}: {done}.")
    yield from zip(pixels, (found.spacing_mm for found in slices), strict=True)
