"""The phantom's healthy chest: body, lungs, heart, ribs, vessels and devices, as X-ray attenuation.

Coordinates are x to the right and y down, both 0..1 over the image. A larger attenuation is brighter, as on a
radiograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Anatomy of a patient, the same in all exams. Lengths are shares of the image.

    Attributes:
        lungs: Per lung (image left, image right): centre x, centre y, half width, half height.
        heart: Centre x, centre y, half width, half height.
        body: Half width of the trunk.
        ribs: Number of ribs, slope, phase and strength.
        lung_level: Attenuation of healthy lung.
    """

    lungs: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    heart: tuple[float, float, float, float]
    body: float
    ribs: tuple[float, float, float, float]
    lung_level: float


@dataclass(frozen=True, kw_only=True)
class Chest:
    """One exam of a patient.

    Attributes:
        attenuation: (H, W) float32.
        lungs: Per lung, depth of each pixel inside it: (H, W) float32, above 0 inside, 1 in its middle.
        x: (H, W) float32, column in anatomical coordinates.
        y: (H, W) float32, row in anatomical coordinates.
    """

    attenuation: Field
    lungs: tuple[Field, Field]
    x: Field
    y: Field

    def expose(self, rng: np.random.Generator, density: Field) -> npt.NDArray[np.uint8]:
        """Return the picture of the chest with lesions, with random exposure and noise.

        Args:
            rng: Generator of exposure and noise.
            density: (H, W) float32, attenuation added by lesions.

        Returns:
            (H, W) uint8.
        """
        signal = self.attenuation + density
        gamma, gain = rng.uniform(0.75, 1.35), rng.uniform(0.8, 1.1)
        picture = gain * np.clip(signal, 0.0, 1.3) ** gamma + rng.uniform(-0.04, 0.06)
        grain = rng.normal(0.0, rng.uniform(0.012, 0.035), size=signal.shape).astype(np.float32)
        return np.asarray(np.clip((picture + grain) * 255.0, 0, 255), dtype=np.uint8)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient."""
    middle = rng.uniform(0.485, 0.515)
    distance = rng.uniform(0.20, 0.23)
    lungs = tuple(
        (
            middle + side * distance + rng.normal(0, 0.006),
            rng.uniform(0.45, 0.50),
            rng.uniform(0.14, 0.175),
            rng.uniform(0.31, 0.37),
        )
        for side in (-1, 1)
    )
    return Anatomy(
        lungs=(lungs[0], lungs[1]),
        heart=(middle + 0.05, rng.uniform(0.62, 0.68), rng.uniform(0.10, 0.15), rng.uniform(0.14, 0.19)),
        body=rng.uniform(0.42, 0.49),
        ribs=(rng.uniform(8, 11), rng.uniform(0.25, 0.55), rng.uniform(0, 1), rng.uniform(0.03, 0.075)),
        lung_level=rng.uniform(0.12, 0.26),
    )


def render_chest(rng: np.random.Generator, anatomy: Anatomy, size: int) -> Chest:
    """Draw one exam: with random breathing, rotation and sometimes a device."""
    x, y = _coordinates(rng, size)
    wobble = smooth_noise(rng, size, cells=5) * 0.10
    lungs = (_lung(anatomy.lungs[0], x, y, wobble, -1.0), _lung(anatomy.lungs[1], x, y, wobble, 1.0))
    trunk = _sigmoid((anatomy.body - np.abs(x - 0.5) - 0.05 * _sigmoid((0.18 - y) / 0.03)) / 0.02)
    attenuation = 0.03 + trunk * (0.52 + 0.10 * y)
    air = np.maximum(_sigmoid(lungs[0] / 0.05), _sigmoid(lungs[1] / 0.05))
    attenuation -= air * (attenuation - anatomy.lung_level) * 0.9
    attenuation += air * smooth_noise(rng, size, cells=28) * 0.05
    attenuation += _vessels(x, y, anatomy, air)
    attenuation += _ribs(x, y, anatomy) * trunk
    attenuation += 0.22 * _blob(x, y, anatomy.heart, softness=0.25)
    attenuation += 0.20 * np.exp(-(((x - 0.5) / 0.035) ** 2)) * trunk
    attenuation += smooth_noise(rng, size, cells=4) * 0.05 + rng.uniform(-0.08, 0.08) * (x - 0.5)
    if rng.random() < 0.35:
        attenuation += _device(rng, x, y)
    return Chest(attenuation=attenuation.astype(np.float32), lungs=lungs, x=x, y=y)


def smooth_noise(rng: np.random.Generator, size: int, *, cells: int) -> Field:
    """Return a smooth random field (size, size) of about `cells` bumps a side, mostly within -1..1."""
    coarse = rng.normal(0.0, 0.6, size=(cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def _coordinates(rng: np.random.Generator, size: int) -> tuple[Field, Field]:
    """Return x and y of each pixel after a small rotation, shift and change of scale."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    angle, scale = rng.normal(0.0, 0.025), rng.uniform(0.95, 1.05)
    cosine, sine = np.float32(np.cos(angle) * scale), np.float32(np.sin(angle) * scale)
    x = cosine * axis[None, :] + sine * axis[:, None] + np.float32(0.5 + rng.normal(0.0, 0.008))
    y = cosine * axis[:, None] - sine * axis[None, :] + np.float32(0.5 + rng.normal(0.0, 0.015))
    return x, y


