"""The labels of a volume as NIfTI, on its grid and with its affine."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from lexiseg.data.volumes.volume import Volume
from lexiseg.data.volumes.voxel_file import VoxelFile
from lexiseg.errors import DataError
from lexiseg.extras import load_module
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.volumes.prediction import VolumePrediction
from lexiseg.inference.volumes.volume_writer import PredictedVolume, VolumeWriter
from lexiseg.inference.writers.nifti_kind import nifti_kind


def _nib() -> Any:
    """Return nibabel, which has no types; only writing needs it, and it is an extra."""
    return load_module("nibabel")


#: Codes of NIfTI for what an affine means: nothing, or the coordinates of the scanner.
_UNKNOWN, _SCANNER = 0, 1
# A text of the header; it names no patient.
_DESCRIPTION = b"Lexiseg NIfTI mask. Not for diagnosis."
# The other texts of a header. NIfTI-1 has no `unused_str`, and NIfTI-2 has none of the first three.
_TEXTS_OF_SOURCE = ("data_type", "db_name", "regular", "aux_file", "intent_name", "unused_str")


class NiftiVolumeWriter(VolumeWriter):
    """Writes `nifti/NAME.nii.gz`: the labels as uint8, on the grid and with the affine of the volume.

    The header of a NIfTI volume is repeated, without its texts and extensions, which may name a patient.
    """

    name, folder, suffix = file_place("nifti")

    def save(self, predicted: PredictedVolume, path: Path) -> None:
        """Write the labels, and compare every voxel and the affine.

        Raises:
            DataError: The written file differs.
        """
        prediction, volume = predicted.prediction, predicted.volume
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


def _labelled(prediction: VolumePrediction, volume: Volume) -> Any:
    """Return the labels as an image of nibabel."""
    header = volume.stored.header if isinstance(volume, VoxelFile) else None
    if header is not None:
        kept = header.copy()
        kept.extensions.clear()
        for keyword in set(_TEXTS_OF_SOURCE).intersection(kept.keys()):
            kept[keyword] = b""
        kept["cal_min"] = kept["cal_max"] = 0
        kind = _nib().Nifti2Image if isinstance(header, _nib().Nifti2Header) else _nib().Nifti1Image
        image = kind(prediction.labels, kept.get_best_affine(), kept)
        image.set_data_dtype(np.uint8)
    else:
        grid = prediction.grid
        image = nifti_kind(grid.shape)(prediction.labels, grid.affine)
        for set_form in (image.set_sform, image.set_qform):
            set_form(grid.affine, code=_SCANNER if grid.is_placed else _UNKNOWN)
        image.header.set_xyzt_units("mm" if grid.has_spacing else "unknown")
    image.header["descrip"] = _DESCRIPTION
    return image
