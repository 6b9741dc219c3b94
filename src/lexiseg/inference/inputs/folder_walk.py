"""The files below a folder, in the order of their paths, a folder at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from lexiseg.errors import DataError
from lexiseg.open_files import open_errors


class FoundFile(NamedTuple):
    """A file below a folder.

    Attributes:
        path: Its path, which begins with the folder as it was given.
        name: Its path from the folder, with "/" between folders.
        real: Its path without symbolic links, by which a file is known that has two paths.
        folder: The folder that holds it, without symbolic links.
        is_broken: Whether it is a link that cannot be followed: it leads in a circle, to nothing, or into a
            closed folder.
    """

    path: str
    name: str
    real: str
    folder: str
    is_broken: bool = False


def files_below(folder: str) -> Iterator[FoundFile]:
    """Yield the files below a folder, sorted by the parts of their paths.

    Hidden files and folders are left out, such as "._a.png", which macOS puts beside a.png; and so are
    folders behind symbolic links, which may lead in circles. A link that cannot be followed is yielded as
    broken, as an image may be lost with it.

    Args:
        folder: The folder.

    Raises:
        DataError: A folder cannot be read.
    """
    yield from _below(folder, os.path.realpath(folder), "")


def _below(folder: str, real: str, above: str) -> Iterator[FoundFile]:
    try:
        with open_errors(folder), os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=_name)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read: {error.strerror or error}. Give yourself the right to read "
            "it, or name the images in another way.",
            code="LEX-DATA-1280",
        ) from error
    for entry in entries:
        if entry.is_symlink() and is_broken_link(entry.path):
            place = os.path.join(real, entry.name)
            yield FoundFile(path=entry.path, name=above + entry.name, real=place, folder=real, is_broken=True)
        elif entry.is_dir():
            if not entry.is_symlink():
                yield from _below(entry.path, os.path.join(real, entry.name), f"{above}{entry.name}/")
        elif entry.is_file():
            target = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(real, entry.name)
            yield FoundFile(path=entry.path, name=above + entry.name, real=target, folder=real)


def is_broken_link(path: str) -> bool:
    """Return whether a path is a symbolic link that cannot be followed."""
    if not os.path.islink(path):
        return False
    try:
        os.stat(path)
    except OSError:
        return True
    return False


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
