"""The laterality guard: the side of each word against the side of the mask, in patient coordinates.

A wrong side is the worst error of a report. The guard trusts no turn: it computes the side of the mask from
the stored pixels and the stored directions, and compares it with the side that each word names.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.clinic.orientation import Directions, PatientSide, share_on_patient_left
from lexiseg.clinic.result_content import ResultContent
from lexiseg.errors import DataError

#: A mask with at least this share of its pixels in one half lies on that side.
ONE_SIDED = 0.95


def mask_side(mask: npt.NDArray[np.bool_], directions: Directions) -> PatientSide | None:
    """Return the patient's side on which a mask lies.

    Args:
        mask: `(H, W)` on the stored grid.
        directions: Directions of the stored image.

    Returns:
        The side; None for an empty mask, one on both sides, or an image without left and right.
    """
    share = share_on_patient_left(mask, directions)
    if share is None or 1 - ONE_SIDED < share < ONE_SIDED:
        return None
    return "left" if share >= ONE_SIDED else "right"


def check_sides(content: ResultContent) -> None:
    """Refuse words of one side for a mask of the other side.

    Words that name both sides, or no side, and masks on both sides are not contradicted. Without a known
    orientation there is nothing to compare.

    Raises:
        DataError: The words place all lesions on one side, and the mask lies on the other.
    """
    directions = content.facts.directions
    if directions is None or not directions.knows_sides or content.side != "patient":
        return
    named = {side for word in content.words for side in word.sides}
    found = mask_side(content.labels > 0, directions)
    if found is None or len(named) != 1 or found in named:
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


def _percent(share: float | None) -> str:
    return "no pixel" if share is None else f"{100 * share:.1f} %"
