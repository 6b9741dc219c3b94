"""The outputs of a volume: its labels as NIfTI, or as a DICOM segmentation over its series."""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import nibabel
import numpy as np

from lexiseg.data.volumes.volume import Volume
from lexiseg.data.volumes.voxel_file import VoxelFile
from lexiseg.errors import DataError
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.volumes.prediction import VolumePrediction

# nibabel has no types.
_NIB: Any = nibabel

#: Codes of NIfTI for what an affine means: nothing, or the coordinates of the scanner.
_UNKNOWN, _SCANNER = 0, 1
# A text of the header; it names no patient.
_DESCRIPTION = b"Lexiseg NIfTI mask. Not for diagnosis."
_TEXTS_OF_SOURCE = ("db_name", "aux_file", "intent_name")


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

    @abstractmethod
    def save(self, prediction: VolumePrediction, volume: Volume, predictor: Predictor, path: Path) -> None:
        """Write the output to a path and check it there.

        Raises:
            DataError: It cannot be written for such a volume, or fails a check.
        """


class NiftiVolumeWriter(VolumeWriter):
    """Writes `nifti/NAME.nii.gz`: the labels as uint8, on the grid and with the affine of the volume.

    The header of a NIfTI volume is repeated, without its texts and extensions, which may name a patient.
    """

    name, folder, suffix = "nifti", "nifti", ".nii.gz"

    def save(self, prediction: VolumePrediction, volume: Volume, predictor: Predictor, path: Path) -> None:
        """Write the labels, and compare every voxel and the affine.

        Raises:
            DataError: The written file differs.
        """
        image = _labelled(prediction, volume)
        # Without the moment of writing, so that a repetition gives the same bytes.
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            image.to_stream(packed)
        with gzip.open(path) as packed:
            found = type(image).from_stream(packed)
            same = found.shape == prediction.labels.shape and np.allclose(found.affine, image.affine)
            for k in range(found.shape[2] if same else 0):
                written = np.asarray(found.dataobj[..., k])
                same = same and np.array_equal(written, prediction.labels[..., k])
        if not same:
            raise DataError(
                f"The written NIfTI labels of {volume.path} differ from the prediction. They are not kept.",
                code="LEX-DATA-1205",
            )


class SegmentationVolumeWriter(VolumeWriter):
    """Writes `seg/NAME.dcm`: a BINARY segmentation over a DICOM series."""

    name, folder, suffix = "seg", "seg", ".dcm"
    as_labels: ClassVar[bool] = False

    def save(self, prediction: VolumePrediction, volume: Volume, predictor: Predictor, path: Path) -> None:
        """Write the segmentation, and compare every voxel at the position that its frame states.

        Raises:
            DataError: The volume is no DICOM series, lacks what is needed, or a check fails.
        """
        from lexiseg.clinic.series_segmentation import (
            build_series_segmentation,
            series_sources,
            verify_series_segmentation,
        )
        from lexiseg.data.volumes.series_slices import SeriesVolume
        from lexiseg.inference.volumes.series_content import series_content

        if not isinstance(volume, SeriesVolume) or volume.has_frames:
            raise DataError(
                f"{volume.path} is no series of DICOM files, so it gets no DICOM segmentation. Write its "
                "labels as NIfTI (--write nifti).",
                code="LEX-DATA-1206",
            )
        sources = series_sources(volume.series.slices)
        content = series_content(prediction, predictor)
        written = build_series_segmentation(
            sources, volume.path, content, prediction.labels, as_labels=self.as_labels
        )
        written.save_as(path, enforce_file_format=True)
        verify_series_segmentation(path, volume.series.slices, prediction.labels)


class LabelmapVolumeWriter(SegmentationVolumeWriter):
    """Writes `labelmap/NAME.dcm`: a LABELMAP segmentation over a DICOM series."""

    name, folder = "labelmap", "labelmap"
    as_labels = True


#: The formats of volumes, in the order in which they are written.
VOLUME_WRITERS: tuple[type[VolumeWriter], ...] = (
    NiftiVolumeWriter,
    SegmentationVolumeWriter,
    LabelmapVolumeWriter,
)


def _labelled(prediction: VolumePrediction, volume: Volume) -> Any:
    """Return the labels as an image of nibabel."""
    header = volume.stored.header if isinstance(volume, VoxelFile) else None
    if header is not None:
        kept = header.copy()
        kept.extensions.clear()
        for keyword in _TEXTS_OF_SOURCE:
            kept[keyword] = b""
        kept["cal_min"] = kept["cal_max"] = 0
        kind = _NIB.Nifti2Image if isinstance(header, _NIB.Nifti2Header) else _NIB.Nifti1Image
        image = kind(prediction.labels, kept.get_best_affine(), kept)
        image.set_data_dtype(np.uint8)
    else:
        grid = prediction.grid
        image = _NIB.Nifti1Image(prediction.labels, grid.affine)
        for set_form in (image.set_sform, image.set_qform):
            set_form(grid.affine, code=_SCANNER if grid.is_placed else _UNKNOWN)
        image.header.set_xyzt_units("mm" if grid.has_spacing else "unknown")
    image.header["descrip"] = _DESCRIPTION
    return image
