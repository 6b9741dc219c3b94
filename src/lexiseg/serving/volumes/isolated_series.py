"""DICOM series of jobs: their files are read in a process of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import read_dataset
from lexiseg.clinic.series import SliceHeader
from lexiseg.clinic.view import View
from lexiseg.data.volumes.series_slices import SeriesVolume, open_series
from lexiseg.serving.volumes.isolated_volumes import IsolatedSlices, IsolatedTarget
from lexiseg.serving.volumes.process_client import VolumeProcess
from lexiseg.serving.volumes.reading_process import VolumeRequest, check_voxels

_HEADERS = TypeAdapter(tuple[SliceHeader, ...])


@dataclass(frozen=True, kw_only=True)
class IsolatedSeries(SeriesVolume):
    """A DICOM series, or a DICOM file of several frames; its headers are known here, its pixels are not.

    Attributes:
        target: What it was opened from.
        process: Reads its slices.
    """

    target: IsolatedTarget
    process: VolumeProcess

    def file_without_pixels(self, path: Path) -> Dataset:
        """Return a file of the series without its pixels; elements that cannot be repeated are left out.

        Raises:
            LexisegError: It cannot be read any more, its header is too large, or it ends the process.
        """
        _, content = self.process.ask(VolumeRequest(wanted="file", path=str(path)))
        return read_dataset(content, path)

    def slices(self, axis: int) -> IsolatedSlices:  # type: ignore[override]
        """Return the slices along a voxel axis; see `IsolatedTarget.choose_slices`."""
        return self.target.choose_slices(self, axis, self.process)


def open_isolated_series(target: IsolatedTarget, view: View) -> IsolatedSeries:
    """Open a series.

    Args:
        target: Its slices, and what reads them.
        view: The window.

    Raises:
        LexisegError: The slices form no volume, it is above a limit, or it cannot be read.
    """
    rows, columns = target.slices[0].size
    check_voxels((columns, rows, len(target.slices)), target.path, target.processes.limits.voxels)
    opened = open_series(target.slices, target.path, view)
    process = target.processes.next(target.label)
    process.ask(
        VolumeRequest(wanted="volume", path=str(target.path), view=view), _HEADERS.dump_json(target.slices)
    )
    return IsolatedSeries(
        path=opened.path,
        series=opened.series,
        view=opened.view,
        target=target,
        process=process,
    )
