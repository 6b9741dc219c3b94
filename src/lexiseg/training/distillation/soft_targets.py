"""Distillation: the averaged soft masks of finished runs teach a network, beside the true masks.

The teachers draw each training image once, before the first step, as they predict it: without words, the mean
of the image and its mirror image where the training mirrors images. Their masks are stored at half the image
size, where networks compute their finest features: 72 MB for 5,713 images of one class at 224 px.

Shape legend: B batch, N training images, K foreground classes, s side of the stored masks, S side of the
training images.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import Tensor

from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.sample import Sample
from lexiseg.engines.choice import load_engine
from lexiseg.engines.grid import foreground_probability
from lexiseg.inference.ensemble import Member
from lexiseg.inference.options import BATCH_SIZE
from lexiseg.models.losses import soft_label_loss
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.inputs.sample_cache import DecodedSamples, Pixels, PixelSource
from lexiseg.training.soft_masks import StoredMasks, half_size_bytes, resized_channels
from lexiseg.training.steps.segmentation_module import SegmentationModule
from lexiseg.training.zone_atlas import mirrored_axes

#: Share of the images after which progress is said.
_SAID_EVERY = 0.2


class DistillationModule(SegmentationModule):
    """Trains a network on true masks and on soft masks of teachers; every image has both.

    The objective weighs the cross-entropy and the Dice of the true masks 1 each, as those of the compact
    systems do.
    """

    def loss_parts(self, batch: Batch) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch, and `total`.

        Args:
            batch: The batch; its pictures are the soft masks.

        Returns:
            The parts of the objective, and `soft`, the loss on the soft masks. In the total, the losses on
            the true masks weigh `1 - teacher_share`, and `soft` weighs `teacher_share`.
        """
        assert batch.picture is not None
        assert self.config.distillation is not None
        output, labels, indices = self.answers(batch)
        wanted = batch.picture.float() / 255
        parts: dict[str, Tensor] = self.objective(output, labels, indices)
        soft = soft_label_loss(output.logits, wanted, torch.ones(len(wanted), device=wanted.device))
        hard = parts["cross_entropy"] + parts["dice"]
        total = parts["total"] + self.config.distillation.share * (soft - hard)
        return {**parts, "soft": soft, "total": total}


class SoftTargets:
    """The soft masks of teachers as pictures that belong to the training images.

    Args:
        probability: Probability of each class times 255, `(N, K, s, s)` uint8, in the order of the samples.
        size: Side S of the training images.
    """

    def __init__(self, probability: npt.NDArray[np.uint8], *, size: int) -> None:
        self._probability = probability
        self._size = size

    def picture(self, position: int) -> Pixels:
        """Return the soft mask of a sample, `(S, S, K)` uint8."""
        return resized_channels(self._probability[position], self._size)


def soft_targets(
    teachers: Sequence[Run],
    config: TrainConfig,
    *,
    pixels: PixelSource,
    samples: Sequence[Sample],
    coding: MaskCoding,
    folder: Path,
    console: Console,
) -> SoftTargets:
    """Return the averaged soft masks of teachers; masks that are stored already are not drawn again.

    Args:
        teachers: The teachers, as `lexiseg.training.distillation.teacher_runs.open_teachers` returns them.
        config: The configuration of the training.
        pixels: Images and labels of the training samples.
        samples: The training samples.
        coding: How their masks are coded.
        folder: Where the masks of each teacher are stored.
        console: Where progress is shown.

    Raises:
        RunError: Stored masks are damaged, or the scores of a teacher are not finite.
        DataError: An image cannot be read.
    """
    side = config.image_size // 2
    total: npt.NDArray[np.uint16] | None = None
    for number, run in enumerate(teachers, start=1):
        file = folder / f"run_{number}.safetensors"
        if not file.is_file():
            own = pixels
            if run.manifest.image_size != config.image_size:
                own = DecodedSamples(samples, coding, size=run.manifest.image_size)
            title = f"Teacher {number} of {len(teachers)} ({run.shown})"
            drawn = _drawn(run, own, config, title=title, console=console)
            ids = tuple(sample.id for sample in samples)
            weight = np.ones(len(ids), np.float32)
            StoredMasks(ids=ids, probability=drawn, weight=weight).save(file)
        stored = StoredMasks.load(file).probability
        if stored.shape[-1] != side:
            stored = np.stack([resized_channels(mask, side).transpose(2, 0, 1) for mask in stored])
        total = stored.astype(np.uint16) if total is None else total + stored
    assert total is not None
    # Rounded halves go up: the same on every machine.
    mean = (2 * total.astype(np.uint32) + len(teachers)) // (2 * len(teachers))
    return SoftTargets(mean.astype(np.uint8), size=config.image_size)


def drawing_seconds(teachers: Sequence[Run], config: TrainConfig, *, images: int) -> float:
    """Return about how long teachers need to draw the soft masks of a training; they are measured.

    Args:
        teachers: The teachers.
        config: The configuration of the training.
        images: Number of training images.
    """
    seconds = 0.0
    for run in teachers:
        member, mirror = _member(run, config), "horizontal" in mirrored_axes(config.augment)
        size = run.manifest.image_size
        noise = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, size, size, 3), dtype=np.uint8)
        times = []
        for _ in range(2):  # the first one also prepares the network
            started = time.perf_counter()
            _probabilities(member, list(noise), mirror=mirror)
            times.append(time.perf_counter() - started)
        seconds += min(times) * images / BATCH_SIZE
    return seconds


def _member(run: Run, config: TrainConfig) -> Member:
    device = "cpu" if config.accelerator == "cpu" else "auto"
    return Member(run, load_engine(run, "torch", device=device), BATCH_SIZE)


def _drawn(
    run: Run, pixels: PixelSource, config: TrainConfig, *, title: str, console: Console
) -> npt.NDArray[np.uint8]:
    """Return the soft masks that a run draws, times 255, `(N, K, s, s)` uint8 at half of its image size."""
    member, mirror = _member(run, config), "horizontal" in mirrored_axes(config.augment)
    drawn, said = [], 0.0
    for first in range(0, len(pixels), BATCH_SIZE):
        images = [pixels[p][0] for p in range(first, min(first + BATCH_SIZE, len(pixels)))]
        coloured = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
        drawn += [
            half_size_bytes(probability) for probability in _probabilities(member, coloured, mirror=mirror)
        ]
        done = len(drawn) / len(pixels)
        if done - said >= _SAID_EVERY or done == 1:
            said = done
            console.print(
                f"{title}: {100 * done:.0f} % of {len(pixels)} masks.", markup=False, highlight=False
            )
    return np.stack(drawn)


def _probabilities(
    member: Member, images: Sequence[Pixels], *, mirror: bool
) -> list[npt.NDArray[np.float32]]:
    """Return the probabilities `(K, S, S)` of each image, averaged with those of its mirror image."""
    pictures = member.whole_images.pictures(images)
    plain = [foreground_probability(output.logits[0]) for output in member.outputs(pictures)]
    if not mirror:
        return plain
    turned = [foreground_probability(o.logits[0]) for o in member.outputs(pictures, mirrored=True)]
    return [(own + other[..., ::-1]) / np.float32(2) for own, other in zip(plain, turned, strict=True)]
