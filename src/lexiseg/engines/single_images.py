"""Batches on the CPU, computed image by image.

Libraries add numbers in an order that depends on the size of a batch, so the last digits of a result would
depend on which images happen to be computed together. On a CPU, a batch is no faster than its images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from lexiseg.engines.engine import EngineOutput, FloatArray


def run_singly(
    run: Callable[[FloatArray, FloatArray | None], EngineOutput],
    images: FloatArray,
    inside: FloatArray | None = None,
    map_images: Callable[[Callable[[slice], EngineOutput], list[slice]], Iterable[EngineOutput]] = map,
) -> EngineOutput:
    """Return the outputs of a network for images that it gets one at a time.

    Args:
        run: The network.
        images: `(B, 3, S, S)` float32.
        inside: Where the images are, as for `Engine.run`.
        map_images: Applies a function to each image, in order; a pool of threads does so side by side.
    """
    if len(images) < 2:
        return run(images, inside)

    def one(part: slice) -> EngineOutput:
        return run(images[part], None if inside is None else inside[part])

    outputs = list(map_images(one, [slice(i, i + 1) for i in range(len(images))]))
    features = [output.features for output in outputs if output.features is not None]
    return EngineOutput(
        logits=np.concatenate([output.logits for output in outputs]),
        words=tuple(np.concatenate(factor) for factor in zip(*(out.words for out in outputs), strict=True)),
        features=np.concatenate(features) if features else None,
    )
