"""Soft masks that labellers or teachers drew once for training images, stored as bytes.

Shape legend: N images, K foreground classes, s side of the stored masks, S side of the training images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lexiseg.errors import RunError
from lexiseg.files import write_bytes
from lexiseg.open_files import too_many_open
from lexiseg.structured_text import parse_json
from lexiseg.training.inputs.sample_cache import Pixels
from lexiseg.words.zone_correction import Scores

_IDS = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredMasks:
    """Soft masks of images.

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
    def load(cls, path: Path) -> StoredMasks:
        """Read what `save` wrote.

        Raises:
            RunError: The file is damaged.
            DiskError: Too many files are open.
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
            raise too_many_open(path, error) or RunError(
                f"The pseudo labels {path} cannot be read ({error}). Delete the file and resume: they are "
                "drawn again.",
                code="LEX-RUN-832",
            ) from error
        return labels


def half_size_bytes(probability: Scores) -> npt.NDArray[np.uint8]:
    """Return probabilities `(K, S, S)` at half the size, times 255, `(K, S / 2, S / 2)` uint8.

    Networks compute their finest features at stride 2, so nothing is lost.
    """
    classes, height, width = probability.shape
    cells = probability[:, : height // 2 * 2, : width // 2 * 2].reshape(
        classes, height // 2, 2, width // 2, 2
    )
    return as_bytes(cells.mean(axis=(2, 4)))


def as_bytes(probability: Scores) -> npt.NDArray[np.uint8]:
    """Return probabilities times 255, rounded."""
    return np.asarray(np.rint(255 * probability), dtype=np.uint8)


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
