"""Small images and masks on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Tree = Callable[..., Path]


def save_image(path: Path, seed: int, shape: tuple[int, int] = (32, 40)) -> None:
    """Write a picture of smooth random patches, so that different seeds look different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, size=(6, 6), dtype=np.uint8)
    Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC).save(path)


def save_mask(path: Path, shape: tuple[int, int] = (32, 40), *, value: int = 255, left: bool = True) -> None:
    """Write a mask with one block in the left (or right) half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(shape, np.uint8)
    rows = slice(shape[0] // 2, shape[0] // 2 + 8)
    columns = slice(4, 12) if left else slice(shape[1] - 12, shape[1] - 4)
    labels[rows, columns] = value
    Image.fromarray(labels).save(path)
