"""Where a phrase acts, as a small picture from the zone atlas of a run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lexiseg.runs.run import Run
from lexiseg.runs.word_effects import only
from lexiseg.words.description import UNKNOWN
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.half_features import Half
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zone_atlas import GRID, in_half
from lexiseg.words.zones import half_of

# Weakest and strongest grey value.
_FULL = 255


def has_zone(run: Run, vocabulary: Vocabulary, position: int, index: int) -> bool:
    """Return whether the run knows where a phrase acts; see `zone_picture`."""
    factor, shown = _in_image(run, vocabulary, position, index)
    if _half_without_lesion(factor, shown) is not None:
        return True
    return run.zone_atlas is not None and factor.name in run.zone_atlas.maps


def zone_picture(run: Run, vocabulary: Vocabulary, position: int, index: int) -> npt.NDArray[np.uint8] | None:
    """Return where a phrase acts, `(64, 64)` uint8 in the displayed frame of images; None where unknown.

    For a phrase that places a lesion, the grey value rises with the share of the training images with this
    phrase in which the lesion covers the place; the largest is 255. For a phrase that says that a half holds
    no lesion, the half is 255.

    Args:
        run: The run.
        vocabulary: Its vocabulary.
        position: The factor, from 0.
        index: The phrase, from 0.
    """
    factor, shown = _in_image(run, vocabulary, position, index)
    half = _half_without_lesion(factor, shown)
    if half is not None:
        return np.where(in_half(half, (GRID, GRID)), np.uint8(_FULL), np.uint8(0))
    atlas = run.zone_atlas
    if atlas is None or factor.name not in atlas.maps:
        return None
    share = atlas.maps[factor.name][shown].sum(axis=0)
    own = half_of(factor)
    if own is not None:
        # Outside its half, the map of a phrase says nothing of the phrase.
        share = np.where(in_half(own, (GRID, GRID)), share, 0)
    return np.asarray(np.rint(share * (_FULL / max(float(share.max()), 1e-6))), dtype=np.uint8)


def _in_image(run: Run, vocabulary: Vocabulary, position: int, index: int) -> tuple[Factor, int]:
    """Return the factor and phrase that say the same of the image's left and right."""
    stated = only(vocabulary, vocabulary.names[position], index)
    seen = to_side(vocabulary, stated, given=run.side, wanted="image")
    return next(
        (factor, found) for factor, found in zip(vocabulary.factors, seen, strict=True) if found != UNKNOWN
    )


def _half_without_lesion(factor: Factor, index: int) -> Half | None:
    return None if factor.measure is None else factor.measure.half_without_lesion(factor.phrases, index)
