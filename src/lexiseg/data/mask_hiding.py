"""Hiding masks of training images: what would a data set be worth if few of its images had a mask?"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Sequence

from lexiseg.data.sample import Sample


def hide_masks(samples: Sequence[Sample], *, share: float, seed: int) -> tuple[Sample, ...]:
    """Take the masks of most training images away, as if nobody had drawn them.

    Images of one patient keep or lose their masks together. Patients are ordered by a hash of seed and name;
    the first keep theirs, until their masks make up the share. So the choice does not depend on the order of
    the images, and with one seed a smaller share is a part of a larger one.

    Args:
        samples: All samples; those outside the training split stay as they are.
        share: Share of the training split's masks that stay, above 0 to 1; at least one does.
        seed: Any whole number.

    Returns:
        The samples in their order; those that lost their mask have `mask` None.
    """
    groups: dict[str, list[str]] = {}
    for sample in samples:
        if sample.split == "train" and sample.mask is not None:
            groups.setdefault(sample.patient or sample.id, []).append(sample.id)
    wanted = max(1, round(share * sum(map(len, groups.values()))))
    shown: set[str] = set()
    for group in sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:masks:{name}".encode()).digest()):
        if len(shown) >= wanted:
            break
        shown.update(groups[group])
    return hide_masks_except(samples, shown)


def hide_masks_except(samples: Sequence[Sample], shown: Collection[str]) -> tuple[Sample, ...]:
    """Take the masks of all training images away but of those that are named.

    Args:
        samples: All samples; those outside the training split stay as they are.
        shown: Ids of the training images that keep theirs.

    Returns:
        The samples in their order; those that lost their mask have `mask` None.
    """
    return tuple(
        dataclasses.replace(sample, mask=None)
        if sample.split == "train" and sample.mask is not None and sample.id not in shown
        else sample
        for sample in samples
    )
