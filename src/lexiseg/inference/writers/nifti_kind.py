"""Which of the two kinds of NIfTI file holds a grid."""

from __future__ import annotations

from typing import Any

from lexiseg.extras import load_module

# NIfTI-1 states the length of an axis in 16 bits with a sign; NIfTI-2 has 64.
_LONGEST_OF_NIFTI_1 = 2**15 - 1


def nifti_kind(shape: tuple[int, ...]) -> Any:
    """Return the class of nibabel that writes a grid: NIfTI-1, and NIfTI-2 where an axis is too long for it.

    Args:
        shape: Number of voxels along each axis.

    Raises:
        UsageError: nibabel is not installed.
    """
    # Only writing needs nibabel, which is an extra and has no types.
    nibabel = load_module("nibabel")
    return nibabel.Nifti1Image if max(shape) <= _LONGEST_OF_NIFTI_1 else nibabel.Nifti2Image
