"""The images that a URL names: a file, a folder, or a pattern with `*`, `?` or `[`."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lexiseg.inference.remote.file_systems import file_system, is_web_address, remote_errors, web_file_name

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


@dataclass(frozen=True)
class RemoteListing:
    """The files that a URL names.

    Attributes:
        system: The file system.
        found: Paths of the files in it, sorted, each with its name as of `FoundUrl`.
        root: URL of the folder that was searched, with "/" at the end.
        is_meant: Whether the URL is that of one file.
        is_whole: Whether the folder was listed with all that is in it.
    """

    system: AbstractFileSystem
    found: list[tuple[str, str]]
    root: str
    is_meant: bool = False
    is_whole: bool = False

    def files(self) -> Iterator[FoundUrl]:
        """Yield the files, sorted; hidden files are left out."""
        for path, name in self.found:
            if not any(part.startswith(".") for part in PurePosixPath(name).parts):
                yield FoundUrl(self._url(path), name, is_meant=self.is_meant)

    def urls_named(self, names: frozenset[str]) -> frozenset[str]:
        """Return the URLs of the files in any folder, also hidden ones, that have one of these names."""
        return frozenset(self._url(path) for path, _ in self.found if path.rpartition("/")[2] in names)

    def _url(self, path: str) -> str:
        return path if is_web_address(path) else str(self.system.unstrip_protocol(path))


def remote_files(url: str) -> RemoteListing:
    """Return the files that a URL names.

    A file or folder that exists stands for itself, whatever its name holds, as in "s3://bucket/scan[1].png".

    Args:
        url: A file, a folder (which is searched with its subfolders), or a pattern.

    Raises:
        DataError: It cannot be reached.
        UsageError: There are no credentials, or the kind of URL is not known.
    """
    system, path = file_system(url)
    if names_one_file(url):
        return RemoteListing(system, [(url, web_file_name(url))], url, is_meant=True)
    with remote_errors(url):
        literal, pattern = _literal_part(system, path, is_web=is_web_address(url))
        if pattern:
            matches = sorted(system.glob(glob.escape(literal) + pattern))
            found = [(each, PurePosixPath(each).name) for each in matches]
            return RemoteListing(system, found, _as_folder(system, literal))
        if system.isfile(path):
            return RemoteListing(system, [(path, PurePosixPath(path).name)], path, is_meant=True)
        root = path.rstrip("/") + "/"
        found = [(each, each.removeprefix(root)) for each in sorted(system.find(path))]
        return RemoteListing(system, found, _as_folder(system, path), is_whole=True)


def names_in(folder: str) -> frozenset[str]:
    """Return the names of what is directly in a folder at a URL, with one request; empty without a folder.

    Args:
        folder: Its URL, without "/" at the end.

    Raises:
        DataError: It cannot be reached, or the server refuses it.
        UsageError: There are no credentials.
    """
    # A web server would answer with the address of the folder with "/".
    system, path = file_system(f"{folder}/" if is_web_address(folder) else folder)
    with remote_errors(folder):
        try:
            return frozenset(each.rstrip("/").rpartition("/")[2] for each in system.ls(path, detail=False))
        except FileNotFoundError:
            return frozenset()


def _as_folder(system: AbstractFileSystem, path: str) -> str:
    """Return the URL of a folder, with "/" at the end."""
    url = str(system.unstrip_protocol(path))
    return url if url.endswith("/") else f"{url}/"


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
