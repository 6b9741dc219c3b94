"""Outputs of earlier predictions at URLs: they are no images to predict.

Results that were uploaded have no manifest; their lists name them. A folder of results that was copied there,
or a local one that is named as a URL, may have one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from lexiseg.errors import UsageError
from lexiseg.inference.file_systems import file_system, is_refusal, remote_errors
from lexiseg.inference.predictions_file import PARTIAL_FILE, RESULTS_FILE
from lexiseg.inference.remote_folder import UPLOAD_FILE
from lexiseg.inference.volumes.volumes_file import PARTIAL_VOLUMES_FILE, VOLUMES_FILE
from lexiseg.inference.writers.registry import image_formats
from lexiseg.inference.writers.tar import FOLDER as ARCHIVES
from lexiseg.outputs.manifest import OUTPUTS_FILE
from lexiseg.structured_text import UnusableTextError, parse_json

#: Endings of the files in each folder of results.
_ENDINGS = {str(known.folder): known.suffix for known in image_formats()} | {ARCHIVES: ".tar"}

_LISTS = (RESULTS_FILE, PARTIAL_FILE, VOLUMES_FILE, PARTIAL_VOLUMES_FILE)

# "scheme:", "" and the host or bucket of a URL that is split at "/".
_FIRST_FOLDER = 3


class RemoteOutputs:
    """Recognises outputs of earlier predictions among the files of URLs."""

    def __init__(self) -> None:
        self._results = cache(_results_in)

    def holds(self, url: str) -> bool:
        """Return whether an earlier prediction wrote a file, or one that runs now uploads it.

        A folder is asked for lists of results only where a folder in it has the name of an output format.

        Args:
            url: The file.

        Raises:
            DataError: The list of a folder of results cannot be read.
            UsageError: There are no credentials.
        """
        parts = url.split("/")
        for place, folder in enumerate(parts[_FIRST_FOLDER:-1], _FIRST_FOLDER):
            ending = _ENDINGS.get(folder)
            if ending is not None and parts[-1].endswith(ending):
                results = self._results("/".join(parts[:place]))
                if results is not None and results.hold("/".join(parts[place:])):
                    return True
        return False


@dataclass(frozen=True)
class _Results:
    """Results of an earlier prediction at a URL.

    Attributes:
        is_unfinished: Whether they are being uploaded; the folder then holds nothing else.
        files: Digests of the files that are named, from the folder.
        names: Digests of the names of outputs.
    """

    is_unfinished: bool
    files: frozenset[bytes]
    names: frozenset[bytes]

    def hold(self, file: str) -> bool:
        """Return whether a file, from the folder, is among them."""
        folder, _, rest = file.partition("/")
        name = rest.removesuffix(_ENDINGS[folder])
        return self.is_unfinished or _digest(file) in self.files or _digest(name) in self.names


def _results_in(folder: str) -> _Results | None:
    """Return the results in a folder at a URL; None where there are none."""
    is_unfinished = next(_lines(f"{folder}/{UPLOAD_FILE}"), None) is not None
    files: set[bytes] = set()
    names: set[bytes] = set()
    for record in _records(f"{folder}/{OUTPUTS_FILE}"):
        if record.get("sha256") is not None:
            files.add(_digest(str(record.get("file"))))
        else:
            files.discard(_digest(str(record.get("file"))))
    for each in _LISTS:
        for record in _records(f"{folder}/{each}"):
            if "image" in record:
                files.update(_digest(str(record[key])) for key in ("mask", "archive") if record.get(key))
                names.update({_digest(str(record["name"]))} if "name" in record else ())
    return (
        _Results(is_unfinished, frozenset(files), frozenset(names))
        if is_unfinished or files or names
        else None
    )


def _records(url: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON lines; none where it does not exist."""
    for line in _lines(url):
        try:
            record = parse_json(line)
        except UnusableTextError:
            continue
        if isinstance(record, dict):
            yield record


def _lines(url: str) -> Iterator[bytes]:
    """Yield the lines of a file at a URL; none where it does not exist, or may not be read."""
    system, path = file_system(url)
    try:
        with remote_errors(url):
            try:
                file = system.open(path, "rb")
            except FileNotFoundError:
                return
            with file:
                yield from file
    except UsageError as error:
        # Who may read the images alone has not written these results, and could not learn of them.
        if not is_refusal(error):
            raise


def _digest(name: str) -> bytes:
    # There can be millions of names.
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
