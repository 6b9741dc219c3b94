"""Slices of volumes that are read in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lexiseg.clinic.volume_geometry import VolumeGrid
from lexiseg.data.decoded_image import DecodedImage
from lexiseg.errors import DataError
from lexiseg.serving.volumes.process_client import VolumeProcess
from lexiseg.serving.volumes.reading_process import VolumeRequest


@dataclass(frozen=True, kw_only=True)
class IsolatedSlices:
    """The slices of a volume along one voxel axis.

    Attributes:
        process: Reads them.
        axis: The voxel axis.
        count: Number of slices.
    """

    process: VolumeProcess
    axis: int
    count: int

    def __len__(self) -> int:
        """Return the number of slices."""
        return self.count

    def read(self, index: int) -> DecodedImage:
        """Return one slice, see `lexiseg.data.volumes.volume.Slices`.

        Raises:
            LexisegError: It cannot be read.
        """
        answer, pixels = self.process.ask(VolumeRequest(wanted="slice", axis=self.axis, index=index))
        return DecodedImage(pixels=np.frombuffer(pixels, np.uint8).reshape(answer.shape), facts=answer.facts)


@dataclass(frozen=True, kw_only=True)
class SliceReader:
    """Reads the slices of one volume, along any voxel axis.

    Attributes:
        path: The file or folder of the volume, for messages.
        process: Has opened the volume.
        most: Most slices.
        on_choice: Told the number of slices of an axis before the first one is read.
    """

    path: Path
    process: VolumeProcess
    most: int
    on_choice: Callable[[int], None]

    def slices(self, grid: VolumeGrid, axis: int) -> IsolatedSlices:
        """Return the slices along a voxel axis.

        Raises:
            LexisegError: There are too many, or the volume cannot be read.
        """
        count = grid.shape[axis]
        if count > self.most:
            raise DataError(
                f"{self.path} has {count:,} slices; the server takes at most {self.most:,}. Cut the volume "
                "into parts, or choose other slices with the field 'axis'.",
                code="LEX-DATA-1454",
            )
        self.on_choice(count)
        self.process.ask(VolumeRequest(wanted="slices", axis=axis))
        return IsolatedSlices(process=self.process, axis=axis, count=count)
