from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexiseg.data.transforms import MAX_DISPLACEMENT
from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.inputs.corruption import add_noise, cut_out

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 40)


def picture(height: int, width: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("disturb", [add_noise, cut_out])
def test_probability_zero_draws_nothing_and_returns_the_image(disturb) -> None:  # type: ignore[no-untyped-def]
    image, rng = picture(8, 8), np.random.default_rng(0)
    before = rng.bit_generator.state
    assert disturb(image, rng, AugmentConfig(noise=0, cutout=0, max_noise=0.5, max_cutout=1)) is image
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("disturb", [add_noise, cut_out])
def test_it_happens_as_often_as_asked_and_leaves_its_input(disturb) -> None:  # type: ignore[no-untyped-def]
    image = picture(16, 16, 3)
    copy = image.copy()
    augment = AugmentConfig(noise=0.3, cutout=0.3, max_noise=0.5, max_cutout=1)
    changed = [disturb(image, np.random.default_rng(seed), augment) is not image for seed in range(1000)]
    assert 0.25 < np.mean(changed) < 0.35
    np.testing.assert_array_equal(image, copy)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, height=sides, width=sides, share=st.floats(0, 1), channels=st.sampled_from([1, 3]))
def test_a_rectangle_is_filled_with_the_mean(
    seed: int, height: int, width: int, share: float, channels: int
) -> None:
    image = picture(height, width, channels)
    augment = AugmentConfig(cutout=1, max_cutout=share)
    cut = cut_out(image, np.random.default_rng(seed), augment)
    np.testing.assert_array_equal(cut, cut_out(image, np.random.default_rng(seed), augment))
    assert (cut.shape, cut.dtype) == (image.shape, np.uint8)
    rows, columns = np.nonzero((cut != image).any(axis=-1))
    if len(rows):
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        mean = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
        assert (cut[box] == mean).all()
        # A side is rounded to whole pixels.
        assert np.ptp(rows) + 1 <= share * height + 0.5
        assert np.ptp(columns) + 1 <= share * width + 0.5


def test_rectangles_reach_everything_and_their_largest_side() -> None:
    image = picture(20, 30)
    seen = np.zeros((20, 30), bool)
    widest = 0
    for seed in range(400):
        changed = (cut_out(image, np.random.default_rng(seed), AugmentConfig(cutout=1)) != image)[..., 0]
        seen |= changed
        widest = max(widest, int(changed.sum(axis=1).max()))
    # All but the corners, which few rectangles reach, and pixels that have the mean.
    assert seen.any(axis=0).all()
    assert seen.any(axis=1).all()
    assert seen[3:-3, 3:-3].mean() > 0.98
    assert widest == 6


@settings(max_examples=50, deadline=None)
@given(seed=seeds, height=sides, width=sides, share=st.floats(0, 0.5), channels=st.sampled_from([1, 3]))
def test_noise_keeps_shape_and_range_and_depends_on_the_generator_only(
    seed: int, height: int, width: int, share: float, channels: int
) -> None:
    image = picture(height, width, channels)
    augment = AugmentConfig(noise=1, max_noise=share)
    noisy = add_noise(image, np.random.default_rng(seed), augment)
    assert (noisy.shape, noisy.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(noisy, add_noise(image, np.random.default_rng(seed), augment))


def test_noise_has_the_deviation_that_is_drawn() -> None:
    grey = np.full((64, 64, 1), 128, np.uint8)
    noisy = [
        add_noise(grey, np.random.default_rng(seed), AugmentConfig(noise=1, max_noise=0.1)).astype(float)
        for seed in range(200)
    ]
    deviations = np.array([image.std() for image in noisy])
    assert deviations.max() < 25.5 * 1.05
    # Uniform up to a tenth of the range: half of it on average.
    assert abs(deviations.mean() - 12.75) < 1.5
    assert max(abs(image.mean() - 128) for image in noisy) < 2
    assert not AugmentConfig().noise


def test_the_configuration_allows_no_elastic_displacement_that_could_fold_an_image() -> None:
    field = AugmentConfig.model_fields["max_displacement"]
    assert [bound.le for bound in field.metadata if hasattr(bound, "le")] == [MAX_DISPLACEMENT]
