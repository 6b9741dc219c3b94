"""DICOM series of CT, MR and other sections as volumes: their slices are grouped, sorted and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import (
    BROKEN,
    first_value,
    is_quadruped,
    number_of_frames,
    numbers,
    state_syntax,
    without_undecodable,
)
from lexiseg.clinic.volume_geometry import LPS_RAS, VolumeGrid
from lexiseg.errors import DataError
from lexiseg.printable import counted

#: Modalities whose series are volumes.
SECTIONS = frozenset({"CT", "MR", "PT", "NM"})

#: Cosines that differ by less are the same orientation: 0.1 degrees.
_SAME_COSINE = 2e-3
#: Positions may differ from an even grid by this share of a step.
_UNEVEN = 0.1
#: Millimetres below which positions and pixel spacings are the same.
_SAME_MM = 1e-3

_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "FrameOfReferenceUID",
    "AnatomicalOrientationType",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
)


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """Where one slice lies.

    Attributes:
        path: Its file.
        frame: Number of its frame, from 0.
        series: Its series.
        series_number: Number of the series; None where it states none.
        instance: UID of the file.
        modality: Such as "CT".
        frame_of_reference: What its coordinates refer to; empty where the file states nothing.
        size: Rows and columns.
        spacing_mm: Distance of rows, distance of columns; empty where not stated.
        cosines: ImageOrientationPatient, six numbers; empty where not stated.
        position: ImagePositionPatient, three numbers; empty where not stated.
        is_quadruped: Whether it shows an animal on four feet, whose directions are not those of humans.
    """

    path: Path
    frame: int
    series: str
    series_number: int | None
    instance: str
    modality: str
    frame_of_reference: str
    size: tuple[int, int]
    spacing_mm: tuple[float, ...]
    cosines: tuple[float, ...]
    position: tuple[float, ...]
    is_quadruped: bool


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series of slices that form a volume.

    Attributes:
        slices: Sorted by their position along the normal of the slices; slice n has the voxel k = n.
        grid: The voxel grid; i runs along the rows of a slice, j along its columns.
    """

    slices: tuple[SliceHeader, ...]
    grid: VolumeGrid


def slice_headers(path: Path, *, most: int | None = None) -> tuple[SliceHeader, ...]:
    """Return the slices in a DICOM file of a modality of sections; empty for other and unreadable files.

    Pixels are not read. A file that cannot be read is reported where its pixels are.

    Args:
        path: The file.
        most: Most frames of the file; None for no limit.

    Raises:
        DataError: It has more frames.
    """
    try:
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
        if str(dataset.get("Modality", "")).upper() not in SECTIONS:
            return ()
        frames = number_of_frames(dataset)
        # A damaged number could be in the thousands of millions; each frame takes a byte at least.
        if frames > path.stat().st_size:
            return ()
        if most is not None and frames > most:
            raise DataError(
                f"{path} has {frames:,} frames; at most {most:,} are read. Split it into files of fewer "
                "frames.",
                code="LEX-DATA-1590",
            )
        return tuple(_header(dataset, path, frame) for frame in range(frames))
    except BROKEN:
        return ()


def file_without_pixels(path: Path) -> Dataset:
    """Return a file of a series without its pixels and without the elements that cannot be decoded.

    Raises:
        DataError: It cannot be read any more.
    """
    try:
        dataset = dcmread(path, stop_before_pixels=True)
        state_syntax(dataset)
        return without_undecodable(dataset)
    except BROKEN as error:
        raise DataError(
            f"{path} cannot be read any more: {error}. Nothing is written of its series.",
            code="LEX-DATA-1202",
        ) from error


def has_frames(slices: Sequence[SliceHeader]) -> bool:
    """Return whether the slices are frames of one file."""
    return len({header.path for header in slices}) == 1


