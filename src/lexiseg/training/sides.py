"""A wrong side is the worst error such a tool can make: the masks are asked whose left the reports mean."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from lexiseg.data.readers import read_mask
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.data.side_check import refuse_other_side
from lexiseg.errors import DataError
from lexiseg.training.examples import Words
from lexiseg.words.description import UNKNOWN
from lexiseg.words.measure import measure_indices
from lexiseg.words.side_check import infer_side, one_sided

#: One-sided reports that are compared with their masks.
_CASES = 200


def check_side(
    index: DatasetIndex, samples: Sequence[Sample], words: Words, *, file: Path | None = None
) -> None:
    """Compare one-sided reports with their masks, before any word is learned.

    Args:
        index: The data set.
        samples: The samples.
        words: What their reports say, in the side convention that is about to be learned.
        file: The description file they come from; None: the sheet.

    Raises:
        DataError: At least 90 % of the one-sided masks lie on the other side.
    """
    told = [
        (sample, indices)
        for sample, indices in zip(samples, words.indices, strict=True)
        if sample.mask is not None
        and any(i != UNKNOWN for i in indices)
        and one_sided(indices, words.vocabulary) is not None
    ]
    chosen = random.Random(0).sample(told, min(_CASES, len(told)))
    pairs = [
        (indices, measure_indices(read_mask(sample.mask, index.coding), words.vocabulary, side="image"))
        for sample, indices in chosen
        if sample.mask is not None
    ]
    evidence = infer_side(pairs, words.vocabulary)
    if file is None:
        refuse_other_side(index, evidence, expected=words.side)
    elif evidence.side is not None and evidence.side != words.side:
        raise DataError(
            f"The masks of {index.root} show that {file} says left and right from the {evidence.side}'s "
            f"point of view ({evidence.summary}), but its first line states the {words.side}'s. Mend `side` "
            f"in its lines, or describe again.",
            code="LEX-DATA-131",
        )
