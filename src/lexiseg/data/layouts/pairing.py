"""Matching of masks and reports with images, by file name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lexiseg.data.decode import IMAGE_SUFFIXES, is_image_file
from lexiseg.data.mask_parts import MASK_ENDING, first_part

#: Words that data sets add to the image's name to name its mask, before it (mask_X) or behind it.
_AFFIXES = re.compile(rf"^(?:mask|label|seg)[_-]|{MASK_ENDING}$", re.IGNORECASE)

#: Folder names that distinguish images from masks, not one image from another.
_KIND_FOLDERS = frozenset(
    {"", ".", "..", "image", "images", "img", "imgs", "mask", "masks", "labelcol", "labels"}
)


#: The beginning of an absolute path: a drive of Windows, a network folder, or "/".
_ABSOLUTE = re.compile(r"[A-Za-z]:[\\/]|[\\/]")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Result of pairing one folder of images with one of masks.

    Attributes:
        masks: Mask per image; None where there is none.
        orphans: Masks that belong to no image.
        faults: Duplicate names, one sentence each.
    """

    masks: dict[Path, Path | None]
    orphans: tuple[Path, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReportMatches:
    """Result of matching a sheet's sentences with images.

    Attributes:
        reports: Sentence per image.
        orphans: Keys that belong to no image.
        faults: Keys that match several images, and images with two different sentences, one sentence each.
        notes: What was assumed, one sentence each.
    """

    reports: dict[Path, str]
    orphans: tuple[str, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name, without hidden ones; none of no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.is_file() and is_image_file(path)
    )


def plain_stem(name: str) -> str:
    """Return a file name without its folder and image extension; other extensions belong to the name.

    The result is in the composed Unicode form (NFC), so that a name from macOS, which is decomposed, and the
    same name from another system are equal.
    """
    base = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1].strip())
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
    paired = set(mask_by_stem.values())
    return Pairs(
        masks={image: mask_by_stem.get(stem) for stem, image in by_stem.items()},
        # A numbered part is read together with the mask that it belongs to.
        orphans=tuple(mask for mask in orphans if first_part(mask) not in paired),
        faults=tuple(faults),
    )


def match_reports(rows: Mapping[str, str], images: Iterable[Path], sheet: Path) -> ReportMatches:
    """Match report sentences with images by their keys, which are image or mask names.

    A key may contain folders, as in "kvasir/images/a.png". Then at least the last folder must be the image's
    folder too, and of several images with that name, the one that shares most folders is matched. Folders
    that only distinguish images from masks are ignored.

    Args:
        rows: Sentence per key.
        images: The image files.
        sheet: The sheet of the rows, for messages.

    Returns:
        Sentence per image, keys that belong to no image, and keys that match several images.
    """
    by_stem: dict[str, list[Path]] = {}
    for image in dict.fromkeys(images):
        by_stem.setdefault(plain_stem(image.name), []).append(image)
    matches = {key: _best_matches(key, by_stem) for key in rows}
    foreign = _of_another_machine(matches, by_stem)
    reports: dict[Path, str] = {}
    orphans, faults = [], []
    for key, sentence in rows.items():
        found = foreign.get(key) or matches[key]
        if not found:
            orphans.append(key)
        elif len(found) > 1:
            faults.append(
                f"The row {key} of {sheet} matches {found[0]} and {found[1]}. Write the folders that "
                f"distinguish them before the name, or give the images different names."
            )
        elif reports.setdefault(found[0], sentence) != sentence:
            faults.append(differing(found[0], reports[found[0]], sentence, sheet))
    return ReportMatches(
        reports=reports,
        orphans=tuple(orphans),
        faults=tuple(faults),
        notes=(_ignored_folders(foreign, sheet),) if foreign else (),
    )


def _of_another_machine(
    matches: Mapping[str, list[Path]], by_stem: Mapping[str, list[Path]]
) -> dict[str, list[Path]]:
    """Return the matches by file name alone of keys that are paths of another machine.

    Folders are ignored only if no key of the sheet shares a folder with an image: else they tell data sets or
    splits apart.
    """
    if any(found and is_foreign_path(key) for key, found in matches.items()):
        return {}
    stems = {key: find(key, by_stem) for key in matches if is_foreign_path(key)}
    return {key: by_stem[stem] for key, stem in stems.items() if stem is not None}


def is_foreign_path(key: str) -> bool:
    """Return whether a name in a sheet is an absolute path, of Windows or another system."""
    return bool(_ABSOLUTE.match(key.strip()))


def _ignored_folders(foreign: Mapping[str, list[Path]], sheet: Path) -> str:
    return (
        f"Names in {sheet} that are paths of another machine ({len(foreign)}), such as "
        f"{next(iter(foreign))}: their folders are ignored."
    )


def differing(image: Path, first: str, second: str, sheet: Path) -> str:
    """Return the message for an image with two different sentences."""
    return f"{image} has two different sentences: {first!r} and, in {sheet}, {second!r}. Keep one of them."


def find(name: str, stems: Mapping[str, object]) -> str | None:
    """Return the image stem that a mask or key name matches, with or without mask affixes; None if none."""
    for stem in (plain_stem(name), bare_stem(name)):
        if stem in stems:
            return stem
    return None


def _best_matches(key: str, by_stem: Mapping[str, list[Path]]) -> list[Path]:
    """Return the images that match a key best: none, one, or several equally good ones."""
    *folders, name = key.replace("\\", "/").split("/")
    wanted = _distinguishing(folders)
    for stem in (plain_stem(name), bare_stem(name)):
        shared = {
            image: _shared(wanted, _distinguishing(image.parent.absolute().parts))
            for image in by_stem.get(stem, ())
        }
        most = max(shared.values(), default=0)
        if shared and (most or not wanted):
            best = [image for image, count in shared.items() if count == most]
            return [image for image in best if image.name == name.strip()] or best
    return []


def _distinguishing(folders: Iterable[str]) -> list[str]:
    """Return the folders that distinguish data sets or splits, in lower case."""
    names = (folder.strip().lower() for folder in folders)
    return [name for name in names if name not in _KIND_FOLDERS]


def _shared(first: list[str], second: list[str]) -> int:
    """Return how many names two paths share, counted from their ends."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _unique(paths: Iterable[Path], what: str) -> tuple[dict[str, Path], list[str]]:
    """Index files by stem; report stems that occur twice, as in X.png and X.jpg."""
    by_stem: dict[str, Path] = {}
    faults = []
    for path in paths:
        stem = plain_stem(path.name)
        if stem in by_stem:
            faults.append(
                f"Two {what}s have the same name: {by_stem[stem]} and {path.name}. Keep one of them."
            )
        else:
            by_stem[stem] = path
    return by_stem, faults
