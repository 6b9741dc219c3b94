"""A volume of a batch: its file or the slices of its series, and the name of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.clinic.view import View
from lexiseg.data.volumes.data_files import data_files
from lexiseg.data.volumes.volume import Volume
from lexiseg.data.volumes.voxel_file import open_volume_file
from lexiseg.inference.inputs.image_sources import files_that_tell

if TYPE_CHECKING:
    from lexiseg.clinic.series import SliceHeader


@dataclass(frozen=True, kw_only=True)
class VolumeTarget:
    """One volume to predict and where its outputs go.

    Attributes:
        path: Its file, or the folder of its series.
        name: Path of each output below the folder of its format, without suffix.
        slices: The slices of a DICOM series in any order; empty for volume files.
        source: What results and messages call the volume where its files are private copies; else None.
        copied_from: The archive or the address of which they are private copies; None for other volumes.
    """

    path: Path
    name: Path
    slices: tuple[SliceHeader, ...] = ()
    source: str | None = None
    copied_from: str | None = None

    @property
    def label(self) -> str:
        """What the volume is called in results and messages."""
        return self.source or str(self.path)

    def named(self, message: str) -> str:
        """Return a message in which the volume has its label."""
        return message.replace(str(self.path), self.label)

    def files(self) -> tuple[Path, ...]:
        """Return the files that hold the volume: of a header, also the data files that it names."""
        if self.slices:
            return tuple(sorted({part.path for part in self.slices}))
        return (self.path, *data_files(self.path))

    @property
    def files_that_tell(self) -> tuple[Path, ...]:
        """The files whose times tell whether the volume was changed; none where none does."""
        return files_that_tell(self.files(), self.copied_from)

    def open(self, view: View) -> Volume:
        """Open the volume.

        Args:
            view: The window.

        Raises:
            DataError: It cannot be read, or its slices form no volume.
            UsageError: A package that reads it is not installed.
        """
        if not self.slices:
            return open_volume_file(self.path, view)
        from lexiseg.data.volumes.series_slices import open_series

        return open_series(self.slices, self.path, view)
