"""NIfTI masks: one label map per image, in the patient where a DICOM slice says where it lies."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.content import read_content
from lexiseg.errors import DataError
from lexiseg.inference.formats.registry import file_place
from lexiseg.inference.writers.base import Batch, ImageWriter, PredictedImage
from lexiseg.inference.writers.nifti_kind import nifti_kind

#: Codes of NIfTI for what an affine means: nothing, or the coordinates of the scanner.
_UNKNOWN, _SCANNER = 0, 1


class NiftiWriter(ImageWriter):
    """Writes `nifti/NAME.nii.gz`: the labels of an image as one slice, `(columns, rows, 1)` uint8.

    The file is NIfTI-1, and NIfTI-2 for an image with a side of more than 32,767 pixels.

    A slice of CT or MR has the affine of its DICOM file. Other images have the size of a pixel where it is
    known in the body, and no place in the patient.
    """

    name, folder, suffix = file_place("nifti")
    is_thread_safe = True

    def save(self, image: PredictedImage, batch: Batch, path: Path) -> None:
        """Write the labels and read them back.

        Raises:
            DataError: The image cannot be read any more, or the written labels differ.
        """
        labels = image.prediction.mask.T[..., None]
        affine = _affine(image)
        placed = affine is not None
        kind = nifti_kind(labels.shape)
        written = kind(labels, affine if affine is not None else _scale(image, batch))
        for set_form in (written.set_sform, written.set_qform):
            set_form(written.affine, code=_SCANNER if placed else _UNKNOWN)
        written.header.set_xyzt_units("mm" if placed or _spacing(image, batch) is not None else "unknown")
        # Without the moment of writing, so that a repetition gives the same bytes.
        path.write_bytes(gzip.compress(written.to_bytes(), mtime=0))
        found = kind.from_bytes(gzip.decompress(path.read_bytes()))
        if not np.array_equal(np.asarray(found.dataobj)[..., 0].T, image.prediction.mask):
            raise DataError(
                f"The written NIfTI mask of {image.target.image} differs from the mask. It is not kept.",
                code="LEX-DATA-986",
            )


def _affine(image: PredictedImage) -> npt.NDArray[np.float64] | None:
    """Return the affine that a DICOM file states; None for other files and where it states none."""
    facts = image.prediction.facts
    if facts is None:
        return None
    from lexiseg.clinic.dataset import read_image_dataset, without_undecodable
    from lexiseg.clinic.plane_affine import plane_affine

    path = image.target.image
    source = without_undecodable(read_image_dataset(read_content(path), path))
    image.check_size((source.get("Rows"), source.get("Columns")))
    return plane_affine(source, facts.frame - 1, facts.spacing)


def _spacing(image: PredictedImage, batch: Batch) -> tuple[float, float] | None:
    """Return height and width of a pixel in the body: as the user states it, or as the file does."""
    facts = image.prediction.facts
    return batch.predictor.options.spacing_mm or (None if facts is None else facts.spacing.body_mm)


def _scale(image: PredictedImage, batch: Batch) -> npt.NDArray[np.float64]:
    height, width = _spacing(image, batch) or (1.0, 1.0)
    return np.diag([width, height, 1.0, 1.0])
