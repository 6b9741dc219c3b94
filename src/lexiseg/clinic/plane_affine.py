"""Where the pixels of a DICOM slice lie in the patient, as NIfTI states it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import first_value, is_quadruped, numbers
from lexiseg.clinic.facts import PixelSpacing

#: From DICOM's directions (left, back, head) to NIfTI's (right, front, head).
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def plane_affine(dataset: Dataset, index: int, spacing: PixelSpacing) -> npt.NDArray[np.float64] | None:
    """Return the affine of one slice, from (column, row, 0) to millimetres in the patient.

    Args:
        dataset: The file.
        index: The frame, from 0.
        spacing: The size of a pixel.

    Returns:
        `(4, 4)` in NIfTI's directions; None where the file does not state position, orientation and spacing,
        and for an animal on four feet, whose directions NIfTI does not have.
    """
    if is_quadruped(dataset):
        return None
    cosines = numbers(first_value(dataset, "PlaneOrientationSequence", "ImageOrientationPatient", index))
    corner = numbers(first_value(dataset, "PlanePositionSequence", "ImagePositionPatient", index))
    thickness = numbers(first_value(dataset, "PixelMeasuresSequence", "SliceThickness", index))
    if len(cosines) != 6 or len(corner) != 3 or spacing.body_mm is None:
        return None
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    affine = np.eye(4)
    affine[:3, 0] = along_row * spacing.body_mm[1]
    affine[:3, 1] = along_column * spacing.body_mm[0]
    depth = thickness[0] if thickness and thickness[0] > 0 else 1.0
    affine[:3, 2] = np.cross(along_row, along_column) * depth
    affine[:3, 3] = corner
    return np.asarray(_LPS_TO_RAS @ affine, dtype=np.float64)
