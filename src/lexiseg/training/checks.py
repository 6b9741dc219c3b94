"""What is refused before a training starts."""

from __future__ import annotations

from lexiseg.data.sample import DatasetIndex, Split
from lexiseg.errors import DataError


def check_splits(index: DatasetIndex) -> None:
    """Refuse a data set without training or validation images.

    Raises:
        DataError: One of the two splits is empty.
    """
    needed: tuple[Split, ...] = ("train", "val")
    for split in needed:
        if not index.split(split):
            raise DataError(
                f"{index.root} has no {split} images, but training needs some: the best weights are chosen "
                f"on the validation split. Add a split, or remove splits.json, and training creates one.",
                code="LEX-DATA-118",
            )