def _lung(
    lung: tuple[float, float, float, float], x: Field, y: Field, wobble: Field, outward: float
) -> Field:
    """Return the depth of each pixel inside a lung, which is narrow at the top and ends at the diaphragm."""
    centre_x, centre_y, half_width, half_height = lung
    down = (y - centre_y) / half_height
    width = half_width * (1.0 + 0.18 * down)
    across = (x - centre_x - outward * 0.02 * down) / width
    inside = 1.0 - np.abs(across) ** 2.4 - np.abs(down) ** 2.8 + wobble
    diaphragm = (0.92 - down - 0.25 * (across * -outward) ** 2) * 2.5
    return np.asarray(np.minimum(inside, diaphragm), dtype=np.float32)


def _blob(x: Field, y: Field, place: tuple[float, float, float, float], *, softness: float) -> Field:
    centre_x, centre_y, half_width, half_height = place
    distance = ((x - centre_x) / half_width) ** 2 + ((y - centre_y) / half_height) ** 2
    return _sigmoid((1.0 - distance) / softness)


def _ribs(x: Field, y: Field, anatomy: Anatomy) -> Field:
    """Return bright bands that slope downwards to both sides."""
    number, slope, phase, strength = anatomy.ribs
    arc = y - slope * (np.abs(x - 0.5) - 0.2) ** 2 * 4.0 - 0.15 * np.abs(x - 0.5)
    return np.asarray(strength * np.maximum(0.0, np.sin(2 * np.pi * (number * arc + phase))) ** 2)


def _vessels(x: Field, y: Field, anatomy: Anatomy, air: Field) -> Field:
    """Return the brighter root of each lung, next to the heart."""
    field = np.zeros_like(x)
    for side, (centre_x, centre_y, half_width, _) in zip((1.0, -1.0), anatomy.lungs, strict=True):
        root = (centre_x + side * half_width * 0.7, centre_y + 0.04, half_width * 0.6, 0.13)
        field += 0.10 * _blob(x, y, root, softness=0.6)
    return field * air


def _device(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Return a thin bright line across the chest: a cable or a tube, not a lesion."""
    bend, start, slope = rng.uniform(-0.3, 0.3), rng.uniform(0.2, 0.8), rng.uniform(-0.6, 0.6)
    path = start + slope * (y - 0.5) + bend * (y - 0.5) ** 2
    return np.asarray(0.25 * np.exp(-(((x - path) / 0.006) ** 2)))


def _sigmoid(value: Field) -> Field:
    # A linear ramp instead of an exponential: similar images in a third of the time.
    return np.asarray(np.clip(0.5 + 0.25 * value, 0.0, 1.0))
