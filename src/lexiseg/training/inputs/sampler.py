"""The order of training images: a function of seed and step alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

#: One training example: its position in the endless stream, and the position of the sample in the list.
Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Samples that have places of their own in every step, such as those with a mask.

    Attributes:
        members: Positions of the samples, rising.
        per_step: How many of them are in a step.
    """

    members: tuple[int, ...]
    per_step: int


def mask_groups(has_mask: Sequence[bool], *, batch_size: int, unmasked_share: float | None) -> list[Group]:
    """Return the groups of samples with and without mask, in this order; one group if all have one.

    Args:
        has_mask: Per sample, at least one true.
        batch_size: Samples per step, at least two.
        unmasked_share: Share of a step without mask; None: their share of the samples, at most half. Each
            group has at least one place.
    """
    members = [tuple(i for i, has in enumerate(has_mask) if has is wanted) for wanted in (True, False)]
    if not members[1]:
        return [Group(members=members[0], per_step=batch_size)]
    share = min(0.5, len(members[1]) / len(has_mask)) if unmasked_share is None else unmasked_share
    without = min(max(1, round(share * batch_size)), batch_size - 1)
    return [
        Group(members=members[0], per_step=batch_size - without),
        Group(members=members[1], per_step=without),
    ]


class StepSampler(Sampler[list[Key]]):
    """Batches of one segment of an endless stream of shuffled passes over the data.

    Step s takes stream positions `s * n` to `(s + 1) * n`, where n are the samples per step; position p lies
    in pass `p // num_samples`, which has a permutation of its own. Groups have a stream each.

    Args:
        num_samples: Number of training samples.
        batch_size: Samples per step.
        segment_steps: Steps per segment, the unit between two checkpoints.
        seed: Seed of the permutations.
        total_steps: Steps after which the stream ends; None: never.
        weights: How often each sample is drawn, relative to the others; None: each once per pass. A pass has
            `num_samples` draws in any case, and a sample's draws differ by at most one from its share. In
            groups, relative to the others of the group.
        groups: Samples that have places of their own in every step; None: all are one group.
        part: Number of this process and number of processes that share each step.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        segment_steps: int,
        seed: int,
        total_steps: int | None,
        weights: npt.ArrayLike | None = None,
        groups: Sequence[Group] | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._part = part
        self._groups = tuple(groups or [Group(members=tuple(range(num_samples)), per_step=batch_size)])
        assert sum(group.per_step for group in self._groups) == batch_size
        self.segment_steps = segment_steps
        self.seed = seed
        self.total_steps = total_steps
        self.first_step = 0
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self._permutation = lru_cache(maxsize=2 * len(self._groups))(self._permute)

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first_step, self.first_step + len(self)):
            first, processes = self._part
            yield self.batch(step)[first::processes]

    def __len__(self) -> int:
        if self.total_steps is None:
            return self.segment_steps
        return max(0, min(self.segment_steps, self.total_steps - self.first_step))

    def batch(self, step: int) -> list[Key]:
        """Return the keys of one step, group by group."""
        keys = []
        for number, group in enumerate(self._groups):
            for position in range(step * group.per_step, (step + 1) * group.per_step):
                turn, offset = divmod(position, len(group.members))
                keys.append((position, group.members[int(self._permutation(turn, number)[offset])]))
        return keys

    def _permute(self, turn: int, number: int) -> npt.NDArray[np.int64]:
        """Return an order of a group's members, as positions among them."""
        members = list(self._groups[number].members)
        # The first group's seed is that of a sampler without groups.
        rng = np.random.default_rng((self.seed, turn) if number == 0 else (self.seed, turn, 0, number))
        order = rng.permutation(len(members))
        if self._weights is None:
            return order
        # Systematic resampling: evenly spaced pointers into the cumulated weights of a shuffled list.
        cumulated = np.cumsum(self._weights[members][order])
        pointers = (np.arange(len(members)) + rng.random()) / len(members) * cumulated[-1]
        drawn = order[np.searchsorted(cumulated, pointers, side="right").clip(max=len(members) - 1)]
        return rng.permutation(drawn)
