"""The inputs of a model file, by their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lexiseg.engines.engine import FloatArray
from lexiseg.engines.model_file import INPUT_NAME, INSIDE_NAME


def network_inputs(
    images: FloatArray, inside: FloatArray | None, taken: Sequence[str]
) -> dict[str, FloatArray]:
    """Return the inputs of a model by name; see `Engine.run`.

    Args:
        images: Pictures `(B, 3, S, S)`.
        inside: Where they show the image, `(B, 1, S, S)`; None: everywhere.
        taken: Names of the inputs that the model takes.
    """
    inputs = {INPUT_NAME: np.ascontiguousarray(images)}
    if INSIDE_NAME in taken:
        everywhere = np.ones((len(images), 1, *images.shape[2:]), np.float32)
        inputs[INSIDE_NAME] = everywhere if inside is None else np.ascontiguousarray(inside)
    return inputs