def group_series(headers: Iterable[SliceHeader]) -> tuple[tuple[SliceHeader, ...], ...]:
    """Return the slices by series; each file of several frames is a series of its own.

    Series of one slice, and series of which no slice states its position, are no volumes and are left out.
    """
    groups: dict[tuple[str, Path | None], list[SliceHeader]] = {}
    by_file = list(headers)
    frames = Counter(header.path for header in by_file)
    for header in by_file:
        groups.setdefault((header.series, header.path if frames[header.path] > 1 else None), []).append(
            header
        )
    return tuple(
        tuple(found)
        for (series, _), found in groups.items()
        if len(found) > 1 and series and any(header.position for header in found)
    )


def series_volume(headers: Sequence[SliceHeader], name: Path) -> Series:
    """Sort the slices of a series and check that they form a volume.

    Args:
        headers: The slices, in any order, at least two.
        name: What messages call the series: its folder, or its file of several frames.

    Raises:
        DataError: Slices are missing, lie twice, or differ in size, spacing, orientation or coordinates.
    """
    _check_same(headers, name)
    across, down = np.array(headers[0].cosines[:3]), np.array(headers[0].cosines[3:])
    normal = np.cross(across, down)
    if not np.allclose([np.linalg.norm(across), np.linalg.norm(down), np.linalg.norm(normal)], 1, atol=1e-2):
        raise DataError(
            f"{name}: the directions of rows and columns (ImageOrientationPatient) are not at right angles. "
            f"Export the series again.{_ONE_BY_ONE}",
            code="LEX-DATA-1183",
        )
    ordered = sorted(headers, key=lambda header: float(np.dot(normal, header.position)))
    positions = np.array([header.position for header in ordered])
    _check_steps(ordered, positions @ normal, name)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    off = np.abs(positions - (positions[0] + np.arange(len(ordered))[:, None] * step)).max()
    if off > _UNEVEN * np.linalg.norm(step) + _SAME_MM:
        raise DataError(
            f"{name}: the slices do not lie on one even grid (one of them is {off:.2f} mm beside it), so "
            f"they are no volume.{_ONE_BY_ONE}",
            code="LEX-DATA-1187",
        )
    return Series(slices=tuple(ordered), grid=_grid(ordered, across, down, step))


_ONE_BY_ONE = " To predict each slice as an image of its own, choose single slices."


def _grid(
    ordered: Sequence[SliceHeader],
    across: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    step: npt.NDArray[np.float64],
) -> VolumeGrid:
    first = ordered[0]
    rows, columns = first.size
    affine = np.eye(4)
    affine[:3, 0] = across * first.spacing_mm[1]
    affine[:3, 1] = down * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    shows_animal = any(header.is_quadruped for header in ordered)
    return VolumeGrid(
        shape=(columns, rows, len(ordered)),
        affine=np.asarray(LPS_RAS @ affine, dtype=np.float64),
        # The axes of the animal are no left, front and head of a human.
        is_placed=not shows_animal,
        has_spacing=True,
        is_quadruped=shows_animal,
    )


def _check_same(headers: Sequence[SliceHeader], name: Path) -> None:
    """Refuse slices that do not belong to one grid."""
    placed = [len(h.cosines) == 6 and len(h.position) == 3 and len(h.spacing_mm) == 2 for h in headers]
    if not all(placed):
        raise DataError(
            f"{name}: {placed.count(False)} of {counted(len(headers), 'slice')} state no position, "
            f"orientation or pixel spacing, the first of them {headers[placed.index(False)].path.name}, so "
            f"they cannot be sorted. Export the series from the archive.{_ONE_BY_ONE}",
            code="LEX-DATA-1180",
        )
    seen: dict[tuple[str, int], SliceHeader] = {}
    for header in headers:
        first = seen.setdefault((header.instance, header.frame), header)
        if first is not header:
            raise DataError(
                f"{header.path} and {first.path} have the same SOP instance UID. Remove one of them, or "
                "export the series again.",
                code="LEX-DATA-1181",
            )
    for what, values in (
        ("size", [f"{h.size[1]} x {h.size[0]} pixels" for h in headers]),
        ("pixel spacing", [f"{h.spacing_mm[0]:.3f} x {h.spacing_mm[1]:.3f} mm" for h in headers]),
        ("frame of reference", [h.frame_of_reference or "(none)" for h in headers]),
    ):
        (usual, count), *others = Counter(values).most_common()
        if others:
            odd = next(index for index, value in enumerate(values) if value != usual)
            raise DataError(
                f"{name}: the slices of one series differ in {what}: {count} of {len(headers)} have {usual}, "
                f"{headers[odd].path.name} has {values[odd]}. They are no volume.{_ONE_BY_ONE}",
                code="LEX-DATA-1182",
            )
    cosines = np.array([header.cosines for header in headers])
    turned = np.abs(cosines - cosines[0]).max(axis=1) > _SAME_COSINE
    if turned.any():
        raise DataError(
            f"{name}: the slices of one series differ in orientation: {int(turned.sum())} of {len(headers)} "
            f"lie in another direction than {headers[0].path.name}, such as "
            f"{headers[int(turned.argmax())].path.name}. The series may contain a localizer. They are no "
            f"volume.{_ONE_BY_ONE}",
            code="LEX-DATA-1184",
        )


