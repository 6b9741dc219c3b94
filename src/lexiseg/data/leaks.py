"""Leaks between splits: the same image, or the same patient, in more than one of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from lexiseg.data.content import read_content
from lexiseg.data.decode import decode_header, decode_image
from lexiseg.data.layouts.scan import some
from lexiseg.data.patient_groups import shared_patients
from lexiseg.data.pixel_hashes import is_plain, pixels_sha256
from lexiseg.data.sample import DatasetIndex, Sample, Split
from lexiseg.data.splits import SPLITS_FILE
from lexiseg.data.volumes.volume_names import stored_state
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors

#: Splits that a run has learned from, or was selected on, when a split is scored.
_LEARNED_BEFORE: dict[Split, tuple[Split, ...]] = {"train": (), "val": ("train",), "test": ("train", "val")}

#: JPEG files are decoded much faster at an eighth of their size.
_EIGHTH = 8

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """What several splits share.

    Attributes:
        images: Groups of images with the same pixels in at least two splits.
        patients: Splits by patient, of patients in at least two splits.
    """

    images: tuple[tuple[Sample, ...], ...] = ()
    patients: dict[str, tuple[Split, ...]]

    def __bool__(self) -> bool:
        """Whether anything is shared."""
        return bool(self.images or self.patients)

    def sentences(self, root: Path) -> tuple[str, ...]:
        """Return one sentence on images and one on patients, with number and first names.

        Args:
            root: The data set's folder, to shorten paths.
        """
        said = []
        if self.images:
            names = [" = ".join(_name(sample.image, root) for sample in group[:3]) for group in self.images]
            said.append(f"Images that are in more than one split ({len(names)}): {some(names)}.")
        if self.patients:
            names = [f"{patient} ({', '.join(splits)})" for patient, splits in self.patients.items()]
            said.append(f"Patients with images in more than one split ({len(names)}): {some(names)}.")
        return tuple(said)


def find_leaks(samples: Sequence[Sample], *, scored: Split | None = None) -> Leaks:
    """Return the images and the known patients that several splits share.

    Two images are the same if their files are equal byte for byte, or if they are decoded to the same pixels.
    Images are decoded only if another split has one of the same size. Images that cannot be read are left
    out: they are reported where their pixels are needed. Pictures of a single colour, such as empty slices at
    the ends of a volume, show nothing and are no leak.

    Args:
        samples: The samples.
        scored: The split that will be scored: only leaks from the splits that come before it (train, val,
            test) count. None: all leaks count.
    """
    wanted = [sample for sample in samples if scored is None or sample.split in _with(scored)]
    shared = shared_patients((sample.patient, sample.split) for sample in wanted)
    return Leaks(
        images=tuple(group for group in _same_pixels(wanted) if _counts(_splits(group), scored)),
        patients={patient: splits for patient, splits in shared.items() if _counts(splits, scored)},
    )


def content_digests(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the SHA-256 of the content of each image file; files that cannot be read are left out."""
    found = _of_files(_file, paths)
    return {path: file.digest.hex() for path, file in found.items() if file is not None}


def showing_something(paths: Sequence[Path]) -> frozenset[Path]:
    """Return the images that are no pictures of a single colour; files that cannot be read are left out."""
    return frozenset(path for path, pixels in _of_files(_pixels, paths).items() if pixels is not None)


def refuse_leaks(index: DatasetIndex, *, allow: bool, scored: Split | None = None) -> DatasetIndex:
    """Refuse a data set whose splits share images or patients, unless the user insists.

    Args:
        index: The data set.
        allow: Whether to use it all the same.
        scored: As for `find_leaks`.

    Returns:
        The data set; if there are leaks, its `leaks` tell them.

    Raises:
        DataError: Splits share images or patients, and `allow` is False.
    """
    leaks = find_leaks(index.samples, scored=scored)
    said = leaks.sentences(index.root)
    if leaks and not allow:
        raise DataError(
            f"The splits of {index.root} are not independent, so scores would be too high. {' '.join(said)} "
            f"{leak_remedy(index.root)} To use the splits as they are, add --allow-leak (in Python, "
            "allow_leak=True); all results then say so.",
            code="LEX-DATA-700",
        )
    return dataclasses.replace(index, leaks=said)


def leak_remedy(root: Path) -> str:
    """Return what to do about splits that share images or patients.

    Args:
        root: The folder of the data set.
    """
    has_file = (root / SPLITS_FILE).is_file()
    new_split = f" Remove {SPLITS_FILE}, and Lexiseg makes a new split." if has_file else ""
    return (
        f"Keep each image and each patient in one split.{new_split} If these are not patient ids, state the "
        "patients in cases.csv."
    )


