"""Batches reach the training step as they are: from worker processes, pinned, on another device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils.pin_memory import pin_memory

from lexiseg.training.inputs.batch import Batch, Example, collate
from lexiseg.training.inputs.examples import example

PIXELS = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)


class Examples(Dataset[Example]):
    """Four examples with a picture each."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> Example:
        return example(PIXELS, PIXELS[..., 0], (position,), picture=PIXELS + 1, weight=position / 4)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_a_loader(workers: int) -> None:
    loader = DataLoader(Examples(), batch_size=2, collate_fn=collate, num_workers=workers)
    first, second = loader
    assert (type(first), second.image.shape) == (Batch, (2, 3, 4, 4))
    assert [batch.indices.tolist() for batch in (first, second)] == [[[0], [1]], [[2], [3]]]
    assert second.weight is not None
    assert second.weight.tolist() == [0.5, 0.75]
    assert (second.inside, second.whole) == (None, None)


def test_batches_are_pinned_and_moved_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = example(PIXELS, PIXELS[..., 0], ())._replace(whole=torch.ones(1, 9, 7), truth=torch.ones(9, 7))
    batch = collate([whole, whole._replace(whole=torch.ones(1, 2, 3), truth=torch.ones(2, 3))])
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, Batch)
    assert moved.image.is_meta
    assert moved.whole is not None
    assert [image.is_meta for image in moved.whole] == [True, True]
    assert (moved.inside, moved.picture) == (None, None)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, device=None: self + 0)
    pinned = pin_memory(batch)
    assert isinstance(pinned, Batch)
    assert pinned.truth is not None
    assert [tuple(truth.shape) for truth in pinned.truth] == [(9, 7), (2, 3)]


def test_a_batch_of_unlike_examples_is_a_fault_of_the_program() -> None:
    one = example(PIXELS, PIXELS[..., 0], ())
    with pytest.raises(AssertionError, match="all examples of a batch"):
        collate([one, one._replace(inside=one.labels)])
