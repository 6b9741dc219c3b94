"""Headers of the DICOM files of jobs: read in a process of their own, within the limits of the server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from lexiseg.errors import DataError
from lexiseg.serving.volumes.process_client import VolumeProcess, VolumeProcesses
from lexiseg.serving.volumes.reading_process import VolumeRequest

if TYPE_CHECKING:
    from lexiseg.clinic.series import SliceHeader


class IsolatedHeaders:
    """Reads the headers of the DICOM files of a job in a process of their own, which ends with the next one.

    Args:
        processes: Read the volumes of the job; none of them is read before all headers are.
    """

    def __init__(self, processes: VolumeProcesses) -> None:
        self._processes = processes
        self._process: VolumeProcess | None = None
        self._frames = 0

    def read(self, path: Path) -> tuple[SliceHeader, ...]:
        """Return the slices in a DICOM file, see `lexiseg.clinic.series.slice_headers`.

        Raises:
            DataError: It has too many frames, together with the files before it too, takes too long, or ends
                its process.
            ResourceError: The machine starts no more processes.
        """
        from lexiseg.clinic.series import SliceHeader

        limits = self._processes.limits
        if self._process is None:
            self._process = self._processes.next(str(path))
        request = VolumeRequest(wanted="headers", path=str(path), frames=limits.slices)
        _, content = self._process.ask(request)
        headers = TypeAdapter(tuple[SliceHeader, ...]).validate_json(content)
        self._frames += len(headers)
        most = max(limits.job_images, limits.slices)
        if self._frames > most:
            raise DataError(
                f"The DICOM files of the job up to {path} have {self._frames:,} slices; the server takes at "
                f"most {most:,}. Send several jobs.",
                code="LEX-DATA-1591",
            )
        # What the process says of other files does not count.
        return tuple(replace(header, path=path) for header in headers)
