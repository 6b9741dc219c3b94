"""Hiding masks of training images, to simulate a data set in which few images have a mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from lexiseg.data.name_hashes import order_key
from lexiseg.data.patient_groups import patient_groups
from lexiseg.data.sample import Sample


def hide_masks(samples: Sequence[Sample], *, share: float, seed: int) -> tuple[Sample, ...]:
    """Hide the masks of most training images.

    Images of one patient keep or lose their masks together. Patients are ordered by a hash of seed and name;
    the first ones keep their masks until the share is reached. The choice therefore does not depend on the
    order of the images, and with the same seed a smaller share is a subset of a larger one.

    Args:
        samples: All samples; those outside the training split are unchanged.
        share: Share of the training split's masks that are kept, above 0 and at most 1; at least one is kept.
        seed: Any whole number.

    Returns:
        The samples in their order; samples with a hidden mask have `mask` None.
    """
    groups = patient_groups(s for s in samples if s.split == "train" and s.mask is not None)
    wanted = max(1, round(share * sum(map(len, groups.values()))))
    shown: set[str] = set()
    for group in sorted(groups, key=lambda group: order_key(group, seed, "masks")):
        if len(shown) >= wanted:
            break
        shown.update(sample.id for sample in groups[group])
    return hide_masks_except(samples, shown)


def hide_masks_except(samples: Sequence[Sample], shown: Collection[str]) -> tuple[Sample, ...]:
    """Hide the masks of all training images except the given ones.

    Args:
        samples: All samples; those outside the training split are unchanged.
        shown: Ids of the training images that keep their masks.

    Returns:
        The samples in their order; samples with a hidden mask have `mask` None.
    """
    return tuple(
        dataclasses.replace(sample, mask=None)
        if sample.split == "train" and sample.mask is not None and sample.id not in shown
        else sample
        for sample in samples
    )
