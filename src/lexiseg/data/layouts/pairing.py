"""Which mask and which report belong to which image, by file name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.decode import IMAGE_SUFFIXES

#: Words that data sets put around the image's name to name its mask: mask_X, X_mask, X_segmentation, X_seg,
#: X_label.
_AFFIXES = re.compile(
    r"^(?:mask|label|seg)[_-]|[_-](?:mask|masks|label|labels|seg|segmentation|gt)$", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Result of pairing one folder of images with one of masks.

    Attributes:
        masks: Mask per image; None where there is none.
        orphans: Masks that belong to no image.
        faults: Names that are not unique, one sentence each.
    """

    masks: dict[Path, Path | None]
    orphans: tuple[Path, ...]
    faults: tuple[str, ...]


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name; hidden files are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def plain_stem(name: str) -> str:
    """Return a file name without its folder and image ending; any other ending belongs to the name."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    stem, dot, ending = base.rpartition(".")
    return stem if dot and f".{ending.lower()}" in IMAGE_SUFFIXES else base


def bare_stem(name: str) -> str:
    """Return `plain_stem` without the affixes that mark a mask, such as "mask_"."""
    return _AFFIXES.sub("", plain_stem(name), count=1)


def pair(images: Iterable[Path], masks: Iterable[Path]) -> Pairs:
    """Pair images with masks of the same name, or of the same name with a mask affix."""
    by_stem, faults = _unique(images, "image")
    mask_by_stem: dict[str, Path] = {}
    orphans = []
    for mask in masks:
        stem = find(mask.name, by_stem)
        if stem is None:
            orphans.append(mask)
        elif stem in mask_by_stem:
            faults.append(
                f"Two masks belong to the image {by_stem[stem]}: {mask_by_stem[stem].name} and {mask.name}."
            )
        else:
            mask_by_stem[stem] = mask
    return Pairs(
        masks={image: mask_by_stem.get(stem) for stem, image in by_stem.items()},
        orphans=tuple(orphans),
        faults=tuple(faults),
    )


def attach(rows: Mapping[str, str], images: Iterable[Path]) -> tuple[dict[Path, str], list[str]]:
    """Attach report sentences to images by their keys, which are image or mask names.

    Args:
        rows: Sentence per key.
        images: The image files.

    Returns:
        Sentence per image, and the keys that belong to no image.
    """
    by_stem = {plain_stem(image.name): image for image in images}
    attached: dict[Path, str] = {}
    orphans = []
    for key, sentence in rows.items():
        stem = find(key, by_stem)
        if stem is None:
            orphans.append(key)
        else:
            attached[by_stem[stem]] = sentence
    return attached, orphans


def find(name: str, stems: Mapping[str, object]) -> str | None:
    """Return the image stem that a mask or key name means: the same, or the same without mask affixes."""
    for stem in (plain_stem(name), bare_stem(name)):
        if stem in stems:
            return stem
    return None


def _unique(paths: Iterable[Path], what: str) -> tuple[dict[str, Path], list[str]]:
    """Index files by stem; say which stems occur twice, as in X.png and X.jpg."""
    by_stem: dict[str, Path] = {}
    faults = []
    for path in paths:
        stem = plain_stem(path.name)
        if stem in by_stem:
            faults.append(
                f"Two {what}s have the same name: {by_stem[stem]} and {path.name}; keep one of them."
            )
        else:
            by_stem[stem] = path
    return by_stem, faults
