"""Outputs of earlier predictions at URLs: they are no images to predict.

Results that were uploaded have no manifest; their lists name them. A folder of results that was copied there,
or a local one that is named as a URL, may have one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from pydantic import ValidationError

from lexiseg.errors import LexisegError
from lexiseg.inference.formats.file_names import (
    ARCHIVE_FOLDER,
    PARTIAL_FILE,
    PARTIAL_VOLUMES_FILE,
    RESULTS_FILE,
    VOLUMES_FILE,
)
from lexiseg.inference.formats.registry import image_formats
from lexiseg.inference.remote.file_systems import file_system, is_refusal, is_web_address, remote_errors
from lexiseg.inference.remote.folder import UPLOAD_FILE, UploadRecord
from lexiseg.inference.remote.listing import RemoteListing, names_in
from lexiseg.outputs.manifest import OUTPUTS_FILE
from lexiseg.structured_text import UnusableTextError, parse_json

#: Endings of the files in each folder of results.
_ENDINGS = {str(known.folder): known.suffix for known in image_formats()} | {ARCHIVE_FOLDER: ".tar"}

_LISTS = (RESULTS_FILE, PARTIAL_FILE, VOLUMES_FILE, PARTIAL_VOLUMES_FILE)
_HIDDEN_LISTS = frozenset({OUTPUTS_FILE, UPLOAD_FILE})
_ALL_LISTS = _HIDDEN_LISTS.union(_LISTS)

# A file that marks an upload has fewer.
_MOST_LINES = 1000

_PIECE_BYTES = 1 << 20

# "scheme:", "" and the host or bucket of a URL that is split at "/".
_FIRST_FOLDER = 3


class RemoteOutputs:
    """Recognises outputs of earlier predictions among the files that a URL names.

    Args:
        listing: The files. Lists of results among them need no request of their own.
    """

    def __init__(self, listing: RemoteListing) -> None:
        self._root = listing.root
        self._listed = listing.urls_named(_ALL_LISTS) if listing.is_whole else None
        self._results = cache(self._results_in)

    def holds(self, url: str) -> bool:
        """Return whether an earlier prediction wrote a file, or one that runs now uploads it.

        Lists of results are looked for only where a folder has the name of an output format.

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

    def _results_in(self, folder: str) -> _Results | None:
        """Return the results in a folder at a URL; None where there are none."""
        lists = self._lists_in(folder)
        return _results_of(folder, lists) if lists else None

    def _lists_in(self, folder: str) -> frozenset[str]:
        """Return the names of the lists that may be in a folder.

        Below the folder that was searched, there can be very many: the listing of it tells, or else one
        request for each. The few above it can hold very many other files, so that each list is asked for. So
        is each hidden list where the index of a web server shows no hidden file, as many leave them out.
        """
        if not f"{folder}/".startswith(self._root):
            return _ALL_LISTS
        if self._listed is not None:
            return frozenset(name for name in _ALL_LISTS if f"{folder}/{name}" in self._listed)
        try:
            names = names_in(folder)
            shows_hidden = not is_web_address(folder) or any(name.startswith(".") for name in names)
            return names & _ALL_LISTS if shows_hidden else _HIDDEN_LISTS | (names & _ALL_LISTS)
        except LexisegError as error:
            if not _is_refused(error):
                raise
            return frozenset()


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


def _results_of(folder: str, lists: frozenset[str]) -> _Results | None:
    """Return the results that lists in a folder at a URL name; None where they name none."""
    is_unfinished = UPLOAD_FILE in lists and _is_upload(f"{folder}/{UPLOAD_FILE}")
    files: set[bytes] = set()
    names: set[bytes] = set()
    for record in _records(f"{folder}/{OUTPUTS_FILE}") if OUTPUTS_FILE in lists else ():
        if record.get("sha256") is not None:
            files.add(_digest(str(record.get("file"))))
        else:
            files.discard(_digest(str(record.get("file"))))
    for each in lists.intersection(_LISTS):
        for record in _records(f"{folder}/{each}"):
            if "image" in record:
                files.update(_digest(str(record[key])) for key in ("mask", "archive") if record.get(key))
                names.update({_digest(str(record["name"]))} if "name" in record else ())
    return (
        _Results(is_unfinished, frozenset(files), frozenset(names))
        if is_unfinished or files or names
        else None
    )


def _is_upload(url: str) -> bool:
    """Return whether a file marks an upload that is not finished.

    A web server can answer any address, so that its content decides.
    """
    try:
        UploadRecord.model_validate(parse_json(b"\n".join(islice(_lines(url), _MOST_LINES))))
    except (UnusableTextError, ValidationError):
        return False
    return True


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
    """Yield the lines of a file at a URL, without their ends; none where it is not there or is refused."""
    system, path = file_system(url)
    try:
        with remote_errors(url):
            try:
                file = system.open(path, "rb")
            except FileNotFoundError:
                return
            with file:
                yield from _split(file)
    except LexisegError as error:
        if not _is_refused(error):
            raise


def _split(file: Any) -> Iterator[bytes]:
    """Yield the lines of an opened file, without their ends.

    A web server that does not state a length sends a stream, of which fsspec reads no lines.
    """
    rest = b""
    while piece := file.read(_PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _is_refused(error: LexisegError) -> bool:
    """Return whether a server refuses a URL.

    Who may read the images alone has not written these results, and could not learn of them.
    """
    return is_refusal(error) or error.code == "LEX-DATA-1477"


def _digest(name: str) -> bytes:
    # There can be millions of names.
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
