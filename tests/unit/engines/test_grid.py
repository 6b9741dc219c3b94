"""The numpy grid does what torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.engines.grid import foreground_probability, resize_scores


def scores(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 6, shape).astype(np.float32)


@given(
    have=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    want=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_resizes_as_torch_does(have: tuple[int, int], want: tuple[int, int]) -> None:
    logits = scores(sum(have), 2, 3, *have)
    expected = F.interpolate(torch.from_numpy(logits), size=want, mode="bilinear", align_corners=False)
    found = resize_scores(logits, want)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_resizes_by_hand() -> None:
    logits = np.array([[[[0, 4]]]], np.float32)
    assert resize_scores(logits, (1, 4)).tolist() == [[[[0, 1, 3, 4]]]]
    assert resize_scores(logits, (1, 2)) is logits


@pytest.mark.parametrize("classes", [1, 4])
def test_probabilities_are_those_of_torch(classes: int) -> None:
    logits = scores(0, classes, 30, 20) * 10
    tensor = torch.from_numpy(logits)
    expected = tensor.sigmoid() if classes == 1 else tensor.softmax(dim=0)[1:]
    found = foreground_probability(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-30)
