"""The check of a model's reply against the mask: number and place are corrected and marked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lexiseg.describing.description_file import Check, Correction, Difference
from lexiseg.describing.multimodal.schema import Box, Value, shown
from lexiseg.words.description import UNKNOWN
from lexiseg.words.factor import Factor
from lexiseg.words.lesion_regions import LesionRegions
from lexiseg.words.measure import measure_indices
from lexiseg.words.vocabulary import Vocabulary

#: A box is in the centre if its middle is at most this far from the picture's middle on both axes (CoTexNet).
_NEAR_CENTRE = 0.1

_CENTRE_CELL = 4


def check_reply(
    reply: Mapping[str, Value],
    lesion: npt.NDArray[np.bool_],
    image: npt.NDArray[np.uint8],
    vocabulary: Vocabulary,
) -> tuple[tuple[int, ...], Check]:
    """Return the factor indices of a valid reply, corrected where the mask contradicts them.

    The number is limited by the connected regions of the mask. Number and place (grid cell, lung zones,
    laterality) are replaced by the measured phrase if it differs, and a colour in a grey image becomes
    unknown; each correction is marked. All other values are kept, with a note if the measurement differs.

    Args:
        reply: Value per factor, as `ReplySchema.parse` returns it.
        lesion: (H, W) bool, at least one pixel set.
        image: (H, W, 3) uint8.
        vocabulary: The vocabulary.

    Returns:
        One index per factor, in the image's side convention, and the check.
    """
    regions = LesionRegions(lesion)
    measured = measure_indices(lesion, vocabulary, image=image, side="image")
    indices = []
    corrected, differs = [], []
    for factor, seen in zip(vocabulary.factors, measured, strict=True):
        value = reply[factor.name]
        said = _index(factor, value, regions)
        known = seen != UNKNOWN
        if _decided_by_mask(factor, known=known) and (said != seen or _too_many(factor, value, regions)):
            became = factor.phrases[seen] if known else None
            corrected.append(Correction(factor=factor.name, said=_as_text(value), became=became))
            said = seen
        elif known and said != seen:
            differs.append(
                Difference(factor=factor.name, said=factor.phrases[said], measured=factor.phrases[seen])
            )
        indices.append(said)
    return tuple(indices), Check(how="compared", corrected=tuple(corrected), differs=tuple(differs))


def box_cell(box: Box) -> int:
    """Return the cell of a 3 x 3 grid, row by row from the upper left, for a box.

    It is the centre if the box's middle is within 0.1 of the picture's on both axes, otherwise one of the
    four corners (rule of CoTexNet).
    """
    x0, y0, x1, y1 = box
    right, down = (x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5
    if max(abs(right), abs(down)) <= _NEAR_CENTRE:
        return _CENTRE_CELL
    return 6 * (down > 0) + 2 * (right > 0)


def _index(factor: Factor, value: Value, regions: LesionRegions) -> int:
    """Return the index of the phrase for a valid value."""
    if isinstance(value, str):
        return factor.phrases.index(value)
    if isinstance(value, int):
        return factor.index_of_number(min(value, _components(factor, regions)))
    return box_cell(value)


def _components(factor: Factor, regions: LesionRegions) -> int:
    """Return how many connected regions count for a factor: all except specks that its rule ignores."""
    return int(regions.kept(factor.smallest_counted_region).sum())


def _too_many(factor: Factor, value: Value, regions: LesionRegions) -> bool:
    return isinstance(value, int) and value > _components(factor, regions)


def _decided_by_mask(factor: Factor, *, known: bool) -> bool:
    """Return whether the measurement replaces a reply: number, place, and colours of grey images."""
    rule = factor.measure
    if rule is None:
        return False
    return rule.decided_by_mask or (rule.needs_image and not known)  # a colour in a grey image


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else shown(value)
