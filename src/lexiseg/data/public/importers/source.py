"""The result of an importer: images with labels, and notes for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.layouts.pairing import image_files
from lexiseg.data.layouts.scan import some
from lexiseg.data.public.registry import Entry
from lexiseg.data.sample import Split
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors
from lexiseg.printable import counted

Labels = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

#: Depth to which folders are searched: the folders of an archive, and folders around them.
_DEPTH = 6


@dataclass(frozen=True, kw_only=True)
class SourceCase:
    """One image of a published data set.

    Attributes:
        name: Its name without extension, unique in its split.
        image: A picture file, which is copied unchanged; or (H, W) grey pixels.
        labels: (H, W) labels, 0 for the background.
        original: Its origin: path below the folder, and slice.
        patient: Patient, or another unit that must stay in one split, where known.
        spacing_mm: Pixel spacing (row, column) in millimetres, where it differs between images.
        split: The published split; None if there is none.
        report: Its sentence, where there is one.
    """

    name: str
    image: Path | Pixels
    labels: Labels
    original: str
    patient: str | None = None
    spacing_mm: tuple[float, float] | None = None
    split: Split | None = None
    report: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceDataset:
    """A published data set, found in a folder.

    Attributes:
        cases: Its images; pixels are read during iteration.
        total: Largest possible number of images; None where it is known only after reading.
        notes: Notes for the user, one sentence each; complete after the iteration.
    """

    cases: Iterable[SourceCase]
    total: int | None = None
    notes: list[str] = field(default_factory=list)


def not_found(folder: Path, entry: Entry) -> DataError:
    """Return the error for a folder that is not this data set: what was expected and what it holds."""
    there = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return DataError(
        f"{folder} does not look like {entry.title}: expected {entry.layout}. It holds "
        f"{some(there, limit=8) or 'nothing'}.",
        code="LEX-DATA-082",
    )


def find_folders(folder: Path, fits: Callable[[Path], bool]) -> list[Path]:
    """Return the matching folders closest to `folder`, itself included, in natural order ("2" before "10").

    All of them have the same depth: deeper folders are their contents, or a copy.
    """
    level = [folder]
    for _ in range(_DEPTH):
        found = [path for path in level if fits(path)]
        if found:
            return found
        level = [inner for path in level for inner in subfolders(path)]
    return []


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder in natural order, without hidden ones."""
    inner = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX"))]
    return sorted(inner, key=natural)


def visible_files(folder: Path, suffix: str | tuple[str, ...]) -> list[Path]:
    """Return the files with an ending, in any letter case, in natural order, without hidden ones."""
    found = [p for p in folder.iterdir() if p.name.lower().endswith(suffix) and not p.name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=natural)


def read_text(path: Path) -> str:
    """Read a text file of the data set.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        with open_errors(path):
            return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}", code="LEX-DATA-083") from error


def below(folder: Path, path: str) -> Path | None:
    """Return a folder by its path below another, in any letter case; None if it does not exist."""
    place: Path | None = folder
    for part in path.split("/"):
        if place is None or not place.is_dir():
            return None
        place = next((p for p in place.iterdir() if p.is_dir() and p.name.lower() == part.lower()), None)
    return place


def has_pictures(folder: Path | None) -> bool:
    """Return whether a folder holds picture files."""
    return folder is not None and bool(image_files(folder))


def natural(path: Path) -> tuple[tuple[int, str], ...]:
    """Return the sort key of natural order, in which "2" comes before "10"."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", path.name)
    )


def first_group(pattern: str | None, name: str) -> str | None:
    """Return the first group of a pattern in a name; None without a pattern or a match."""
    match = re.search(pattern, name) if pattern is not None else None
    return match[1] if match else None


def note_left_out(notes: list[str], names: Iterable[str], why: str) -> None:
    """Add a note on the images that are left out, if there are any."""
    listed = sorted(names)
    if listed:
        notes.append(f"{counted(len(listed), 'image was', 'images were')} left out: {why}: {some(listed)}.")
