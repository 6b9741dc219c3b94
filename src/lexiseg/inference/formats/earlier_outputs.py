"""Outputs of earlier predictions: they are no images to predict, and a new prediction may replace them.

A folder of outputs has a manifest (`lexiseg.outputs.manifest`). Version 0.1.0 wrote none: its outputs are
known by `predictions.jsonl`, which names the masks, and by the first bytes of its other files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lexiseg.inference.formats.file_names import PARTIAL_FILE, RESULTS_FILE
from lexiseg.inference.formats.registry import image_formats
from lexiseg.open_files import open_errors
from lexiseg.outputs.manifest import recorded_names
from lexiseg.structured_text import UnusableTextError, parse_json

# The marks of all formats stand at the top of their files.
_HEAD_BYTES = 1024

_LINES = (RESULTS_FILE, PARTIAL_FILE)


def earlier_outputs(folder: Path, known: frozenset[str]) -> Iterator[Path]:
    """Yield the files in a folder that a prediction of version 0.1.0 wrote.

    Args:
        folder: An output folder.
        known: The files that its manifest names.
    """
    masks = _masks_of_0_1(folder, known)
    if masks is not None:
        for file in _candidates(folder):
            if file.relative_to(folder).as_posix() not in known and _is_of_0_1(file, folder, masks):
                yield file


class EarlierOutputs:
    """Recognises outputs of earlier predictions among the images of a folder."""

    def __init__(self) -> None:
        self._results = cache(_results_in)
        self._results_above = cache(self._find_results)

    def holds(self, image: str | Path) -> bool:
        """Return whether an earlier prediction wrote an image.

        Args:
            image: An image file; its folder and all folders above are looked at.

        Raises:
            DataError: The manifest of a folder above is damaged or cannot be read.
        """
        # Most folders are below no results: this is then all that is done for an image.
        above = self._results_above(os.path.dirname(image))
        return bool(above) and any(results.hold(Path(os.path.abspath(image))) for results in above)

    def _find_results(self, folder: str) -> tuple[_Results, ...]:
        """Return the results of the folders from one upwards."""
        place = Path(os.path.abspath(folder))
        places = (place, *place.parents)
        return tuple(found for place in places if (found := self._results(place)) is not None)


@dataclass(frozen=True)
class _Results:
    """Results of an earlier prediction in a folder.

    Attributes:
        folder: The folder.
        names: The files that its manifest names; None where it has none.
        masks: What `_masks_of_0_1` returns for the folder.
    """

    folder: Path
    names: frozenset[str] | None
    masks: frozenset[str] | None

    def hold(self, image: Path) -> bool:
        """Return whether an image below the folder is among them."""
        if self.names is not None and image.relative_to(self.folder).as_posix() in self.names:
            return True
        return _is_of_0_1(image, self.folder, self.masks)


def _results_in(folder: Path) -> _Results | None:
    """Return the results of an earlier prediction in a folder; None where there are none."""
    names = recorded_names(folder)
    masks = _masks_of_0_1(folder, names or frozenset())
    return None if names is None and masks is None else _Results(folder, names, masks)


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield the files in the places of outputs."""
    if (folder / RESULTS_FILE).is_file():
        yield folder / RESULTS_FILE
    for kind in image_formats():
        for file in sorted((folder / str(kind.folder)).rglob(f"*{kind.suffix}")):
            if file.is_file():
                yield file


def _is_of_0_1(file: Path, folder: Path, masks: frozenset[str] | None) -> bool:
    """Return whether version 0.1.0 wrote a file.

    Args:
        file: The file.
        folder: A folder above it.
        masks: What `_masks_of_0_1` returns for the folder.
    """
    if masks is None:
        return False
    name = file.relative_to(folder)
    if name.as_posix() == RESULTS_FILE:
        return True
    for kind in image_formats():
        if kind.mark is not None and name.parts[0] == kind.folder and name.suffix == kind.suffix:
            if kind.mark:
                return kind.mark in _head(file)
            # The lines of an interrupted batch are not complete, and 0.1.0 wrote into no other folder of
            # masks.
            return name.as_posix() in masks or (folder / PARTIAL_FILE).is_file()
    return False


def _masks_of_0_1(folder: Path, known: frozenset[str]) -> frozenset[str] | None:
    """Return the masks that the lines of version 0.1.0 name; None where the folder holds no such lines.

    Args:
        folder: The folder.
        known: The files that its manifest names. If it names the lines, they are not of that version, and are
            not read: there can be millions.
    """
    return _listed_masks(folder) if known.isdisjoint(_LINES) else None


def _listed_masks(folder: Path) -> frozenset[str] | None:
    """Return the masks that the lines of a batch name; None where the folder holds no lines of a batch."""
    masks: set[str] = set()
    found = False
    for file in (folder / name for name in _LINES):
        with (
            contextlib.suppress(OSError),
            open_errors(file),
            open(file, encoding="utf-8", errors="replace") as lines,
        ):
            for line in lines:
                try:
                    record = parse_json(line)
                except UnusableTextError:
                    continue
                if isinstance(record, dict) and "image" in record:
                    found = True
                    masks.add(str(record.get("mask")))
    return frozenset(masks) if found or (folder / PARTIAL_FILE).is_file() else None


def _head(path: Path) -> bytes:
    """Return the first bytes of a file; none of one that cannot be read, which is then not taken for ours."""
    try:
        with open_errors(path), open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
