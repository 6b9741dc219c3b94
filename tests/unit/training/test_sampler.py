from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.training.inputs.sampler import StepSampler, mask_groups


def make(
    num: int = 7, batch: int = 3, segment: int = 4, seed: int = 0, total: int | None = None
) -> StepSampler:
    return StepSampler(num, batch_size=batch, segment_steps=segment, seed=seed, total_steps=total)


@given(num=st.integers(1, 40), batch=st.integers(1, 9), passes=st.integers(1, 3), seed=st.integers(0, 9))
def test_every_sample_comes_once_per_pass(num: int, batch: int, passes: int, seed: int) -> None:
    sampler = make(num, batch, seed=seed)
    steps = -(-num * passes // batch)
    keys = [key for step in range(steps) for key in sampler.batch(step)][: num * passes]
    assert [position for position, _ in keys] == list(range(num * passes))
    assert Counter((position // num, i) for position, i in keys) == Counter(
        (turn, i) for turn in range(passes) for i in range(num)
    )


@given(
    weights=st.lists(st.floats(0.1, 5), min_size=1, max_size=30),
    seed=st.integers(0, 9),
)
def test_weighted_draws_stay_within_one_of_their_share(weights: list[float], seed: int) -> None:
    num = len(weights)
    sampler = StepSampler(num, batch_size=num, segment_steps=1, seed=seed, total_steps=None, weights=weights)
    for step in range(3):
        drawn = Counter(i for _, i in sampler.batch(step))
        assert sum(drawn.values()) == num
        for i, weight in enumerate(weights):
            assert abs(drawn[i] - num * weight / sum(weights)) < 1 + 1e-6


def test_equal_weights_draw_every_sample_once_per_pass() -> None:
    sampler = StepSampler(50, batch_size=50, segment_steps=1, seed=0, total_steps=None, weights=[2.0] * 50)
    assert sorted(i for _, i in sampler.batch(1)) == list(range(50))


def test_a_sample_drawn_twice_in_a_pass_has_two_keys() -> None:
    sampler = StepSampler(
        4, batch_size=4, segment_steps=1, seed=0, total_steps=None, weights=[9.0, 0.1, 0.1, 0.1]
    )
    keys = sampler.batch(0)
    assert Counter(i for _, i in keys)[0] >= 3
    assert len(set(keys)) == 4


def test_a_batch_is_a_function_of_seed_and_step_alone() -> None:
    first, second = make(), make(segment=2)
    forwards = [first.batch(step) for step in range(20)]
    backwards = [second.batch(step) for step in reversed(range(20))][::-1]
    assert forwards == backwards
    assert forwards != [make(seed=1).batch(step) for step in range(20)]


def test_passes_differ() -> None:
    sampler = make(num=30, batch=30)
    assert [i for _, i in sampler.batch(0)] != [i for _, i in sampler.batch(1)]


def test_a_resumed_stream_is_the_unbroken_one() -> None:
    unbroken, seen = make(), []
    for start in (0, 4, 8):
        unbroken.first_step = start
        seen += list(unbroken)
    resumed = make()
    resumed.first_step = 8
    assert list(resumed) == seen[8:]
    assert seen == [unbroken.batch(step) for step in range(12)]


def test_the_stream_ends_with_the_last_step() -> None:
    sampler = make(total=6)
    assert len(sampler) == len(list(sampler)) == 4
    sampler.first_step = 4
    assert len(sampler) == len(list(sampler)) == 2
    sampler.first_step = 6
    assert len(sampler) == len(list(sampler)) == 0


def test_groups_have_their_places_in_every_step() -> None:
    has_mask = [i % 5 == 0 for i in range(40)]  # 8 with, 32 without
    groups = mask_groups(has_mask, batch_size=6, unmasked_share=None)
    assert [group.per_step for group in groups] == [3, 3]  # at most half
    sampler = StepSampler(40, batch_size=6, segment_steps=4, seed=0, total_steps=None, groups=groups)
    drawn: Counter[int] = Counter()
    for step in range(32):
        keys = sampler.batch(step)
        assert [has_mask[i] for _, i in keys] == [True] * 3 + [False] * 3
        assert len(set(keys)) == 6
        drawn.update(i for _, i in keys)
    assert {drawn[i] for i in range(0, 40, 5)} == {12}  # 96 draws of 8
    assert {drawn[i] for i in range(40) if i % 5} == {3}  # 96 draws of 32
    again = StepSampler(40, batch_size=6, segment_steps=4, seed=0, total_steps=None, groups=groups)
    again.first_step = 20
    assert next(iter(again)) == sampler.batch(20)


@pytest.mark.parametrize(
    ("without", "share", "places"),
    [(0, None, [8]), (0, 0.5, [8]), (5, None, [7, 1]), (95, None, [4, 4]), (95, 0.75, [2, 6]),
     (95, 0.99, [1, 7]), (1, 0.01, [7, 1])],
)  # fmt: skip
def test_the_share_without_mask(without: int, share: float | None, places: list[int]) -> None:
    has_mask = [True] * (100 - without) + [False] * without
    groups = mask_groups(has_mask, batch_size=8, unmasked_share=share)
    assert [group.per_step for group in groups] == places
    assert sorted(i for group in groups for i in group.members) == list(range(100))


def test_weights_hold_within_a_group() -> None:
    weights = [1.0, 1.0, 3.0, 1.0, 1.0, 2.0]
    groups = mask_groups([True, True, True, False, False, False], batch_size=8, unmasked_share=0.5)
    sampler = StepSampler(
        6, batch_size=8, segment_steps=1, seed=1, total_steps=None, weights=weights, groups=groups
    )
    drawn = Counter(i for step in range(150) for _, i in sampler.batch(step))
    assert [drawn[i] / 600 for i in range(6)] == pytest.approx([0.2, 0.2, 0.6, 0.25, 0.25, 0.5], abs=0.05)
