"""Files of a data set that are not read: in subfolders, of other formats, links without a target, tables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.dataset_yaml import DATASET_FILE
from lexiseg.data.decode import IMAGE_SUFFIXES, is_image_file
from lexiseg.data.layouts.case_facts import CASE_FACTS_FILE
from lexiseg.data.layouts.scan import some
from lexiseg.data.omissions import Omission
from lexiseg.data.splits import SPLITS_FILE
from lexiseg.data.volumes.data_files import data_files
from lexiseg.data.volumes.volume_names import VOLUME_SUFFIXES, is_volume_file

#: Endings of tables; only some of them can be read as a report sheet.
_TABLES = frozenset({".csv", ".tsv", ".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers"})

#: Files that operating systems add.
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})

#: Files of Lexiseg that are no report sheets.
_KNOWN = frozenset({DATASET_FILE, CASE_FACTS_FILE, SPLITS_FILE})

#: Files of folders that Lexiseg writes results into: such folders hold no images of the data set.
_OF_RESULTS = frozenset(
    {
        "run.json",
        "metrics.json",
        "predictions.jsonl",
        "audit.json",
        "comparison.json",
        ".lexiseg-outputs.jsonl",
    }
)


@dataclass
class _Found:
    """What was found so far: number of images by folder, number of files by ending, and names."""

    beside: list[str] = field(default_factory=list)
    inside: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


def unread_files(
    root: Path,
    folders: Iterable[Path],
    *,
    of_splits: Iterable[Path] = (),
    sheets: Collection[Path],
    tables_in: Iterable[Path],
    advice: str,
    with_volumes: bool = False,
) -> tuple[Omission, ...]:
    """Return what the folders of a data set hold beside the files that are read.

    Args:
        root: The data set's folder.
        folders: The folders whose images or masks are read.
        of_splits: Folders that hold the folders of the splits, and no image that is read.
        sheets: The tables that are read.
        tables_in: The folders in which a user may expect a report sheet to be read.
        advice: Where report sheets are read from, as a sentence.
        with_volumes: Whether the layout reads volume files.
    """
    read = list(dict.fromkeys(folder for folder in folders if folder.is_dir()))
    found = _Found()
    for folder in read:
        _look_into(found, root, folder, read, with_volumes=with_volumes)
    for folder in of_splits:
        if folder.is_dir():
            _look_into(found, root, folder, read, with_volumes=with_volumes)
            found.beside += [
                _name(path, root) for path in visible(folder) if _is_image(path.name, with_volumes)
            ]
    for folder in dict.fromkeys(tables_in):
        found.tables += [
            _name(path, root)
            for path in visible(folder)
            if path.suffix.lower() in _TABLES and path.name not in _KNOWN and path not in sheets
        ]
    others = _other_folders(root, read, with_volumes=with_volumes)
    return (*_of_folders(found), *_of_files(found, advice), *_of_others(others))


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted by name, without hidden files and those of operating systems."""
    return sorted(folder / entry.name for entry in _entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, without hidden files and those of operating systems."""
    with os.scandir(folder) as entries:
        return [
            entry
            for entry in entries
            if not entry.name.startswith((".", "~$")) and entry.name.lower() not in _SYSTEM_FILES
        ]


def _look_into(found: _Found, root: Path, folder: Path, read: Sequence[Path], *, with_volumes: bool) -> None:
    """Add what one folder of images or masks holds beside the files that are read."""
    try:
        entries = sorted(_entries(folder), key=lambda entry: entry.name)
    except OSError:
        found.closed.append(_name(folder, root))
        return
    of_volumes = _of_volumes(folder, entries) if with_volumes else frozenset[Path]()
    for entry in entries:
        ending = os.path.splitext(entry.name)[1].lower()
        if ending in IMAGE_SUFFIXES and not entry.is_symlink() and not entry.is_dir():
            continue
        path = folder / entry.name
        if path in of_volumes:
            continue
        if path.is_dir():
            if path not in read:
                count = sum(1 for _ in _images_below(path, found.closed, root, with_volumes=with_volumes))
                if count:
                    found.inside[_name(path, root)] += count
        elif path.is_symlink() and not _exists(path):
            found.links.append(_name(path, root))
        elif ending in _TABLES:
            found.tables.append(_name(path, root))
        elif ending not in IMAGE_SUFFIXES and not is_image_file(path):
            found.endings[ending or "without ending"] += 1


def _of_volumes(folder: Path, entries: Iterable[os.DirEntry[str]]) -> frozenset[Path]:
    """Return the volumes of a folder and the data files that their headers name."""
    volumes = [path for entry in entries if is_volume_file(path := folder / entry.name)]
    return frozenset([*volumes, *(file for volume in volumes for file in data_files(volume))])


def _is_image(name: str, with_volumes: bool) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, *(VOLUME_SUFFIXES if with_volumes else ())))


def _images_below(folder: Path, closed: list[str], root: Path, *, with_volumes: bool) -> Iterator[Path]:
    """Yield the images and volumes in and below a folder; links to folders inside it are not followed."""
    if folder.is_symlink() and _is_above(folder, root):
        return

    def note(error: OSError) -> None:
        closed.append(_name(Path(error.filename or folder), root))

    for place, folders, files in os.walk(folder, onerror=note):
        if not _OF_RESULTS.isdisjoint(files):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and _is_image(name, with_volumes):
                yield Path(place, name)


def _is_above(link: Path, root: Path) -> bool:
    """Return whether a link leads to the data set's folder, a part of it, or a folder above it."""
    target, whole = link.resolve(), root.resolve()
    return whole.is_relative_to(target) or target.is_relative_to(whole)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _other_folders(root: Path, read: Sequence[Path], *, with_volumes: bool) -> Counter[str]:
    """Return the number of images by folder of `root` that holds no folder that is read."""
    counts: Counter[str] = Counter()
    for path in visible(root):
        if path.is_dir() and not any(folder.is_relative_to(path) for folder in read):
            count = sum(1 for _ in _images_below(path, [], root, with_volumes=with_volumes))
            if count:
                counts[_name(path, root)] = count
    return counts


def _of_folders(found: _Found) -> Iterator[Omission]:
    if found.inside:
        names = [f"{name} ({count})" for name, count in found.inside.most_common()]
        total = found.inside.total()
        yield Omission.of(
            "subfolder",
            names,
            f"Images or masks in subfolders, which are not read ({total}): {some(names)}. To use them, move "
            "the files up into the folder that is read, and keep their names different.",
            count=total,
        )
    if found.beside:
        yield Omission.of(
            "beside-splits",
            found.beside,
            f"Images or masks beside the folders of the splits, which are not read ({len(found.beside)}): "
            f"{some(found.beside)}. Move each into the folder of a split, such as images/train.",
        )
    if found.closed:
        names = list(dict.fromkeys(found.closed))
        yield Omission.of(
            "closed-folder",
            names,
            f"Folders that cannot be opened and are left out ({len(names)}): {some(names)}. Correct their "
            "permissions.",
        )


def _of_files(found: _Found, advice: str) -> Iterator[Omission]:
    if found.endings:
        names = [f"{count} {ending}" for ending, count in found.endings.most_common()]
        total = found.endings.total()
        yield Omission.of(
            "ending",
            names,
            f"Files in the folders of images and masks that are not read: {some(names)}. Images "
            "are read from PNG, JPEG, TIFF, BMP, WebP and DICOM files; save them in one of these formats.",
            count=total,
        )
    if found.links:
        yield Omission.of(
            "broken-link",
            found.links,
            f"Links that lead to no file and are left out ({len(found.links)}): {some(found.links)}. Correct "
            "or remove them.",
        )
    if found.tables:
        names = sorted(set(found.tables))
        yield Omission.of("table", names, f"Tables that are not read ({len(names)}): {some(names)}. {advice}")


def _of_others(others: Counter[str]) -> Iterator[Omission]:
    if others:
        names = [f"{name} ({count})" for name, count in others.most_common()]
        total = others.total()
        yield Omission.of(
            "other-folder",
            names,
            f"Images in other folders, which are not read ({total}): {some(names)}. If they belong to the "
            "data set, move them into its folders of images and masks.",
            count=total,
        )


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
