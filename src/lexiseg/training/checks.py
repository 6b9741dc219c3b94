"""What is refused before a training starts."""

from __future__ import annotations

from lexiseg.data.sample import LEARNED_SPLITS, DatasetIndex
from lexiseg.data.splits import SPLITS_FILE
from lexiseg.errors import DataError, UsageError
from lexiseg.systems.configuration import TrainConfig


def check_splits(index: DatasetIndex) -> None:
    """Refuse a data set without training or validation images.

    Raises:
        DataError: One of the two splits is empty.
    """
    for split in LEARNED_SPLITS:
        if not index.split(split):
            stored = (index.root / SPLITS_FILE).is_file()
            again = f", or remove {SPLITS_FILE}, and Lexiseg makes a new split" if stored else ""
            raise DataError(
                f"{index.root} has no {split} images, but training needs some: the best weights are chosen "
                f"on the validation split. Put images into this split{again}.",
                code="LEX-DATA-118",
            )


def check_one_device(config: TrainConfig, *, what: str, remedy: str) -> None:
    """Refuse several devices where a training runs in one process.

    Args:
        config: The configuration.
        what: Subject and verb of what takes one device.
        remedy: What to do instead, as sentences.

    Raises:
        UsageError: The configuration asks for several devices.
    """
    if config.devices > 1:
        raise UsageError(
            f"devices: expected 1, as {what} one device; got {config.devices}. {remedy}",
            code="LEX-USE-1827",
        )
