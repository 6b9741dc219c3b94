"""The hashes of the images that a run has learned from: `image_hashes.json` in a run folder.

With them, a run is recognised as one that has learned an image of another data set, whatever its name, and a
training goes on only with the files with which it began.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lexiseg.data.leaks import content_digests
from lexiseg.data.mask_parts import mask_parts
from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.data.volumes.data_files import data_files
from lexiseg.data.volumes.volume_names import stored_file
from lexiseg.errors import RunError
from lexiseg.file_hashes import file_sha256
from lexiseg.json_records import Record, reason
from lexiseg.structured_text import read_json

IMAGE_HASHES_FILE = "image_hashes.json"


class ImageHashesRecord(Record):
    """Contents of `image_hashes.json`: SHA-256 of the files, sorted, without files that cannot be read.

    Attributes:
        train: Of the training images.
        val: Of the validation images.
        images: SHA-256 of the ids of both with the hashes of the files of their images; None where it is not
            known.
        masks: The same of the ids with the hashes of the files of their masks.
        reports: The same of the ids with the hashes of their reports.
    """

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    images: str | None = None
    masks: str | None = None
    reports: str | None = None

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
    """Return the hashes of the training and validation images of a data set, and those of what they teach."""
    train, val = index.split("train"), index.split("val")
    samples = (*train, *val)
    digests = content_digests([sample.image for sample in samples])
    files = _FileDigests()
    return ImageHashesRecord(
        train=tuple(sorted({s.image: digests[s.image] for s in train if s.image in digests}.values())),
        val=tuple(sorted({s.image: digests[s.image] for s in val if s.image in digests}.values())),
        images=_together((s.id, _of_image(s.image, digests, files)) for s in samples),
        masks=_together((s.id, files.of_mask(s.mask)) for s in samples if s.mask is not None),
        reports=_together((s.id, _text_digest(s.report)) for s in samples if s.report is not None),
    )


def _together(named: Iterable[tuple[str, str]]) -> str:
    """Return one hash of ids with a hash each."""
    return _text_digest("\n".join(f"{digest} {id}" for id, digest in sorted(named)))


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _of_image(image: Path, digests: Mapping[Path, str], files: _FileDigests) -> str:
    """Return the hash of what an image is stored in; an empty text where it cannot be read.

    The content of a slice is a PNG that another version of a library may write with other bytes, so its
    volume is hashed.

    Args:
        image: The image.
        digests: Hashes of the content of images.
        files: Hashes of files.
    """
    is_whole = stored_file(image)[0] == image
    return digests.get(image, "") if is_whole else files.of(image)


class _FileDigests:
    """Hashes of the files of images and masks; each file is read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of_mask(self, mask: Path) -> str:
        """Return the hash of a mask with all its parts."""
        return _joined([self.of(part) for part in mask_parts(mask)])

    def of(self, path: Path) -> str:
        """Return the hash of a file; of a slice or labels in a larger file, of that file and the place."""
        file, place = stored_file(path)
        if file not in self._known:
            self._known[file] = _joined([_file_digest(each) for each in (file, *data_files(file))])
        return _text_digest(f"{self._known[file]} {place}") if place else self._known[file]


def _joined(digests: Sequence[str]) -> str:
    """Return one hash of several; a single one stays."""
    return digests[0] if len(digests) == 1 else _text_digest("\n".join(digests))


def _file_digest(path: Path) -> str:
    """Return the hash of a file; an empty text for one that cannot be read, which is reported elsewhere."""
    try:
        return file_sha256(path)
    except OSError:
        return ""


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
