"""A procedural histology-like set: large images of a tissue with hundreds of small nuclei, and exact masks.

It is drawn, not photographed: results on it say how a method treats small structures in large images, and
nothing about histology.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from lexiseg.data.readers import write_mask
from lexiseg.files import write_json

Pixels = npt.NDArray[np.uint8]

# Colours of a stain of haematoxylin and eosin: background, tissue fibres, nuclei.
_PINK, _FIBRE, _NUCLEUS = np.array([232, 200, 220]), np.array([205, 140, 180]), np.array([95, 65, 140])
# Half axes of a nucleus, in pixels.
_AXES = (6.0, 13.0)


def write_histology(
    folder: Path,
    *,
    train: int,
    val: int,
    test: int,
    size: int,
    nuclei: int,
    seed: int,
    shapes: Sequence[float] = (1.0,),
) -> None:
    """Write images, masks and splits.

    Args:
        folder: A new folder.
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        size: Longer side of each image in pixels.
        nuclei: Mean number of nuclei per image of 1,000 x 1,000 pixels.
        seed: Seed of everything.
        shapes: How many times as wide as high the images are; these shapes take turns in each split. Images
            that are not square are cut from square ones.
    """
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for split, count in (("train", train), ("val", val), ("test", test)):
        for number in range(count):
            name = f"{split}{number:03}"
            rng = np.random.default_rng((seed, len(split), number))
            image, labels = draw_tissue(size, round(nuclei * (size / 1000) ** 2), rng)
            shape = shapes[number % len(shapes)]
            height, width = round(size * min(1, 1 / shape)), round(size * min(1, shape))
            image, labels = image[:height, :width], labels[:height, :width]
            for kind in ("images", "masks"):
                (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            write_mask(folder / "masks" / f"{name}.png", labels)
            splits[split].append(name)
    write_json(folder / "splits.json", splits)


def draw_tissue(size: int, nuclei: int, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Draw one image `(S, S, 3)` and its labels `(S, S)`, both uint8.

    Nuclei are dark ellipses of different size, darkness and texture. Red blood cells, which are no nuclei,
    and dark fibres keep darkness alone from telling where nuclei are.
    """
    image = _background(size, rng)
    labels = np.zeros((size, size), np.uint8)
    for _ in range(max(1, round(nuclei * rng.uniform(0.6, 1.4)))):
        centre, axes, angle = rng.uniform(0, size, 2), rng.uniform(*_AXES, 2), rng.uniform(0, np.pi)
        box, inside = _ellipse(size, centre, axes, angle)
        depth = rng.uniform(0.45, 1.0)
        grain = 1 + 0.25 * ndimage.gaussian_filter(rng.normal(size=inside.shape), 1.5)
        colour = _NUCLEUS * rng.uniform(0.85, 1.25)
        share = depth * np.clip(grain, 0, 1) * inside
        image[box] += share[..., None] * (colour - image[box])
        labels[box][inside > 0.5] = 1
    for _ in range(nuclei // 6):  # red blood cells: of the same size, but without the blue
        centre, radius = rng.uniform(0, size, 2), rng.uniform(7, 10)
        box, inside = _ellipse(size, centre, np.array([radius, radius]), 0.0)
        free = inside * (labels[box] == 0)
        image[box] += 0.8 * free[..., None] * (np.array([190, 60, 90]) - image[box])
    image = ndimage.gaussian_filter(image, (0.8, 0.8, 0)) + rng.normal(0, 6, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), labels


def _background(size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return pink tissue with fibres, `(S, S, 3)`."""
    coarse = ndimage.gaussian_filter(rng.normal(size=(size, size)), 25)
    fine = ndimage.gaussian_filter(rng.normal(size=(size, size)), (2, 9))
    share = np.clip(0.5 + 0.25 * coarse / coarse.std() + 0.2 * fine / fine.std(), 0, 1)
    return _PINK + share[..., None] * (_FIBRE - _PINK)


def _ellipse(
    size: int, centre: npt.NDArray[np.float64], axes: npt.NDArray[np.float64], angle: float
) -> tuple[tuple[slice, slice], npt.NDArray[np.float64]]:
    """Return the part of the image that holds an ellipse, and the ellipse in it, 0..1 with a soft border."""
    reach = int(np.ceil(axes.max())) + 2
    top, left = (max(0, int(c) - reach) for c in centre)
    bottom, right = (min(size, int(c) + reach + 1) for c in centre)
    rows, columns = np.mgrid[top:bottom, left:right]
    down, across = rows - centre[0], columns - centre[1]
    along = (down * np.sin(angle) + across * np.cos(angle)) / axes[0]
    beside = (down * np.cos(angle) - across * np.sin(angle)) / axes[1]
    distance = np.hypot(along, beside)
    return (slice(top, bottom), slice(left, right)), np.clip((1 - distance) * axes.min() + 0.5, 0, 1)
