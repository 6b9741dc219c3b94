"""What an importer gives: cases with pixels and labels, and what is to be said of them."""

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

Labels = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

#: Folders are looked for this deep: an archive's own folders, and those people put around them.
_DEPTH = 6


@dataclass(frozen=True, kw_only=True)
class SourceCase:
    """One image of a published data set.

    Attributes:
        name: Its name without ending, unique in its split.
        image: A picture file, to be copied as it is; or (H, W) grey pixels.
        labels: (H, W) labels, 0 for the background.
        original: Where it came from: path below the folder, and slice.
        patient: Patient, or what else must stay in one split, where known.
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
    """A published data set that was found.

    Attributes:
        cases: Its cases; pixels are read as they are asked for.
        total: How many there are at most; None where only reading tells.
        said: What is to be said, one sentence each; complete when all cases were read.
    """

    cases: Iterable[SourceCase]
    total: int | None = None
    said: list[str] = field(default_factory=list)


def not_found(folder: Path, entry: Entry) -> DataError:
    """Return the error for a folder that is not this data set: what was expected, what is there."""
    there = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return DataError(
        f"{folder} does not look like {entry.title}: expected {entry.layout}. It holds "
        f"{some(there, limit=8) or 'nothing'}.",
        code="LEX-DATA-082",
    )


def find_folders(folder: Path, fits: Callable[[Path], bool]) -> list[Path]:
    """Return the folders nearest to `folder` that fit, it itself included, sorted by name as people count.

    All of them lie equally deep: what lies deeper is taken for their contents, or for a copy.
    """
    level = [folder]
    for _ in range(_DEPTH):
        found = [path for path in level if fits(path)]
        if found:
            return found
        level = [inner for path in level for inner in subfolders(path)]
    return []


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, hidden ones left out, sorted as people count."""
    inner = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX"))]
    return sorted(inner, key=natural)


def visible_files(folder: Path, suffix: str | tuple[str, ...]) -> list[Path]:
    """Return the files of a folder whose names end so, in any letter case, hidden ones left out, sorted."""
    found = [p for p in folder.iterdir() if p.name.lower().endswith(suffix) and not p.name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=natural)


def read_text(path: Path) -> str:
    """Read a text file of the data set.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}", code="LEX-DATA-083") from error


def below(folder: Path, path: str) -> Path | None:
    """Return a folder by its path below another, in any letter case; None if it is not there."""
    place: Path | None = folder
    for part in path.split("/"):
        if place is None or not place.is_dir():
            return None
        place = next((p for p in place.iterdir() if p.is_dir() and p.name.lower() == part.lower()), None)
    return place


def has_pictures(folder: Path | None) -> bool:
    """Say whether a folder holds picture files."""
    return folder is not None and bool(image_files(folder))


def natural(path: Path) -> tuple[tuple[int, str], ...]:
    """Sort key by which "2" comes before "10"."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", path.name)
    )


def first_group(pattern: str | None, name: str) -> str | None:
    """Return what a pattern's first group finds in a name; None without a pattern or a find."""
    match = re.search(pattern, name) if pattern is not None else None
    return match[1] if match else None


def say_left_out(said: list[str], names: Iterable[str], why: str) -> None:
    """Note the images that were left out, if there are any."""
    listed = sorted(names)
    if listed:
        said.append(f"{len(listed)} images were left out: {why}: {some(listed)}.")
