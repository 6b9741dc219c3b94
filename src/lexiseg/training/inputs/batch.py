"""One training example, and a batch of them.

Both are named tuples, which the data loader, its worker processes and Lightning hand on and move to a device
whole. Where one example of a batch lacks a part, all lack it.

Shape legend: B batch, C channels of an image (1 or 3), S side of the pictures that the network sees, K
channels of a companion picture, H, W size of a whole image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Example(NamedTuple):
    """One picture with what is known about it.

    Attributes:
        image: `(C, S, S)` uint8.
        labels: `(1, S, S)` uint8; 0 where there is no mask.
        indices: Phrases of the words, `(factors,)` int64; without words there are no factors.
        masked: Whether there is a mask, `()` bool.
        inside: 1 where the picture shows its image, `(1, S, S)` uint8; None: everywhere, as the image is
            stretched to it.
        picture: A picture that belongs to the image and moves with it, such as a soft mask times 255,
            `(K, S, S)` uint8; None: there is none.
        weight: How far the picture counts, `()` float32; given with a picture.
        whole: The whole image at its own pixels, `(C, H, W)` uint8; only of validation cases in tiles.
        truth: The labels of the whole image, `(H, W)` uint8; given with it.
    """

    image: Tensor
    labels: Tensor
    indices: Tensor
    masked: Tensor
    inside: Tensor | None = None
    picture: Tensor | None = None
    weight: Tensor | None = None
    whole: Tensor | None = None
    truth: Tensor | None = None


class Batch(NamedTuple):
    """Examples, stacked.

    Attributes:
        image: `(B, 3, S, S)` in 0..255: uint8, or float32 where `shrink` resized it.
        labels: `(B, 1, S, S)` integers; 0 where there is no mask.
        indices: Phrases of the words, `(B, factors)` int64.
        masked: Which images have a mask, `(B,)` bool.
        inside: 1 where a picture shows its image, `(B, 1, S, S)` uint8; None: everywhere.
        picture: The pictures that belong to the images, `(B, K, S, S)` in 0..255, of the type of the images.
        weight: How far each picture counts, `(B,)` float32.
        whole: The whole images, `(C, H, W)` uint8 each; None: they are not in tiles.
        truth: Their labels, `(H, W)` uint8 each.
    """

    image: Tensor
    labels: Tensor
    indices: Tensor
    masked: Tensor
    inside: Tensor | None = None
    picture: Tensor | None = None
    weight: Tensor | None = None
    whole: tuple[Tensor, ...] | None = None
    truth: tuple[Tensor, ...] | None = None


def collate(examples: Sequence[Example]) -> Batch:
    """Stack examples; grey images are repeated to three channels, and whole images keep their sizes."""
    return Batch(
        image=torch.stack([example.image.expand(3, -1, -1) for example in examples]),
        labels=torch.stack([example.labels for example in examples]),
        indices=torch.stack([example.indices for example in examples]),
        masked=torch.stack([example.masked for example in examples]),
        inside=_stacked(_all_or_none(example.inside for example in examples)),
        picture=_stacked(_all_or_none(example.picture for example in examples)),
        weight=_stacked(_all_or_none(example.weight for example in examples)),
        whole=_all_or_none(example.whole for example in examples),
        truth=_all_or_none(example.truth for example in examples),
    )


def _all_or_none(parts: Iterable[Tensor | None]) -> tuple[Tensor, ...] | None:
    """Return a part of all examples; None if they lack it."""
    every = tuple(parts)
    found = tuple(part for part in every if part is not None)
    assert len(found) in (0, len(every)), "either all examples of a batch have a part, or none has it"
    return found or None


def _stacked(parts: tuple[Tensor, ...] | None) -> Tensor | None:
    return None if parts is None else torch.stack(parts)
