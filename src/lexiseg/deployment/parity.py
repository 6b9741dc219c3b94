"""Parity of an exported model with the engine torch: scores, masks, words, flags and speed, over images."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lexiseg.chunks import chunks
from lexiseg.data.image_fit import Fit
from lexiseg.engines.engine import Engine, FloatArray
from lexiseg.inference.predictor import Predictor
from lexiseg.inference.result import Prediction
from lexiseg.json_records import Record
from lexiseg.mask_overlap import label_dice

Pixels = npt.NDArray[np.uint8]

# Passes whose least time counts.
_PASSES = 3


class ParityLimits(Record):
    """What an exported model must keep.

    Attributes:
        dice: Least mean Dice of its masks with those of torch.
        words: Least share of retrieved words that are equal.
        flags: Least share of flags that are equal.
        expected_dice: Largest difference of an expected Dice, in the mean.
    """

    dice: float
    words: float
    flags: float
    expected_dice: float


#: Limits for weights of 32 bits, and of 16 bits.
EXACT = ParityLimits(dice=0.9999, words=0.999, flags=0.999, expected_dice=0.0005)
ROUNDED = ParityLimits(dice=0.999, words=0.99, flags=0.99, expected_dice=0.002)


class ParityReport(Record):
    """How an exported model compares with the engine torch.

    Attributes:
        engine: The engine that computed the exported model.
        reference: The engine torch.
        images: Number of images.
        drawn: Whether the images were drawn at random, as none were given.
        limits: What the model must keep.
        logits: Largest difference of a mask score.
        dice: Mean Dice of the masks of both, 0..1; two empty masks have 1.
        least_dice: Least Dice of two masks, 0..1.
        words: Share of the retrieved words that are equal, 0..1; None without words.
        flags: Share of the flags that are equal, 0..1.
        expected_dice: Mean difference of the expected Dice; None for a run that is not calibrated.
        images_per_second: Of the network alone, in the exported model.
        reference_images_per_second: Of the network alone, in torch.
    """

    engine: str
    reference: str
    images: int
    drawn: bool
    limits: ParityLimits
    logits: float
    dice: float
    least_dice: float
    words: float | None
    flags: float
    expected_dice: float | None
    images_per_second: float
    reference_images_per_second: float

    @property
    def outside(self) -> tuple[str, ...]:
        """The limits that the model does not keep, one phrase each."""
        kept = {
            f"mean Dice of the masks {self.dice:.5f}, at least {self.limits.dice}": self.dice
            >= self.limits.dice,
            f"equal words {_percent(self.words)}, at least {_percent(self.limits.words)}": (
                self.words is None or self.words >= self.limits.words
            ),
            f"equal flags {_percent(self.flags)}, at least {_percent(self.limits.flags)}": (
                self.flags >= self.limits.flags
            ),
            f"mean difference of the expected Dice {self.expected_dice or 0:.5f}, at most "
            f"{self.limits.expected_dice}": (
                self.expected_dice is None or self.expected_dice <= self.limits.expected_dice
            ),
        }
        return tuple(phrase for phrase, holds in kept.items() if not holds)


@dataclass
class _Differences:
    """What was counted so far."""

    logits: float = 0.0
    dice: list[float] = field(default_factory=list)
    words: list[bool] = field(default_factory=list)
    flags: list[bool] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)

    def add(self, ours: Prediction, theirs: Prediction) -> None:
        self.dice.append(label_dice(ours.mask, theirs.mask))
        self.words += [a.index == b.index for a, b in zip(ours.words, theirs.words, strict=True)]
        self.flags.append(ours.flagged == theirs.flagged)
        if ours.expected_dice is not None and theirs.expected_dice is not None:
            self.expected.append(abs(ours.expected_dice - theirs.expected_dice))


def compare_engines(
    reference: Predictor,
    exported: Predictor,
    images: Iterable[Pixels],
    *,
    limits: ParityLimits,
    drawn: bool,
) -> ParityReport:
    """Compare an exported model with the engine torch.

    Args:
        reference: The run with the engine torch.
        exported: The run with the exported model.
        images: `(H, W, 3)` uint8, at least one; consumed only as far as needed.
        limits: What the model must keep.
        drawn: Whether the images were drawn at random.
    """
    found = _Differences()
    batch: FloatArray | None = None
    for chunk in chunks(images, reference.options.batch_size):
        prepared = reference.prepare(chunk)
        batch = prepared if batch is None else batch
        # Of the pictures as a whole, whatever they show of the images.
        ours, theirs = (predictor.engine.run(prepared).logits for predictor in (exported, reference))
        found.logits = max(found.logits, float(np.abs(ours - theirs).max()))
        for pair in zip(exported.predict_arrays(chunk), reference.predict_arrays(chunk), strict=True):
            found.add(*pair)
    assert batch is not None, "there is at least one image"
    return ParityReport(
        engine=str(exported.engine.description),
        reference=str(reference.engine.description),
        images=len(found.dice),
        drawn=drawn,
        limits=limits,
        logits=found.logits,
        dice=float(np.mean(found.dice)),
        least_dice=min(found.dice),
        words=float(np.mean(found.words)) if found.words else None,
        flags=float(np.mean(found.flags)),
        expected_dice=float(np.mean(found.expected)) if found.expected else None,
        images_per_second=speed(exported.engine, batch),
        reference_images_per_second=speed(reference.engine, batch),
    )


def speed(engine: Engine, batch: FloatArray) -> float:
    """Return the images per second of a network alone, from the fastest of a few passes.

    Args:
        engine: The engine.
        batch: Images as the network takes them, `(B, 3, S, S)`.
    """
    engine.run(batch)
    durations = []
    for _ in range(_PASSES):
        started = time.perf_counter()
        engine.run(batch)
        durations.append(time.perf_counter() - started)
    return len(batch) / min(durations)


def drawn_images(image_size: int, fit: Fit = "stretch", count: int = 8) -> list[Pixels]:
    """Return coarse noise as images `(H, W, 3)` uint8, always the same.

    Args:
        image_size: Side S of the pictures that the network sees.
        fit: How images fit them. Stretched images are S x S; others are 1.5 S high and 1.25 S wide, so that
            they are padded, or several tiles.
        count: Number of images.
    """
    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    height, width = image_size, image_size
    if fit != "stretch":
        height, width = image_size * 3 // 2, image_size * 5 // 4
    steps = -(-max(height, width) // 8)
    return [np.kron(image, np.ones((steps, steps, 1), np.uint8))[:height, :width] for image in coarse]


def _percent(share: float | None) -> str:
    """Return a share with two decimals, rounded down: only a whole one is 100 %."""
    return "none" if share is None else f"{math.floor(round(1e4 * share, 6)) / 100:g} %"
