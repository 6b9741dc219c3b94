"""What a writer of volumes is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lexiseg.data.volumes.volume import Volume
from lexiseg.data.volumes.voxel_file import VoxelFile
from lexiseg.errors import DataError
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.records.not_written import NotWritten
from lexiseg.inference.volumes.prediction import VolumePrediction

if TYPE_CHECKING:
    from lexiseg.data.volumes.series_slices import SeriesVolume
    from lexiseg.inference.volumes.series_content import SeriesResult


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedVolume:
    """One predicted volume, as every writer gets it.

    Attributes:
        name: Name of its outputs, without suffix.
        prediction: The prediction.
        volume: The volume.
        predictor: The predictor.
        formats: The formats of the batch.
        refused: Why an output was not written, by format; those of the formats that are written before.
    """

    name: Path
    prediction: VolumePrediction
    volume: Volume
    predictor: Predictor
    formats: tuple[str, ...] = ()
    refused: dict[str, NotWritten] = field(default_factory=dict)

    @property
    def dicom(self) -> SeriesVolume:
        """The volume as a DICOM series.

        Raises:
            DataError: It is a volume file.
        """
        if isinstance(self.volume, VoxelFile):
            raise DataError(
                f"{self.volume.path} is no DICOM series, so it gets no DICOM objects. Write its labels as "
                "NIfTI (format nifti).",
                code="LEX-DATA-1206",
            )
        from lexiseg.data.volumes.series_slices import SeriesVolume

        assert isinstance(self.volume, SeriesVolume)
        return self.volume

    @cached_property
    def series(self) -> SeriesResult:
        """What its DICOM objects share; made once for all of them.

        Raises:
            DataError: It is no DICOM series, or no object can be written of it.
        """
        volume = self.dicom
        from lexiseg.inference.volumes.series_content import series_result

        return series_result(self.prediction, volume, self.predictor)


class VolumeWriter(ABC):
    """A writer of one file per volume, `OUT/FOLDER/NAME.SUFFIX`.

    Attributes:
        name: Name of the format.
        folder: Folder of its files below the output folder.
        suffix: Ending of its files.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    suffix: ClassVar[str]

    def file(self, name: Path, out: Path) -> Path:
        """Return where the output of a volume goes.

        Args:
            name: Name of the volume.
            out: The output folder.
        """
        return out / self.folder / f"{name}{self.suffix}"

    def check(self, predictor: Predictor) -> None:  # noqa: B027
        """Do nothing: every predictor will do; as `lexiseg.inference.writers.base.CheckingWriter`."""

    @abstractmethod
    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the output to a path and check it there.

        Raises:
            DataError: It cannot be written for such a volume, or fails a check.
        """
