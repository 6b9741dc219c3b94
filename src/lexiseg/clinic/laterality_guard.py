"""The laterality guard: the side of each word against the side of the mask, in patient coordinates.

A wrong side is the worst error of a report. The guard trusts no turn: it computes the side of the mask from
the stored pixels and the stored directions, and compares it with the side that each word names.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.orientation import Directions, PatientSide, share_on_patient_left
from lexiseg.clinic.result_content import ResultContent
from lexiseg.clinic.volume_geometry import VolumeGrid
from lexiseg.errors import DataError

#: A mask with at least this share of its pixels in one half lies on that side.
ONE_SIDED = 0.95

# Voxels that lie closer to the middle of the volume lie on neither side.
_MIDDLE_MM = 1e-6


def mask_side(mask: npt.NDArray[np.bool_], directions: Directions) -> PatientSide | None:
    """Return the patient's side on which a mask lies.

    Args:
        mask: `(H, W)` on the stored grid.
        directions: Directions of the stored image.

    Returns:
        The side; None for an empty mask, one on both sides, or an image without left and right.
    """
    return _one_side(share_on_patient_left(mask, directions))


def check_sides(content: ResultContent) -> None:
    """Refuse words of one side for a mask of the other side.

    Words that name both sides, or no side, and masks on both sides are not contradicted. Without a known
    orientation there is nothing to compare.

    Raises:
        DataError: The words place all lesions on one side, and the mask lies on the other.
    """
    directions = content.facts.directions
    if directions is None or not directions.knows_sides:
        return
    _check_words(content, mask_side(content.labels > 0, directions))


def check_volume_sides(content: ResultContent, labels: npt.NDArray[np.uint8], grid: VolumeGrid) -> None:
    """Refuse words of one side for a label volume of the other side, see `check_sides`.

    Args:
        content: The words.
        labels: `(I, J, K)`, the label of each voxel.
        grid: The grid, which says where each voxel lies in the patient.

    Raises:
        DataError: The words place all lesions on one side, and the labels lie on the other.
    """
    if grid.is_placed:
        _check_words(content, _one_side(share_of_volume_on_left(labels, grid)))


def share_of_volume_on_left(labels: npt.NDArray[np.uint8], grid: VolumeGrid) -> float | None:
    """Return the share of labelled voxels on the patient's left of the middle of the volume, 0 to 1.

    It is computed voxel by voxel from the affine, independent of any turn. Voxels in the middle count one
    half.

    Args:
        labels: `(I, J, K)`; voxels other than 0 count.
        grid: The grid; its affine leads to coordinates that rise to the patient's right.

    Returns:
        The share; None for an empty volume.
    """
    towards_right = grid.affine[0, :3]
    middle = float(towards_right @ (np.array(grid.shape) - 1)) / 2
    left = total = 0.0
    for k in range(labels.shape[2]):
        i, j = np.nonzero(labels[:, :, k])
        place = towards_right[0] * i + towards_right[1] * j + towards_right[2] * k - middle
        near = np.abs(place) < _MIDDLE_MM
        left += np.count_nonzero(place[~near] < 0) + np.count_nonzero(near) / 2
        total += len(place)
    return left / total if total else None


def _check_words(content: ResultContent, found: PatientSide | None) -> None:
    """Refuse words that all name the other side than the one where the lesions were found."""
    named = {side for word in content.words for side in word.sides}
    if content.side != "patient" or found is None or len(named) != 1 or found in named:
        return
    (wrong,) = named
    words = ", ".join(repr(word.phrase) for word in content.words if wrong in word.sides)
    raise DataError(
        f"The words place the lesions on the patient's {wrong} side ({words}), but the mask lies on the "
        f"{found} side. The object is not written; look at the image.",
        code="LEX-DATA-972",
    )


def check_written_side(
    content: ResultContent, written: npt.NDArray[np.bool_], directions: Directions | None
) -> None:
    """Refuse a written mask that lies on another side than the predicted one.

    Args:
        content: The prediction.
        written: `(H, W)` mask as it was read back.
        directions: Directions that the written object states; None if it states none.

    Raises:
        DataError: The sides differ.
    """
    stored = content.facts.directions
    if stored is None or not stored.knows_sides:
        return
    if directions is None or not directions.knows_sides:
        raise DataError(
            "The written segmentation does not say where the patient's left is, though its source does. It "
            "is not kept.",
            code="LEX-DATA-973",
        )
    before, after = (
        share_on_patient_left(content.labels > 0, stored),
        share_on_patient_left(written, directions),
    )
    if before != after:
        raise DataError(
            f"The written segmentation lies on another side than the mask: {_percent(after)} on the "
            f"patient's left instead of {_percent(before)}. It is not kept.",
            code="LEX-DATA-974",
        )


def _one_side(share_on_left: float | None) -> PatientSide | None:
    if share_on_left is None or 1 - ONE_SIDED < share_on_left < ONE_SIDED:
        return None
    return "left" if share_on_left >= ONE_SIDED else "right"


def _percent(share: float | None) -> str:
    return "no pixel" if share is None else f"{100 * share:.1f} %"
