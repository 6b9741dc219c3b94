"""The manifest of an output folder: which of its files Lexiseg wrote, and their content.

`.lexiseg-outputs.jsonl` has one line per file that was written or removed. A line is added before the file
gets its name, so a process that is killed at any moment leaves no file of its own that the manifest does not
know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TextIO

from pydantic import ValidationError

from lexiseg.errors import DataError
from lexiseg.file_hashes import file_sha256
from lexiseg.files import atomic_path, disk_errors, private_opener
from lexiseg.json_records import FileRecord, reason
from lexiseg.open_files import open_errors
from lexiseg.outputs.digest_table import DigestTable
from lexiseg.structured_text import UnusableTextError, parse_json

#: Name of the manifest in an output folder.
OUTPUTS_FILE = ".lexiseg-outputs.jsonl"


class OutputRecord(FileRecord):
    """A file that Lexiseg wrote into an output folder: one line of `.lexiseg-outputs.jsonl`.

    Attributes:
        schema_version: Version of this schema.
        file: The file, from the output folder, with "/" between folders.
        sha256: SHA-256 of its content; None if Lexiseg removed it.
    """

    file: str
    sha256: str | None


class OutputManifest:
    """The files that Lexiseg wrote into an output folder, in this batch or in earlier ones.

    A file may have several digests: a process that is killed between the line and the renaming leaves the
    earlier content in place. Its memory does not grow with the number of files.

    Args:
        folder: The output folder; it may hold no manifest yet.

    Raises:
        DataError: The manifest is damaged or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / OUTPUTS_FILE
        self._digests = DigestTable()
        self._replaced: set[str] = set()  # files of this process that may still have an earlier content
        self._lines: TextIO | None = None
        self._whole_bytes = 0
        self._one_line = Lock()  # several threads may write files
        self._read()

    @property
    def names(self) -> frozenset[str]:
        """The files, from the output folder, with "/" between folders."""
        return frozenset(name for name, _ in self._digests.items())

    @property
    def is_empty(self) -> bool:
        """Whether it names no file."""
        return self._digests.is_empty()

    def knows(self, name: str) -> bool:
        """Return whether Lexiseg wrote a file of this name."""
        return bool(self._digests.get(name))

    def matches(self, name: str, path: Path) -> bool:
        """Return whether a file is one that Lexiseg wrote and nobody has changed since.

        Args:
            name: The file, from the output folder.
            path: The same file.
        """
        try:
            known = self._digests.get(name)
            return bool(known) and path.is_file() and file_sha256(path) in known
        except OSError:
            return False

    def add(self, name: str, content: Path) -> None:
        """Note that a file gets a content, before it gets it.

        Args:
            name: The file, from the output folder.
            content: A file with that content.

        Raises:
            DiskError: There is no space or no permission.
        """
        self._append(OutputRecord(file=name, sha256=file_sha256(content)))

    def add_bytes(self, name: str, content: bytes) -> None:
        """Note that a file gets a content that is in memory; see `add`."""
        self._append(OutputRecord(file=name, sha256=hashlib.sha256(content).hexdigest()))

    def confirm(self, name: str) -> None:
        """Take note that a file has the content that was added last."""
        # A new file has one digest: then there is nothing to forget, and the table is not asked.
        if name in self._replaced:
            self._digests.keep_last(name)
            self._replaced.discard(name)

    def forget(self, name: str) -> None:
        """Note that Lexiseg removed a file.

        Raises:
            DiskError: There is no space or no permission.
        """
        self._append(OutputRecord(file=name, sha256=None))

    def settle(self) -> None:
        """Write the manifest anew, without files that are gone; call it after the last file.

        Raises:
            DiskError: There is no space or no permission.
        """
        self.close()
        lines = self._present()
        first = next(lines, None)
        if first is None and not self.file.is_file():
            return
        with atomic_path(self.file) as beside, open(beside, "w", encoding="ascii") as file:
            file.write(first or "")
            file.writelines(lines)

    def _present(self) -> Iterator[str]:
        """Yield the lines of the files that are there, by name."""
        folder = self.file.parent
        for name, digests in self._digests.items():
            if (folder / name).is_file():
                kept = digests if len(digests) == 1 else _of_content(digests, folder / name)
                yield from (_line(OutputRecord(file=name, sha256=found)) for found in kept)

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            with disk_errors(self.file):
                self._lines.close()
            self._lines = None

    def _append(self, record: OutputRecord) -> None:
        with self._one_line, disk_errors(self.file):
            if self._lines is None:
                self._lines = open(self.file, "a", encoding="ascii", opener=private_opener)  # noqa: SIM115
                self._lines.truncate(self._whole_bytes)  # an incomplete line of a killed process
            self._lines.write(_line(record))
            self._lines.flush()
        if self._take(record):
            self._replaced.add(record.file)

    def _take(self, record: OutputRecord) -> bool:
        """Take a line over; return whether the file may still have an earlier content."""
        if record.sha256 is None:
            self._digests.remove(record.file)
            return False
        return not self._digests.add(record.file, record.sha256)

    def _read(self) -> None:
        try:
            with open_errors(self.file), open(self.file, "rb") as file:
                for number, line in enumerate(file, start=1):
                    if not line.endswith(b"\n"):  # of a killed process
                        break
                    self._whole_bytes += len(line)
                    self._read_line(number, line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(
                f"{self.file} cannot be read ({error.strerror or error}). It lists the files that Lexiseg "
                "wrote into this folder. Choose another --out folder.",
                code="LEX-DATA-742",
            ) from error

    def _read_line(self, number: int, line: bytes) -> None:
        try:
            self._take(OutputRecord.model_validate(parse_json(line)))
        except (UnusableTextError, ValidationError) as error:
            raise DataError(
                f"{self.file}, line {number} is damaged ({reason(OutputRecord, error)}). It lists the "
                "files that Lexiseg wrote into this folder. Choose another --out folder.",
                code="LEX-DATA-743",
            ) from error


def _of_content(digests: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Return the one of several digests that a file has; all if somebody changed it, or it cannot be read.

    A killed process leaves several digests of a file that the next one need not write again.
    """
    with contextlib.suppress(OSError):
        found = file_sha256(path)
        return (found,) if found in digests else digests
    return digests


def _line(record: OutputRecord) -> str:
    # ASCII, so that names that are not Unicode can be written and read.
    return json.dumps(record.model_dump(mode="json")) + "\n"


def recorded_names(folder: Path) -> frozenset[str] | None:
    """Return the files that the manifest of a folder names; None where there is no manifest.

    Raises:
        DataError: The manifest is damaged or cannot be read.
    """
    manifest = OutputManifest(folder)
    with contextlib.suppress(OSError):
        return manifest.names if manifest.file.is_file() else None
    return None