def _with(scored: Split) -> tuple[Split, ...]:
    return (scored, *_LEARNED_BEFORE[scored])


def _counts(splits: Iterable[Split], scored: Split | None) -> bool:
    """Return whether images in these splits are a leak."""
    found = set(splits)
    return len(found) > 1 and (scored is None or scored in found)


def _splits(group: Iterable[Sample]) -> set[Split]:
    return {sample.split for sample in group}


@dataclass(frozen=True, kw_only=True)
class _File:
    """Facts of an image file: SHA-256 of its bytes, rows, columns, and whether it is a JPEG."""

    digest: bytes
    shape: tuple[int, int]
    is_jpeg: bool


def _same_pixels(samples: Sequence[Sample]) -> list[tuple[Sample, ...]]:
    """Return the groups of images with the same pixels that are in more than one split."""
    facts = _of_files(_file, [sample.image for sample in samples])
    known = [sample for sample in samples if facts[sample.image] is not None]

    def kind(sample: Sample) -> _File:
        found = facts[sample.image]
        assert found is not None
        return found

    suspects = []
    for group in _shared(known, lambda sample: kind(sample).shape):
        if all(kind(sample).is_jpeg for sample in group):
            suspects += _same_small(group)
        else:
            suspects += group
    pixels = _of_files(_pixels, _one_per_digest(suspects, kind))
    by_digest = {kind(sample).digest: pixels[sample.image] for sample in suspects if sample.image in pixels}
    same = _shared(suspects, lambda sample: by_digest[kind(sample).digest])
    return sorted(same, key=lambda group: group[0].id)


def _same_small(group: Sequence[Sample]) -> list[Sample]:
    """Return the JPEG files that look the same in small in more than one split."""
    small = _of_files(_small_jpeg, [sample.image for sample in group])
    return [sample for part in _shared(group, lambda sample: small[sample.image]) for sample in part]


def _one_per_digest(samples: Sequence[Sample], kind: Callable[[Sample], _File]) -> list[Path]:
    """Return one file of each content."""
    return list({kind(sample).digest: sample.image for sample in reversed(samples)}.values())


def _shared(samples: Iterable[Sample], key: Callable[[Sample], object]) -> list[tuple[Sample, ...]]:
    """Return the samples by key, where a key is in more than one split; without those whose key is None."""
    groups: dict[object, list[Sample]] = {}
    for sample in samples:
        value = key(sample)
        if value is not None:
            groups.setdefault(value, []).append(sample)
    return [tuple(group) for group in groups.values() if len(_splits(group)) > 1]


def _of_files(work: Callable[[Path], Found], paths: Sequence[Path]) -> dict[Path, Found | None]:
    """Return what `work` finds in each file, in a pool of threads; None for a file that cannot be read."""

    def unless_unreadable(path: Path) -> Found | None:
        try:
            return work(path)
        except DataError:
            return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(paths, pool.map(unless_unreadable, paths), strict=True))


# Time and size of the file are a part of the keys of the caches below.
def _file(path: Path) -> _File:
    return _file_at(path, *stored_state(path))


def _small_jpeg(path: Path) -> bytes:
    return _small_jpeg_at(path, *stored_state(path))


def _pixels(path: Path) -> bytes | None:
    return _pixels_at(path, *stored_state(path))


@functools.lru_cache(maxsize=100_000)
def _file_at(path: Path, modified: int, size: int) -> _File:
    content = read_content(path)
    header = decode_header(content, path)
    return _File(
        digest=hashlib.sha256(content).digest(),
        shape=(header.height, header.width),
        is_jpeg=content.startswith(b"\xff\xd8\xff"),
    )


@functools.lru_cache(maxsize=100_000)
def _small_jpeg_at(path: Path, modified: int, size: int) -> bytes:
    """Return a digest of a JPEG decoded at an eighth of its size: equal for copies with other metadata."""
    try:
        with open_errors(path), Image.open(path) as image:
            image.draft(None, (max(1, image.width // _EIGHTH), max(1, image.height // _EIGHTH)))
            return hashlib.sha256(image.convert("RGB").tobytes()).digest()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be decoded: {error}", code="LEX-DATA-701") from error


@functools.lru_cache(maxsize=100_000)
def _pixels_at(path: Path, modified: int, size: int) -> bytes | None:
    """Return a digest of the pixels as the network gets them; None for a picture of a single colour."""
    picture = decode_image(read_content(path), path)
    return None if is_plain(picture) else bytes.fromhex(pixels_sha256(picture))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