def _check_steps(ordered: Sequence[SliceHeader], heights: npt.NDArray[np.float64], name: Path) -> None:
    """Refuse slices that lie twice, and gaps.

    Args:
        ordered: The slices in order.
        heights: Their places along the normal in millimetres, rising.
        name: For messages.
    """
    steps = np.diff(heights)
    twice = np.flatnonzero(steps < _SAME_MM)
    if twice.size:
        first, second = ordered[int(twice[0])], ordered[int(twice[0]) + 1]
        which = (
            f"frames {first.frame + 1} and {second.frame + 1}"
            if first.path == second.path
            else f"{first.path.name} and {second.path.name}"
        )
        raise DataError(
            f"{name}: {counted(twice.size, 'slice of one series lies', 'slices of one series lie')} at the "
            f"place of another one, such as {which}. A volume has one slice at each place; export phases and "
            f"echoes as series of their own.{_ONE_BY_ONE}",
            code="LEX-DATA-1185",
        )
    usual = float(np.median(steps))
    gaps = np.flatnonzero(steps > 1.5 * usual)
    if gaps.size:
        missing = int(sum(round(float(steps[gap]) / usual) - 1 for gap in gaps))
        before, after = ordered[int(gaps[0])], ordered[int(gaps[0]) + 1]
        raise DataError(
            f"{name}: {counted(max(1, missing), 'slice is', 'slices are')} missing, the first of them "
            f"between {before.path.name} and {after.path.name} (a step of {steps[gaps[0]]:.2f} mm instead of "
            f"{usual:.2f} mm). Export the whole series.{_ONE_BY_ONE}",
            code="LEX-DATA-1186",
        )


def _header(dataset: Dataset, path: Path, frame: int) -> SliceHeader:
    rows, columns = ((numbers(dataset.get(name)) or [0.0])[0] for name in ("Rows", "Columns"))
    number = numbers(dataset.get("SeriesNumber"))
    spacing, cosines, position = (
        tuple(numbers(first_value(dataset, group, keyword, frame)))
        for group, keyword in (
            ("PixelMeasuresSequence", "PixelSpacing"),
            ("PlaneOrientationSequence", "ImageOrientationPatient"),
            ("PlanePositionSequence", "ImagePositionPatient"),
        )
    )
    return SliceHeader(
        path=path,
        frame=frame,
        series=str(dataset.get("SeriesInstanceUID", "") or ""),
        series_number=int(number[0]) if number else None,
        instance=str(dataset.get("SOPInstanceUID", "") or ""),
        modality=str(dataset.get("Modality", "")).upper(),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID", "") or ""),
        size=(int(rows), int(columns)),
        spacing_mm=spacing if all(0 < step < float("inf") for step in spacing) else (),
        cosines=cosines if np.isfinite(cosines).all() else (),
        position=position if np.isfinite(position).all() else (),
        is_quadruped=is_quadruped(dataset),
    )
