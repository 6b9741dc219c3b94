from __future__ import annotations

import numpy as np
import pytest

from lexiseg.evaluation.scores.metrics_file import ReliabilityBin
from lexiseg.evaluation.scores.reliability import BINS, Reliability


def test_by_hand() -> None:
    reliability = Reliability()
    # Bin 0: two pixels of mean 0.02, none of them lesion. Bin 14: two of mean 0.95, one of them lesion.
    reliability.add(np.array([[[0.01, 0.03], [0.94, 0.96]]]), np.array([[0, 0], [1, 0]]))
    assert reliability.ece == pytest.approx((2 * 0.02 + 2 * 0.45) / 4)
    found = reliability.scores()
    assert (found.pixels, len(found.bins)) == (4, BINS)
    assert found.bins[0].model_dump() == {
        "range": (0.0, 1 / BINS), "pixels": 2, "probability": pytest.approx(0.02), "lesion": 0.0,
    }  # fmt: skip
    assert (found.bins[-1].pixels, found.bins[-1].lesion) == (2, 0.5)
    assert found.bins[5] == ReliabilityBin(
        range=(5 / BINS, 6 / BINS), pixels=0, probability=None, lesion=None
    )


def test_images_add_up_and_certainty_falls_into_the_last_bin() -> None:
    whole, parts = Reliability(), Reliability()
    rng = np.random.default_rng(0)
    probability = rng.random((1, 20, 10)).astype(np.float32)
    probability[0, 0, 0] = 1.0
    truth = (rng.random((20, 10)) < 0.5).astype(np.uint8)
    whole.add(probability, truth)
    parts.add(probability[:, :7], truth[:7])
    parts.add(probability[:, 7:], truth[7:])
    assert parts.ece == pytest.approx(whole.ece)
    pairs = zip(parts.scores().bins, whole.scores().bins, strict=True)
    assert all((one.pixels, one.lesion) == (other.pixels, other.lesion) for one, other in pairs)
    assert sum(found.pixels for found in whole.scores().bins) == 200


def test_every_class_counts() -> None:
    reliability = Reliability()
    reliability.add(np.array([[[1.0]], [[0.0]]]), np.array([[2]]))  # sure of class 1, and it is class 2
    assert reliability.ece == 1.0
    assert reliability.scores().pixels == 2


def test_nothing_seen_is_no_error() -> None:
    assert Reliability().ece == 0.0
