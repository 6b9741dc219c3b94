"""The phantom's lesions: soft opacities and nodules inside the lungs, with their exact outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lexiseg.data.phantom_anatomy import Chest, Field, smooth_noise

Kind = Literal["opacity", "nodule"]

_LABELS: dict[Kind, int] = {"opacity": 1, "nodule": 2}

#: An outline must enclose at least this share of the image; otherwise the lesion is drawn larger.
_MIN_SHARE = 0.0015
_GROWTH = 1.35
_MAX_TRIES = 12


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """Parameters of one lesion.

    Attributes:
        kind: "opacity": large, soft, uneven; "nodule": small, round, denser.
        lung: 0 for the lung on the image's left, 1 for the other.
        across: Place across the lung, -1..1.
        down: Place down the lung, -1..1.
        half_width: Share of the image.
        half_height: Share of the image.
        density: Attenuation in its middle.
    """

    kind: Kind
    lung: int
    across: float
    down: float
    half_width: float
    half_height: float
    density: float


def draw_lesions(rng: np.random.Generator, classes: int) -> list[Lesion]:
    """Draw one to six lesions in one lung or both; with two classes, some of them nodules."""
    number = int(rng.choice([1, 2, 3, 4, 6], p=[0.25, 0.3, 0.2, 0.15, 0.1]))
    both = number > 1 and rng.random() < 0.8
    # Half of all patients have small lesions, the others a few large ones.
    large = rng.random() < 0.5
    first = int(rng.integers(2))
    lesions = []
    for place in range(number):
        lung = (first + place) % 2 if both else first
        nodule = classes == 2 and rng.random() < 0.4
        size = (
            rng.uniform(0.028, 0.05)
            if nodule
            else rng.uniform(0.07, 0.16)
            if large
            else rng.uniform(0.03, 0.07)
        )
        stretch = 1.0 if nodule else rng.uniform(0.8, 1.9)
        lesions.append(
            Lesion(
                kind="nodule" if nodule else "opacity",
                lung=lung,
                across=rng.uniform(-0.6, 0.6),
                down=float(np.clip(rng.normal(-0.15, 0.5), -0.8, 0.8)),
                half_width=size,
                half_height=size * stretch,
                density=rng.uniform(0.16, 0.28) if nodule else rng.uniform(0.05, 0.19),
            )
        )
    return lesions


def render_lesions(
    rng: np.random.Generator, lesions: list[Lesion], chest: Chest
) -> tuple[Field, npt.NDArray[np.uint8]]:
    """Draw lesions into a chest.

    The outline is the zero line of a bump-shaped field inside the lung. The density rises smoothly from
    there, with its own texture, so the edge in the image is visible but faint.

    Args:
        rng: Generator of outlines and textures.
        lesions: The lesions.
        chest: The chest.

    Returns:
        density: (H, W) float32, the attenuation added by lesions.
        labels: (H, W) uint8: 1 for an opacity, 2 for a nodule, which covers opacities.
    """
    size = chest.x.shape[0]
    density = np.zeros_like(chest.x)
    labels = np.zeros(chest.x.shape, np.uint8)
    for lesion in sorted(lesions, key=lambda lesion: _LABELS[lesion.kind]):
        bump = _bump(rng, lesion, chest, size)
        outline = bump > 0
        texture = 1.0 + (0.35 * smooth_noise(rng, size, cells=20) if lesion.kind == "opacity" else 0.0)
        rise = np.clip(bump / (0.55 if lesion.kind == "opacity" else 0.35), 0.0, 1.0)
        density += lesion.density * (0.3 + 0.7 * rise) * texture * outline
        labels[outline] = _LABELS[lesion.kind]
    return density, labels


def _bump(rng: np.random.Generator, lesion: Lesion, chest: Chest, size: int) -> Field:
    """Return a field above zero inside the lesion: a bump with a rough edge, limited to the lung."""
    inside = chest.lungs[lesion.lung]
    rows, columns = np.nonzero(inside > 0.15)
    left, right = chest.x[rows, columns].min(), chest.x[rows, columns].max()
    top, bottom = chest.y[rows, columns].min(), chest.y[rows, columns].max()
    centre_x = (left + right) / 2 + lesion.across * (right - left) / 2
    centre_y = (top + bottom) / 2 + lesion.down * (bottom - top) / 2
    roughness = 0.45 if lesion.kind == "opacity" else 0.12
    rough = roughness * smooth_noise(rng, size, cells=9)
    growth = 1.0
    for _ in range(_MAX_TRIES):
        distance = ((chest.x - centre_x) / (lesion.half_width * growth)) ** 2
        distance += ((chest.y - centre_y) / (lesion.half_height * growth)) ** 2
        bump = np.minimum(1.0 - distance + rough * np.minimum(distance, 1.0), inside * 2.0)
        bump[distance > 2.5] = -1.0
        if np.count_nonzero(bump > 0) >= _MIN_SHARE * bump.size:
            return np.asarray(bump)
        growth *= _GROWTH
    raise AssertionError("expected the enlarged lesion to reach the lung")
