"""The lesion sizes by which the validation Dice of a training is standardised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.evaluation.scores.lesion_sizes import LesionSizes
from lexiseg.printable import counted
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.inputs.sample_cache import PixelSource


def lesion_sizes(
    index: DatasetIndex,
    config: TrainConfig,
    training: PixelSource,
    validation: PixelSource,
    scored: Sequence[int],
    console: Console,
) -> LesionSizes | None:
    """Return the sizes of the training split's lesions; None where the training does not select by them.

    Where images state a source, only those of the sources of the validation split are counted, if there are
    any.

    Args:
        index: The data set.
        config: The configuration.
        training: Images and labels of its training split.
        validation: Images and labels of its validation split.
        scored: Positions of the validation images that are scored after each segment.
        console: Where the sizes, and size groups without one of these images, are said.

    Raises:
        UsageError: No mask of the training split holds a lesion.
        DataError: A file cannot be read.
    """
    if config.selection != "size_standardised_dice":
        return None
    samples = index.split("train")
    sources = {sample.source for sample in index.split("val")}
    masked = [p for p, sample in enumerate(samples) if sample.mask is not None]
    chosen = [p for p in masked if samples[p].source in sources] or masked
    shares = _shares(training, chosen)
    if not any(shares):
        raise UsageError(
            f"selection: size_standardised_dice needs lesions in the training masks, but the {len(shares)} "
            "masks are empty. Use `selection: best`.",
            code="LEX-USE-1561",
        )
    sizes = LesionSizes.of(shares)
    small, large = (100 * cut for cut in sizes.cuts)
    console.print(
        f"Validation Dice is standardised by the lesion sizes of {sizes.images} training images: small up to "
        f"{small:.1f} % of the image, large above {large:.1f} %.",
        highlight=False,
    )
    absent = sizes.absent(_shares(validation, scored))
    if absent:
        console.print(
            f"None of the {counted(len(scored), 'validation image')} that the training scores after each "
            f"segment is in the size group {' or '.join(absent)}: the other groups weigh more instead.",
            style="yellow",
            highlight=False,
        )
    return sizes


def _shares(pixels: PixelSource, positions: Sequence[int]) -> list[float]:
    """Return the share of each image that is lesion, 0..1."""
    shares = []
    for position in positions:
        labels = pixels[position][1]
        assert labels is not None
        shares.append(float(np.count_nonzero(labels) / labels.size))
    return shares
