"""Pseudo labels: soft masks that teachers drew once for images without mask.

Shape legend: N images without mask, K foreground classes, s side of the stored labels, S side of the training
images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lexiseg.data.sample import Sample
from lexiseg.errors import RunError
from lexiseg.files import write_bytes
from lexiseg.structured_text import parse_json
from lexiseg.training.inputs.sample_cache import Pixels

#: Their file in the run folder.
PSEUDO_LABELS_FILE = "pseudo_labels.safetensors"

_IDS = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, kw_only=True, eq=False)
class PseudoLabels:
    """Soft masks of images without mask.

    Attributes:
        ids: Ids of the images.
        probability: Probability of each foreground class times 255, `(N, K, s, s)` uint8.
        weight: How far each image counts, `(N,)` float32 in 0..1.
    """

    ids: tuple[str, ...]
    probability: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write them as one safetensors file, whole or not at all.

        Raises:
            DiskError: The file cannot be written.
        """
        tensors: dict[str, npt.NDArray[Any]] = {"probability": self.probability, "weight": self.weight}
        write_bytes(path, save(tensors, metadata={"ids": json.dumps(self.ids)}))

    @classmethod
    def load(cls, path: Path) -> PseudoLabels:
        """Read what `save` wrote.

        Raises:
            RunError: The file is damaged.
        """
        try:
            with safe_open(path, framework="np") as file:
                ids = _IDS.validate_python(parse_json((file.metadata() or {})["ids"]))
                labels = cls(
                    ids=ids, probability=file.get_tensor("probability"), weight=file.get_tensor("weight")
                )
            if not len(labels.ids) == len(labels.probability) == len(labels.weight):
                raise ValueError("ids, probabilities and weights differ in number")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RunError(
                f"The pseudo labels {path} cannot be read ({error}). Delete the file and resume: they are "
                "drawn again.",
                code="LEX-RUN-832",
            ) from error
        return labels


class SoftMasks:
    """The pseudo labels as pictures that belong to the training images; images with a mask have an empty one.

    Args:
        labels: The pseudo labels.
        samples: The training samples.
        size: Side S of the training images.
    """

    def __init__(self, labels: PseudoLabels, samples: Sequence[Sample], *, size: int) -> None:
        rows = {name: row for row, name in enumerate(labels.ids)}
        self._rows = [rows.get(sample.id) if sample.mask is None else None for sample in samples]
        self._labels = labels
        self._size = size

    def picture(self, position: int) -> Pixels:
        """Return the probabilities of a sample, `(S, S, K)` uint8."""
        row = self._rows[position]
        stored = self._labels.probability
        if row is None:
            return np.zeros((self._size, self._size, stored.shape[1]), np.uint8)
        return resized_channels(stored[row], self._size)

    def labels(self, position: int) -> Pixels:
        """Return the most probable class of each pixel, `(S, S)` uint8."""
        return most_probable(self.picture(position))

    def weight(self, position: int) -> float:
        """Return how far a sample counts, 0..1."""
        row = self._rows[position]
        return 1.0 if row is None else float(self._labels.weight[row])


def resized_channels(probability: npt.NDArray[np.uint8], size: int) -> Pixels:
    """Return probabilities times 255, `(K, s, s)` uint8, at another size, `(size, size, K)` uint8."""
    wanted = (size, size)
    channels = [
        np.asarray(Image.fromarray(channel).resize(wanted, Image.Resampling.BILINEAR))
        for channel in probability
    ]
    return np.stack(channels, axis=-1)


def most_probable(probability: Pixels) -> Pixels:
    """Return labels `(H, W)` uint8 of probabilities times 255, `(H, W, K)` uint8."""
    if probability.shape[2] == 1:
        return np.asarray(probability[..., 0] > 127, dtype=np.uint8)
    background = 255 - probability.astype(np.int16).sum(axis=2, keepdims=True)
    return np.asarray(np.concatenate([background, probability], axis=2).argmax(axis=2), dtype=np.uint8)
