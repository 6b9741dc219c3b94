"""DICOM series of jobs: their files are read in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.series import SliceHeader
from lexiseg.clinic.view import View
from lexiseg.data.volumes.series_slices import SeriesVolume, open_series
from lexiseg.serving.volumes.isolated_slices import IsolatedSlices, SliceReader
from lexiseg.serving.volumes.reading_process import VolumeRequest, check_voxels

_HEADERS = TypeAdapter(tuple[SliceHeader, ...])


@dataclass(frozen=True, kw_only=True)
class IsolatedSeries(SeriesVolume):
    """A DICOM series, or a DICOM file of several frames; its headers are known here, its pixels are not.

    Attributes:
        reader: Reads its slices.
    """

    reader: SliceReader

    def file_without_pixels(self, path: Path) -> Dataset:
        """Return a file of the series without its pixels; elements that cannot be repeated are left out.

        Raises:
            LexisegError: It cannot be read any more, its header is too large, or it ends the process.
        """
        _, content = self.reader.process.ask(VolumeRequest(wanted="file", path=str(path)))
        return read_dataset(content, path)

    def slices(self, axis: int) -> IsolatedSlices:  # type: ignore[override]
        """Return the slices along a voxel axis; see `SliceReader.slices`."""
        return self.reader.slices(self.grid, axis)


def open_isolated_series(
    headers: tuple[SliceHeader, ...],
    path: Path,
    view: View,
    *,
    voxels: int,
    open_reader: Callable[[], SliceReader],
) -> IsolatedSeries:
    """Open a series.

    Args:
        headers: The headers of its slices.
        path: Its folder, or its file.
        view: The window.
        voxels: Most voxels.
        open_reader: Returns what reads its slices, with a new process.

    Raises:
        LexisegError: The slices form no volume, it is above a limit, or it cannot be read.
    """
    rows, columns = headers[0].size
    check_voxels((columns, rows, len(headers)), path, voxels)
    opened = open_series(headers, path, view)
    reader = open_reader()
    reader.process.ask(VolumeRequest(wanted="volume", path=str(path), view=view), _HEADERS.dump_json(headers))
    return IsolatedSeries(path=opened.path, series=opened.series, view=opened.view, reader=reader)
