"""Grey masks among masks with a palette or colours: their own values are no colours of these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.mask_inference import infer_mask_coding
from lexiseg.data.readers import read_mask
from refusals import refuses

ONE = np.zeros((20, 20), np.uint8)
ONE[2:8, 2:8] = 1
TWO = ONE.copy()
TWO[12:18, 12:18] = 2
RED_GREEN = (0, 0, 0, 255, 0, 0, 0, 255, 0)
RED_WHITE = (0, 0, 0, 255, 0, 0, 255, 255, 255)


def with_palette(path: Path, labels: np.ndarray, palette: tuple[int, ...]) -> Path:
    image = Image.fromarray(labels).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette(palette)
    image.save(path)
    return path


def saved(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("labels", [ONE, TWO])
def test_a_value_that_is_no_colour_of_the_others_is_refused(
    labels: np.ndarray, value: int, tmp_path: Path
) -> None:
    paths = [with_palette(tmp_path / f"{n}.png", labels, RED_GREEN) for n in range(3)]
    grey = saved(tmp_path / "grey.png", ONE * np.uint8(value))
    with refuses("LEX-DATA-2013", "grey.png", f"the value {value}"):
        infer_mask_coding([*paths, grey])


def test_a_value_that_is_a_colour_of_the_others_is_that_class(tmp_path: Path) -> None:
    red_white = with_palette(tmp_path / "a.png", TWO, RED_WHITE)
    grey = saved(tmp_path / "b.png", (TWO == 2).astype(np.uint8) * np.uint8(255))
    empty = saved(tmp_path / "c.png", ONE * np.uint8(0))
    coding, _ = infer_mask_coding([red_white, grey, empty])
    assert coding.num_classes == 3
    np.testing.assert_array_equal(read_mask(grey, coding) > 0, TWO == 2)
    assert read_mask(grey, coding).max() == read_mask(red_white, coding)[15, 15]


def test_grey_in_a_file_of_colours_is_a_colour(tmp_path: Path) -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[2:8, 2:8, 0] = 255
    white = np.repeat((ONE * np.uint8(255))[..., None], 3, axis=2)
    coding, _ = infer_mask_coding([saved(tmp_path / "a.png", red), saved(tmp_path / "b.png", white)])
    assert coding.num_classes == 3
