"""The order of training images: a function of seed and step alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

#: One training example: its position in the endless stream, and the position of the sample in the list.
Key = tuple[int, int]


class StepSampler(Sampler[list[Key]]):
    """Batches of one segment of an endless stream of shuffled passes over the data.

    Step s takes stream positions `s * batch_size` to `(s + 1) * batch_size`; position p lies in pass
    `p // num_samples`, which has a permutation of its own.

    Args:
        num_samples: Number of training samples.
        batch_size: Samples per step.
        segment_steps: Steps per segment, the unit between two checkpoints.
        seed: Seed of the permutations.
        total_steps: Steps after which the stream ends; None: never.
        weights: How often each sample is drawn, relative to the others; None: each once per pass. A pass has
            `num_samples` draws in any case, and a sample's draws differ by at most one from its share.
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
    ) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.segment_steps = segment_steps
        self.seed = seed
        self.total_steps = total_steps
        self.first_step = 0
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first_step, self.first_step + len(self)):
            yield self.batch(step)

    def __len__(self) -> int:
        if self.total_steps is None:
            return self.segment_steps
        return max(0, min(self.segment_steps, self.total_steps - self.first_step))

    def batch(self, step: int) -> list[Key]:
        """Return the keys of one step."""
        keys = []
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            turn, offset = divmod(position, self.num_samples)
            keys.append((position, int(self._permutation(turn)[offset])))
        return keys

    def _permute(self, turn: int) -> npt.NDArray[np.int64]:
        rng = np.random.default_rng((self.seed, turn))
        order = rng.permutation(self.num_samples)
        if self._weights is None:
            return order
        # Systematic resampling: evenly spaced pointers into the cumulated weights of a shuffled list.
        cumulated = np.cumsum(self._weights[order])
        pointers = (np.arange(self.num_samples) + rng.random()) / self.num_samples * cumulated[-1]
        drawn = order[np.searchsorted(cumulated, pointers, side="right").clip(max=self.num_samples - 1)]
        return rng.permutation(drawn)
