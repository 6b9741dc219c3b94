"""Volumes of jobs, each opened in a process of its own: only its slices reach the server, one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lexiseg.clinic.view import View
from lexiseg.clinic.volume_geometry import VolumeGrid
from lexiseg.data.volumes.data_files import check_data_files
from lexiseg.data.volumes.volume import Volume
from lexiseg.data.volumes.volume_names import NRRD_ENDINGS, volume_ending
from lexiseg.data.volumes.voxel_file import StoredVoxels, VoxelFile
from lexiseg.extras import load_module
from lexiseg.inference.inputs.volume_target import VolumeTarget
from lexiseg.serving.volumes.isolated_slices import IsolatedSlices, SliceReader
from lexiseg.serving.volumes.process_client import VolumeProcesses
from lexiseg.serving.volumes.reading_process import VolumeRequest

_META_ENDINGS = frozenset({".mha", ".mhd"})
_NIFTI_2_BYTES = 540


@dataclass(frozen=True, kw_only=True)
class IsolatedTarget(VolumeTarget):
    """A volume of a job.

    Attributes:
        processes: Read it.
        on_open: Told the number of the slices that are predicted before the first one is read, once.
        is_opened: Set when it was told.
    """

    processes: VolumeProcesses = field(compare=False)
    on_open: Callable[[int], None] = field(compare=False)
    is_opened: threading.Event = field(default_factory=threading.Event, init=False, compare=False)

    def open(self, view: View) -> Volume:
        """Open the volume in a process of its own.

        Raises:
            LexisegError: It cannot be read, or is above a limit.
        """
        if self.slices:
            from lexiseg.serving.volumes.isolated_series import open_isolated_series

            return open_isolated_series(
                self.slices, self.path, view, voxels=self.processes.limits.voxels, open_reader=self._reader
            )
        ending = volume_ending(self.path.name)
        if ending in _META_ENDINGS | NRRD_ENDINGS:
            check_data_files(self.path, is_nrrd=ending in NRRD_ENDINGS, beside_only=True)
        reader = self._reader()
        voxels = self.processes.limits.voxels
        answer, header = reader.process.ask(
            VolumeRequest(wanted="volume", path=str(self.path), view=view, voxels=voxels)
        )
        grid = VolumeGrid(
            shape=answer.shape,
            affine=np.array(answer.affine, np.float64).reshape(4, 4),
            is_placed=answer.is_placed,
            has_spacing=answer.has_spacing,
        )
        stored = StoredVoxels(
            kind=answer.kind,
            grid=grid,
            # They stay in the process.
            values=np.zeros((0, 0, 0), np.uint8),
            header=_nifti_header(header) if header else None,
        )
        return IsolatedVoxelFile(path=self.path, stored=stored, view=view, reader=reader)

    def _reader(self) -> SliceReader:
        """Return what reads the slices, in a new process."""
        return SliceReader(
            path=self.path,
            process=self.processes.next(self.label),
            most=self.processes.limits.slices,
            on_choice=self._begin,
        )

    def _begin(self, count: int) -> None:
        # Outputs may read other slices than those that are predicted, which are chosen first.
        if not self.is_opened.is_set():
            self.is_opened.set()
            self.on_open(count)


@dataclass(frozen=True, kw_only=True)
class IsolatedVoxelFile(VoxelFile):
    """A volume in one file; its header is known here, its voxels are not.

    Attributes:
        reader: Reads its slices.
    """

    reader: SliceReader

    def slices(self, axis: int) -> IsolatedSlices:  # type: ignore[override]
        """Return the slices along a voxel axis; see `SliceReader.slices`."""
        return self.reader.slices(self.grid, axis)


def _nifti_header(content: bytes) -> Any:
    """Return a header of nibabel, which a written mask repeats."""
    nibabel: Any = load_module("nibabel")
    kind = nibabel.Nifti2Header if len(content) == _NIFTI_2_BYTES else nibabel.Nifti1Header
    # The process has read the file with it already.
    return kind(content, check=False)
