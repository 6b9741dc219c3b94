"""Names of files from elsewhere as this system can store them: reversible, and no two names share a file."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

_IS_WINDOWS = os.name == "nt"

# What Windows allows in no name, and "%", which stands before the digits of each such byte.
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\/%]')
# Devices, also with an ending; what a name ends with is left out before.
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3])(\..*)?", re.I
)


def portable_name(name: str) -> str:
    """Return a name of a file or folder that every system can store.

    "%" and two digits stand for each byte that Windows forbids, and for "%", so that
    `urllib.parse.unquote` gives the name back, and different names stay different.

    Args:
        name: The name, without folders.

    Examples:
        >>> portable_name("a:b.png"), portable_name("con.png"), portable_name("a."), portable_name("50%.png")
        ('a%3Ab.png', '%63on.png', 'a%2E', '50%25.png')
    """
    safe = _FORBIDDEN.sub(lambda found: _coded(found[0]), name)
    if safe.endswith((".", " ")):  # Windows leaves them out
        safe = safe[:-1] + _coded(safe[-1])
    return _coded(safe[0]) + safe[1:] if _DEVICE.fullmatch(safe.replace(" ", "")) else safe


def stored_name(name: str) -> str:
    """Return the name under which this system stores a file from elsewhere: on Windows, its `portable_name`.

    Args:
        name: The name, without folders.
    """
    return portable_name(name) if _IS_WINDOWS else name


class PortablePlaces:
    """Gives each file of an archive its place in a folder.

    Names stay as they are where the system can store them. On Windows, each part of a path becomes its
    `portable_name`. Where the disk takes two names for one, as those that differ in capitals alone, letters
    of the later one are written as "%" and digits too.

    Args:
        folder: The folder.
        windows: Whether its disk stores what Windows can store alone; by default, whether this is Windows.
    """

    def __init__(self, folder: Path, *, windows: bool | None = None) -> None:
        self._folder = folder
        self._windows = _IS_WINDOWS if windows is None else windows
        self._places: dict[PurePosixPath, Path] = {}
        self._alike: dict[str, list[Path]] = {}

    def place(self, name: str) -> Path:
        """Return where a file is written; the same name always gets the same place.

        The file must be written before the next place is asked for.

        Args:
            name: Its path in the archive, with "/" between folders.
        """
        path = PurePosixPath(name)
        if path not in self._places:
            parts = [portable_name(part) if self._windows else part for part in path.parts]
            alike = self._alike.setdefault(_key(path), [])
            place, last = self._folder.joinpath(*parts), parts[-1]
            for coded in range(1, len(last) + 1):
                if not any(_are_one_file(place, other) for other in alike):
                    break
                place = self._folder.joinpath(*parts[:-1], _with_coded_letters(last, coded))
            alike.append(place)
            self._places[path] = place
        return self._places[path]


def _coded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(text))


def _with_coded_letters(name: str, count: int) -> str:
    """Return a name with so many letters coded, from the beginning; codes in it stay."""
    parts = re.findall(r"%[0-9A-F]{2}|.", name, re.DOTALL)
    return "".join(_coded(part) if i < count and len(part) == 1 else part for i, part in enumerate(parts))


def _key(path: PurePosixPath) -> str:
    """Return what is the same for paths that some disk takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.as_posix()).casefold())


def _are_one_file(place: Path, other: Path) -> bool:
    """Return whether a place is that of a file that is there already, by another name."""
    return place.exists() and other.exists() and place.samefile(other)
