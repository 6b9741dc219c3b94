"""The images that a URL names: a file, a folder, or a pattern with `*`, `?` or `[`."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lexiseg.inference.file_systems import file_system, is_web_address, remote_errors, web_file_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MAGIC = frozenset("*?[")


class FoundUrl(NamedTuple):
    """A file that a URL names.

    Attributes:
        url: Its URL.
        name: Its path from the folder, or the last part of the URL of a file or a pattern.
        is_meant: Whether the URL is that of this file.
    """

    url: str
    name: str
    is_meant: bool


def names_one_file(url: str) -> bool:
    """Return whether a URL names one file by its form: an address of the web, no folder and no pattern."""
    if not is_web_address(url):
        return False
    path = urlsplit(url).path
    return path != "" and not path.endswith("/") and "*" not in path


def remote_files(url: str) -> Iterator[FoundUrl]:
    """Yield the files that a URL names, sorted.

    A file or folder that exists stands for itself, whatever its name holds, as in "s3://bucket/scan[1].png".
    Hidden files are left out.

    Args:
        url: A file, a folder (which is searched with its subfolders), or a pattern.

    Raises:
        DataError: It cannot be reached.
        UsageError: There are no credentials, or the kind of URL is not known.
    """
    system, path = file_system(url)
    if names_one_file(url):
        yield FoundUrl(url, web_file_name(url), is_meant=True)
        return
    is_meant = False
    with remote_errors(url):
        literal, pattern = _literal_part(system, path, is_web=is_web_address(url))
        if pattern:
            matches = sorted(system.glob(glob.escape(literal) + pattern))
            found = [(each, PurePosixPath(each).name) for each in matches]
        elif is_meant := system.isfile(path):
            found = [(path, PurePosixPath(path).name)]
        else:
            root = path.rstrip("/") + "/"
            found = [(each, each.removeprefix(root)) for each in sorted(system.find(path))]
        for each, name in found:
            if not any(part.startswith(".") for part in PurePosixPath(name).parts):
                yield FoundUrl(str(system.unstrip_protocol(each)), name, is_meant=is_meant)


def _literal_part(system: AbstractFileSystem, path: str, *, is_web: bool) -> tuple[str, str]:
    """Return the beginning of a path that stands for itself, and the rest, which is a pattern or empty.

    Args:
        system: The file system.
        path: The path.
        is_web: Whether it is on a web server, where signs of patterns are always such: a server can answer
            any path, so that each pattern would seem to exist.
    """
    parts = path.split("/")
    for number, part in enumerate(parts):
        if _MAGIC.isdisjoint(part):
            continue
        place = "/".join(parts[: number + 1])
        if is_web or not (system.isfile(place) or system.isdir(place)):
            before = "/".join([*parts[:number], ""])
            return before, path.removeprefix(before)
    return path, ""
