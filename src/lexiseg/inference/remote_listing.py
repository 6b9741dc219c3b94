"""The images that a URL names: a file, a folder, or a pattern with `*`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from lexiseg.inference.file_systems import file_system, is_web_address, remote_errors, web_file_name

_MAGIC = frozenset("*?[")


def names_one_file(url: str) -> bool:
    """Return whether a URL names one file by its form: an address of the web, no folder and no pattern."""
    if not is_web_address(url):
        return False
    path = urlsplit(url).path
    return path != "" and not path.endswith("/") and "*" not in path


def remote_files(url: str) -> Iterator[tuple[str, str]]:
    """Yield the URL and the name of each file that a URL names, sorted.

    The name is the path from the folder, or the last part of the URL of a file or a pattern. Hidden files are
    left out.

    Args:
        url: A file, a folder (which is searched with its subfolders), or a pattern with `*`.

    Raises:
        DataError: It cannot be reached.
        UsageError: There are no credentials, or the kind of URL is not known.
    """
    system, path = file_system(url)
    if names_one_file(url):
        yield url, web_file_name(url)
        return
    with remote_errors(url):
        if _MAGIC & set(path):
            found = [(each, PurePosixPath(each).name) for each in sorted(system.glob(path))]
        elif system.isfile(path):
            found = [(path, PurePosixPath(path).name)]
        else:
            root = path.rstrip("/") + "/"
            found = [(each, each.removeprefix(root)) for each in sorted(system.find(path))]
        for each, name in found:
            if not any(part.startswith(".") for part in PurePosixPath(name).parts):
                yield str(system.unstrip_protocol(each)), name
