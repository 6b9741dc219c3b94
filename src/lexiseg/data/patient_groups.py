"""Images of one patient: what is kept together, and which patients are in several splits."""

from __future__ import annotations

from collections.abc import Iterable

from lexiseg.data.sample import SPLITS, Sample, Split

#: Parts of the patients with a mask, in trainings on images without one; each part is segmented by a labeller
#: that was trained on the others.
FOLDS = 3


def group_of(sample: Sample) -> str:
    """Return the name of the images that stay together with one: its patient, else its own id."""
    return sample.patient or sample.id


def patient_groups(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Return the images that stay together, by the name of their group, in the order of the images."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(group_of(sample), []).append(sample)
    return groups


def shared_patients(images: Iterable[tuple[str | None, Split | None]]) -> dict[str, tuple[Split, ...]]:
    """Return the patients with images in more than one split, sorted, with these splits in their usual order.

    Args:
        images: Patient and split of each image; images without one of both do not count.
    """
    found: dict[str, set[Split]] = {}
    for patient, split in images:
        if patient is not None and split is not None:
            found.setdefault(patient, set()).add(split)
    return {
        patient: tuple(split for split in SPLITS if split in splits)
        for patient, splits in sorted(found.items())
        if len(splits) > 1
    }
