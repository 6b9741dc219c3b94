"""DICOM series as volumes: each slice as its own file is read, or slices across the acquired ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import read_image_dataset
from lexiseg.clinic.image import DicomImage, image_of
from lexiseg.clinic.series import Series, SliceHeader, file_without_pixels, has_frames, series_volume
from lexiseg.clinic.view import AS_STORED, View, Window
from lexiseg.clinic.volume_geometry import VolumeGrid, slice_of
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.data.decoding.container import pixel_limit
from lexiseg.data.decoding.dicom import dicom_pixels
from lexiseg.data.stored_content import stored_content
from lexiseg.data.volumes.grey_range import GreyRange, own_range, spread
from lexiseg.data.volumes.volume import check_size, slice_facts

# Narrowest range of grey values of a constant volume.
_NARROWEST = 1e-6

#: The slices of a series are those along k.
ACQUIRED_AXIS = 2


@dataclass(frozen=True, kw_only=True)
class SeriesVolume:
    """A DICOM series, or a DICOM file of several frames, as a volume.

    Attributes:
        path: The folder of the series, or its file.
        series: Its slices in order, and its grid.
        view: The window.
        acquired_axis: The voxel axis of the acquired slices.
    """

    path: Path
    series: Series
    view: View = AS_STORED
    acquired_axis: int | None = ACQUIRED_AXIS

    @property
    def kind(self) -> str:
        """What it is, such as "DICOM series, CT"."""
        first = self.series.slices[0]
        return f"{'DICOM file of several frames' if self.has_frames else 'DICOM series'}, {first.modality}"

    @property
    def has_frames(self) -> bool:
        """Whether all slices are frames of one file."""
        return has_frames(self.series.slices)

    @property
    def grid(self) -> VolumeGrid:
        """The voxel grid."""
        return self.series.grid

    def file_without_pixels(self, path: Path) -> Dataset:
        """Return a file of the series without its pixels, for objects that refer to it.

        Args:
            path: The file.

        Raises:
            DataError: It cannot be read any more.
        """
        return file_without_pixels(path)

    def slice_files(self, axis: int) -> tuple[Path, ...]:
        """Return the file of each acquired slice; empty for other slices, and for frames of one file."""
        if axis != ACQUIRED_AXIS or self.has_frames:
            return ()
        return tuple(header.path for header in self.series.slices)

    def slices(self, axis: int) -> AcquiredSlices | CrossSlices:
        """Return the slices along a voxel axis.

        Acquired slices are read one by one. For slices across them, all are read first, and their grey values
        are kept, one byte per voxel.

        Raises:
            DataError: A file cannot be decoded.
        """
        acquired = AcquiredSlices(self)
        return acquired if axis == ACQUIRED_AXIS else _across(acquired, axis)


class AcquiredSlices:
    """The slices of a series as they were acquired.

    Args:
        volume: The series.

    Raises:
        DataError: A file cannot be decoded.
    """

    def __init__(self, volume: SeriesVolume) -> None:
        self.volume = volume
        # Frames share their file, which is read once.
        self._file = _read(volume.series.slices[0]) if volume.has_frames else None
        first = self._image(0)
        # Slices without a window share one range of values: else a tissue changes its grey between slices.
        self._range = self._shared_range() if _has_no_window(first) else None

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.volume.series.slices)

    def read(self, index: int) -> DecodedImage:
        """Return one slice as a single file is read.

        Raises:
            DataError: Its file cannot be read.
        """
        return self.shown(index)[0]

    def shown(self, index: int) -> tuple[DecodedImage, tuple[str, ...]]:
        """Return one slice, and what was assumed of its grey values alone.

        Raises:
            DataError: Its file cannot be read.
        """
        image = self._image(index)
        if self._range is None or not _has_no_window(image):
            return DecodedImage(pixels=dicom_pixels(image), facts=image.facts), image.chosen.assumptions
        found = self._range
        width = max(found.high - found.low, _NARROWEST)
        window = Window(center=(found.low + found.high) / 2, width=width, function="LINEAR_EXACT")
        ranged = image_of(image.dataset, image.path, image.index, View(window=window))
        notes = (*ranged.chosen.assumptions, *found.assumptions)
        others = [note for note in image.facts.assumptions if note not in image.chosen.assumptions]
        facts = dataclasses.replace(ranged.facts, shown=found.shown, assumptions=(*notes, *others))
        return DecodedImage(pixels=dicom_pixels(ranged), facts=facts), notes

    def _image(self, index: int) -> DicomImage:
        header = self.volume.series.slices[index]
        dataset = _read(header) if self._file is None else self._file
        return image_of(dataset, header.path, header.frame, self.volume.view)

    def _shared_range(self) -> GreyRange:
        def values(index: int) -> npt.NDArray[Any]:
            rendering = self._image(index).render(pixel_limit=pixel_limit())
            return rendering.values[:0] if rendering.is_scaled else rendering.values

        return own_range(map(values, spread(len(self))), self.volume.view)


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossSlices:
    """Slices of a series across its acquired ones.

    Attributes:
        volume: The series.
        axis: The voxel axis, 0 or 1.
        grey: The grey values of all slices, `(I, J, K)` uint8.
        shown: How values became grey values.
        assumptions: What was assumed of that.
    """

    volume: SeriesVolume
    axis: int
    grey: npt.NDArray[np.uint8]
    shown: str
    assumptions: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of slices."""
        return self.volume.grid.shape[self.axis]

    def read(self, index: int) -> DecodedImage:
        """Return one slice."""
        facts = slice_facts(
            self.volume.grid,
            self.axis,
            index,
            modality=self.volume.series.slices[0].modality,
            shown=self.shown,
            assumptions=self.assumptions,
        )
        pixels = np.ascontiguousarray(slice_of(self.grey, self.axis, index))
        return DecodedImage(pixels=np.repeat(pixels[..., None], 3, axis=2), facts=facts)


def _across(acquired: AcquiredSlices, axis: int) -> CrossSlices:
    """Read all acquired slices for slices across them."""
    volume = acquired.volume
    grey = np.zeros(volume.grid.shape, np.uint8, order="F")
    shown: dict[str, None] = {}
    notes: dict[str, None] = {}
    for index in range(len(acquired)):
        image, assumed = acquired.shown(index)
        slice_of(grey, ACQUIRED_AXIS, index)[:] = image.pixels[..., 0]
        assert image.facts is not None
        shown[image.facts.shown] = None
        # What concerns the place of acquired slices says nothing of those across them.
        notes |= dict.fromkeys(assumed)
    return CrossSlices(
        volume=volume,
        axis=axis,
        grey=grey,
        shown=next(iter(shown)) if len(shown) == 1 else "windows of the slices",
        assumptions=tuple(notes),
    )


def _read(header: SliceHeader) -> Dataset:
    return read_image_dataset(stored_content(header.path), header.path)


def _has_no_window(image: DicomImage) -> bool:
    return image.chosen.is_grey and image.chosen.window is None and not image.chosen.uses_table


def open_series(headers: tuple[SliceHeader, ...], path: Path, view: View = AS_STORED) -> SeriesVolume:
    """Open a series.

    Args:
        headers: Its slices, in any order.
        path: Its folder, or its file of several frames.
        view: The window; its frame has no effect.

    Raises:
        DataError: The slices form no volume, or too large a one.
    """
    rows, columns = headers[0].size
    check_size((columns, rows, len(headers)), path)
    return SeriesVolume(
        path=path, series=series_volume(headers, path), view=dataclasses.replace(view, frame=None)
    )
