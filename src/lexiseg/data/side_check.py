"""The left/right check of a data set: do its descriptions follow the stated side convention?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from lexiseg.data.content import image_turn
from lexiseg.data.readers import read_mask
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.errors import DataError, LexisegError
from lexiseg.words.description import Side
from lexiseg.words.measure import measure_indices
from lexiseg.words.side_convention import Pair, SideEvidence, infer_side, one_sided
from lexiseg.words.vocabulary import Vocabulary

#: Number of one-sided descriptions that are compared with their masks.
MAX_CASES = 200


def check_side(
    index: DatasetIndex,
    samples: Sequence[Sample],
    indices: Sequence[Sequence[int]],
    vocabulary: Vocabulary,
    *,
    stated: Side,
    file: Path | None = None,
    skip_unreadable: bool = False,
) -> None:
    """Compare one-sided descriptions with their masks.

    At most `MAX_CASES` descriptions are compared, drawn with a fixed seed.

    Args:
        index: The data set.
        samples: Its samples; those without a mask are not used.
        indices: The description of each sample, one index per factor, `UNKNOWN` allowed.
        vocabulary: The vocabulary of the indices.
        stated: The side convention that the descriptions are said to follow.
        file: The description file they come from; None: the report sheet.
        skip_unreadable: Whether masks that cannot be read are skipped, to be reported elsewhere.

    Raises:
        DataError: At least 90 % of the one-sided masks show the other side; or a mask cannot be read.
    """
    pairs = _pairs(index, samples, indices, vocabulary, skip_unreadable=skip_unreadable)
    refuse_other_side(index, infer_side(pairs, vocabulary), stated=stated, file=file)


def refuse_other_side(
    index: DatasetIndex, evidence: SideEvidence, *, stated: Side, file: Path | None = None
) -> None:
    """Refuse descriptions whose masks show the other convention; accept undecided evidence.

    Args:
        index: The data set.
        evidence: The comparison of descriptions and masks.
        stated: The convention that the file, `dataset.yaml` or the vocabulary states.
        file: The description file; None: the report sheet.

    Raises:
        DataError: The masks show the other convention.
    """
    if not evidence.contradicts(stated):
        return
    if file is None:
        is_stated = index.side is not None
        raise DataError(other_side(index.root, evidence, stated, is_stated=is_stated), code="LEX-DATA-094")
    raise DataError(
        f"The masks of {index.root} show that {file} uses the {evidence.side}'s left and right "
        f"({evidence.summary}), but its lines state the {stated}'s. Correct `side` in its lines, or describe "
        f"the data set again.",
        code="LEX-DATA-131",
    )


def other_side(root: Path, evidence: SideEvidence, stated: Side, *, is_stated: bool) -> str:
    """Return the message for reports whose left/right convention differs from the stated one.

    Args:
        root: The data set's folder.
        evidence: The comparison of reports and masks.
        stated: The convention stated or assumed.
        is_stated: Whether `dataset.yaml` states it; otherwise the vocabulary assumes it.
    """
    by = "dataset.yaml states" if is_stated else "the vocabulary assumes"
    return (
        f"The reports of {root} use the {evidence.side}'s left and right ({evidence.summary}), but {by} the "
        f"{stated}'s. Write `side: {evidence.side}` into {root / 'dataset.yaml'}."
    )


def _pairs(
    index: DatasetIndex,
    samples: Sequence[Sample],
    indices: Sequence[Sequence[int]],
    vocabulary: Vocabulary,
    *,
    skip_unreadable: bool,
) -> Iterator[Pair]:
    """Yield one-sided descriptions with what their masks show in the image's side convention."""
    sided = [
        (sample.image, sample.mask, stated)
        for sample, stated in zip(samples, indices, strict=True)
        if sample.mask is not None and one_sided(stated, vocabulary) is not None
    ]
    for image, mask, stated in random.Random(0).sample(sided, min(MAX_CASES, len(sided))):
        try:
            labels = image_turn(image).apply(read_mask(mask, index.coding, image=image))
        except LexisegError:
            if skip_unreadable:
                continue
            raise
        yield stated, measure_indices(labels, vocabulary, side="image")
