"""Images that are named twice, members of archives that later ones replace, and names that images share."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lexiseg.errors import DataError
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_list import TargetList
from lexiseg.printable import counted


def replaced_note(archive: str | Path, count: int, kind: str = "image") -> str:
    """Return the sentence that says how many files of an archive later ones of the same name replace.

    Args:
        archive: What the archive is called.
        count: Number of files that are not read.
        kind: "image" or "file".
    """
    they_are = counted(count, f"{kind} is", f"{kind}s are")
    return (
        f"{they_are} not read because {archive} holds a later one of the same name, which is read instead. "
        "To read both, give them two names."
    )


def replaced_positions(real_paths: array[int], first: int) -> list[int]:
    """Return the positions of the members of an archive that later members of the same name replace.

    Of several members of one name, `tar` unpacks the last one.

    Args:
        real_paths: A number per image that tells its file.
        first: Position of the first member of the archive; the members are the last images.
    """
    backwards = np.array(real_paths[first:], dtype=np.int64)[::-1]
    _, last = np.unique(backwards, return_index=True)
    is_replaced = np.ones(len(backwards), dtype=bool)
    is_replaced[last] = False
    positions: list[int] = (first + np.flatnonzero(is_replaced[::-1])).tolist()
    return positions


def without_doubles(targets: TargetList, real_paths: array[int], replaced: array[int]) -> TargetList:
    """Return the images, each once, under its first name; without the replaced members of archives.

    Args:
        targets: The images.
        real_paths: A number per image that tells its path without symbolic links.
        replaced: Positions of the members of archives that later members replace.
    """
    kept = np.delete(np.arange(len(targets)), np.array(replaced, dtype=np.int64))
    _, first = np.unique(np.array(real_paths, dtype=np.int64)[kept], return_index=True)
    if len(first) < len(targets):
        is_first = np.zeros(len(targets), dtype=bool)
        is_first[kept[first]] = True
        return targets.chosen(is_first)
    return targets


def refuse_same_names(targets: TargetList) -> None:
    """Refuse images of which two would write the same mask.

    Raises:
        DataError: Two would.
    """
    # As disks compare names: on Windows, "a" and "A" are one name.
    keys = (hash(os.path.normcase(name)) for name in targets.names())
    names = np.fromiter(keys, dtype=np.int64, count=len(targets))
    found, counts = np.unique(names, return_counts=True)
    if len(found) < len(targets):
        doubled = np.isin(names, found[counts > 1])
        refuse_doubled(targets.chosen(doubled))


def refuse_doubled(targets: Sequence[Target]) -> None:
    """Refuse images, not too many, of which two would write the same mask.

    Raises:
        DataError: Two would.
    """
    by_name: dict[Path, Target] = {}
    for target in targets:
        other = by_name.setdefault(target.name, target)
        if other is not target:
            together = other.image.parent.resolve() == target.image.parent.resolve()
            raise DataError(
                f"{other.label} and {target.label} would both write the mask '{target.name}.png'. "
                "Predict them with two commands and two --out folders"
                + ("." if together else ", or give their parent folder."),
                code="LEX-DATA-100",
            )
