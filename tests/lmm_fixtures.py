"""A data set of discs of known place, size and colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.sample import SPLITS
from lexiseg.describing.multimodal import server_model
from lexiseg.files import write_json


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_model, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def discs(tmp_path: Path) -> Callable[[int], Path]:
    """Return a maker of a data set: a red disc of radius 6 in the middle of 64 x 64 pixels, on noise."""

    def make(count: int) -> Path:
        root = tmp_path / "discs"
        y, x = np.mgrid[:64, :64]
        disc = (y - 31.5) ** 2 + (x - 31.5) ** 2 <= 36
        for number in range(count):
            image = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            image[disc] = (165, 50, 45)
            image[30, 30] = (165, 50, number)  # no two pictures are alike
            for folder, pixels in (("images", image), ("masks", disc.astype(np.uint8) * 255)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / folder / f"disc{number:02}.png")
        names = [f"disc{number:02}" for number in range(count)]
        write_json(root / "splits.json", {s: names[i::3] for i, s in enumerate(SPLITS)})
        return root

    return make
