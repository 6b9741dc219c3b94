"""A process that reads one volume which came over the network, and nothing else.

It reads requests from its standard input and writes answers to its standard output; see
`lexiseg.serving.child_process`. The first request opens the volume, the second one chooses its slices, and
each further one reads a slice. Another process is asked for nothing but the headers of DICOM files.

Examples:
    python -m lexiseg.serving.volumes.reading_process LIMIT_BYTES
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from lexiseg.clinic.facts import ImageFacts
from lexiseg.clinic.view import View
from lexiseg.data.volumes.volume import Slices, Volume
from lexiseg.data.volumes.voxel_file import VoxelFile, open_volume_file, read_grid
from lexiseg.errors import DataError, LexisegError
from lexiseg.json_records import Record
from lexiseg.serving.child_process import ChildAnswer, answer_requests, limit_memory


class VolumeRequest(Record):
    """What is to be read. The headers of a series follow, as JSON, where one is opened.

    Attributes:
        wanted: The volume is opened, its slices are chosen, one of them is read, the headers of the slices
            in a DICOM file are read, or a DICOM file without its pixels.
        path: The file of the volume or of its slices, or what messages call the series.
        view: The window.
        voxels: Most voxels.
        axis: The voxel axis along which slices are counted.
        index: Number of the slice, from 0.
        frames: Most frames of a DICOM file whose headers are read.
    """

    wanted: Literal["volume", "slices", "slice", "headers", "file"]
    path: str = ""
    view: View = View()
    voxels: int = 0
    axis: int = 0
    index: int = 0
    frames: int = 0


class VolumeAnswer(ChildAnswer):
    """What was read. A header of a NIfTI or DICOM file, the pixels of a slice, or headers as JSON follow.

    Attributes:
        kind: What the volume is.
        shape: Voxels along i, j and k; or rows, columns and channels of a slice.
        affine: Affine of the volume, row by row.
        is_placed: Whether the affine says where the patient's left is.
        has_spacing: Whether its steps are millimetres.
        facts: What the volume says about the slice.
    """

    kind: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    affine: tuple[float, ...] = ()
    is_placed: bool = False
    has_spacing: bool = False
    facts: ImageFacts | None = None


def check_voxels(shape: tuple[int, ...], path: Path, most: int) -> None:
    """Refuse a volume with too many voxels, before they are read.

    Raises:
        DataError: It has more.
    """
    if math.prod(shape) > most:
        raise DataError(
            f"{path} declares {' x '.join(map(str, shape))} voxels; the server takes at most {most:,}. Cut "
            "it into parts, or resample it, and send those.",
            code="LEX-DATA-1450",
        )


class _Reading:
    """The volume that is open."""

    def __init__(self) -> None:
        self._volume: Volume | None = None
        self._slices: dict[int, Slices] = {}

    def answer(self, request: VolumeRequest, content: bytes) -> tuple[VolumeAnswer, bytes]:
        """Return an answer, and the bytes that follow it."""
        try:
            if request.wanted == "volume":
                return self._opened(request, content)
            if request.wanted == "headers":
                return VolumeAnswer(), _headers(Path(request.path), request.frames)
            if request.wanted == "file":
                return VolumeAnswer(), _file(Path(request.path))
            if request.wanted == "slices":
                assert self._volume is not None
                if request.axis not in self._slices:
                    self._slices[request.axis] = self._volume.slices(request.axis)
                return VolumeAnswer(), b""
            image = self._slices[request.axis].read(request.index)
        except LexisegError as error:
            return VolumeAnswer.of_error(error), b""
        except MemoryError:
            refused = DataError(
                f"{request.path or 'The volume'} needs more memory than the server gives to one volume. Cut "
                "it into parts, or resample it, and send those.",
                code="LEX-DATA-1451",
            )
            return VolumeAnswer.of_error(refused), b""
        height, width, channels = image.pixels.shape
        pixels = np.ascontiguousarray(image.pixels).tobytes()
        return VolumeAnswer(shape=(height, width, channels), facts=image.facts), pixels

    def _opened(self, request: VolumeRequest, content: bytes) -> tuple[VolumeAnswer, bytes]:
        path, header = Path(request.path), b""
        if content:
            from lexiseg.clinic.series import SliceHeader
            from lexiseg.data.volumes.series_slices import open_series

            headers = TypeAdapter(tuple[SliceHeader, ...]).validate_json(content)
            self._volume = open_series(headers, path, request.view)
        else:
            check_voxels(read_grid(path).shape, path, request.voxels)
            self._volume = open_volume_file(path, request.view)
        if isinstance(self._volume, VoxelFile) and self._volume.stored.header is not None:
            header = bytes(self._volume.stored.header.binaryblock)
        grid = self._volume.grid
        answer = VolumeAnswer(
            kind=self._volume.kind,
            shape=grid.shape,
            affine=tuple(float(number) for number in grid.affine.ravel()),
            is_placed=grid.is_placed,
            has_spacing=grid.has_spacing,
        )
        return answer, header


def _headers(path: Path, most: int) -> bytes:
    """Return the headers of the slices in a DICOM file as JSON."""
    from lexiseg.clinic.series import SliceHeader, slice_headers

    return TypeAdapter(tuple[SliceHeader, ...]).dump_json(slice_headers(path, most=most))


def _file(path: Path) -> bytes:
    """Return a DICOM file without its pixels."""
    from lexiseg.clinic.header_content import header_content
    from lexiseg.clinic.series import file_without_pixels

    return header_content(file_without_pixels(path), path)


def main() -> None:
    """Answer one request after the other until the standard input ends."""
    limit_memory(int(sys.argv[1]))
    answer_requests(VolumeRequest, _Reading().answer)


if __name__ == "__main__":
    main()
