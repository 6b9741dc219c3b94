from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageColor

from lexiseg.inference.explanation.overlay import PREDICTED_COLOUR, TRUTH_COLOUR, draw_overlay
from refusals import refuses

ORANGE, BLUE = (np.array(ImageColor.getrgb(colour)) for colour in (PREDICTED_COLOUR, TRUTH_COLOUR))


def near(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) < 60


def grey(rows: int = 120, columns: int = 200) -> np.ndarray:
    return np.full((rows, columns, 3), 128, np.uint8)


def box(top: int, left: int, bottom: int, right: int, shape: tuple[int, int] = (120, 200)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def test_contours_lie_on_the_mask_boundary() -> None:
    picture = np.asarray(draw_overlay(grey(), box(30, 50, 90, 150)))
    assert picture.shape == (120, 200, 3)
    drawn = near(picture, ORANGE)
    rows, columns = np.nonzero(drawn)
    assert (rows.min(), rows.max()) == (pytest.approx(29.5, abs=2), pytest.approx(89.5, abs=2))
    assert (columns.min(), columns.max()) == (pytest.approx(49.5, abs=2), pytest.approx(149.5, abs=2))
    assert not drawn[35:85, 55:145].any(), "only the outline is drawn"
    np.testing.assert_array_equal(picture[5, 5], [128, 128, 128])


def test_truth_is_dashed_and_prediction_is_not() -> None:
    # Both share the left edge: there truth's dashes lie on the solid line, and both colours are seen.
    picture = np.asarray(draw_overlay(grey(), box(20, 50, 100, 120), box(20, 50, 100, 160)))
    edge, alone = picture[25:95, 49:51], picture[25:95, 159:161]
    assert near(edge, BLUE).any()
    assert near(edge, ORANGE).any()
    dashed = near(alone, BLUE).any(axis=1)
    assert 0.3 < dashed.mean() < 0.7
    solid = near(picture[25:95, 119:121], ORANGE).any(axis=1)
    assert solid.all()


def test_lesions_at_the_border_are_closed() -> None:
    picture = np.asarray(draw_overlay(grey(), box(0, 0, 120, 200)))
    assert near(picture[0:3], ORANGE).any(axis=0)[5:-5].all()
    assert near(picture[-3:], ORANGE).any(axis=0)[5:-5].all()


def test_every_class_is_outlined() -> None:
    labels = box(20, 20, 50, 50) + 3 * box(70, 120, 100, 160)
    drawn = near(np.asarray(draw_overlay(grey(), labels)), ORANGE)
    assert drawn[15:55, 15:55].any()
    assert drawn[65:105, 115:165].any()


@pytest.mark.parametrize(
    ("side", "size"), [(None, (200, 120)), (448, (448, 269)), (100, (100, 60)), (2000, (2000, 1200))]
)
def test_size_and_scale(side: int | None, size: tuple[int, int]) -> None:
    picture = draw_overlay(grey(), box(30, 50, 90, 150), longest_side=side)
    assert picture.size == pytest.approx(size, abs=1)
    assert picture.mode == "RGB"
    rows, columns = np.nonzero(near(np.asarray(picture), ORANGE))
    scale = size[0] / 200
    assert (columns.min() + columns.max()) / 2 / scale == pytest.approx(100, abs=2)
    assert (rows.min() + rows.max()) / 2 / scale == pytest.approx(60, abs=2)


def test_empty_masks_and_single_pixels() -> None:
    empty = np.zeros((120, 200), np.uint8)
    np.testing.assert_array_equal(np.asarray(draw_overlay(grey(), empty, empty)), grey())
    dot = box(60, 100, 61, 101)
    assert near(np.asarray(draw_overlay(grey(), empty, dot)), BLUE).any()


def test_the_image_is_not_changed_and_grids_must_match() -> None:
    image = grey()
    draw_overlay(image, box(30, 50, 90, 150))
    np.testing.assert_array_equal(image, grey())
    with refuses("LEX-USE-044", "image of (120,"):
        draw_overlay(image, np.zeros((4, 4), np.uint8))
