"""The images that a URL names: a file, a folder, or a pattern with `*`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from lexiseg.inference.image_sources import file_system, remote_errors

_MAGIC = frozenset("*?[")


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
