"""The hashes of the images that a run has learned from: `image_hashes.json` in a run folder.

With them, a run is recognised as one that has learned an image of another data set, whatever its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lexiseg.data.leaks import content_digests
from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.errors import RunError
from lexiseg.json_records import Record, reason
from lexiseg.structured_text import read_json

IMAGE_HASHES_FILE = "image_hashes.json"


class ImageHashesRecord(Record):
    """Contents of `image_hashes.json`: SHA-256 of the files, sorted, without files that cannot be read.

    Attributes:
        train: Of the training images.
        val: Of the validation images.
    """

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()

    def learned_before(self, split: Split) -> frozenset[str]:
        """Return the hashes of images that the run was trained on, or, for "test", selected on."""
        return frozenset(self.train + self.val if split == "test" else self.train)

    def learned_of(self, samples: Sequence[Sample], split: Split) -> tuple[Sample, ...]:
        """Return the samples whose image files the run has learned, whatever their names.

        Files are equal byte for byte; copies in other files, and files that cannot be read, are not found.

        Args:
            samples: The samples.
            split: As for `learned_before`.
        """
        learned = self.learned_before(split)
        digests = content_digests([sample.image for sample in samples])
        return tuple(sample for sample in samples if digests.get(sample.image) in learned)


def image_hashes(index: DatasetIndex) -> ImageHashesRecord:
    """Return the hashes of the training and validation images of a data set."""
    train, val = (
        content_digests([sample.image for sample in index.split(split)]).values()
        for split in ("train", "val")
    )
    return ImageHashesRecord(train=tuple(sorted(train)), val=tuple(sorted(val)))


def read_image_hashes(folder: Path) -> ImageHashesRecord | None:
    """Read `image_hashes.json` of a run folder; None where there is no such file, as in shared runs.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / IMAGE_HASHES_FILE
    if not file.is_file():
        return None
    try:
        return ImageHashesRecord.model_validate(read_json(file))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} is damaged ({reason(ImageHashesRecord, error)}). Restore the file, or train again.",
            code="LEX-RUN-1650",
        ) from error
