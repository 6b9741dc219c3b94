"""The lines of a batch of volumes on the disk, also those of an interrupted one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from lexiseg.errors import DataError
from lexiseg.files import disk_errors, private_opener
from lexiseg.inference.formats.file_names import PARTIAL_VOLUMES_FILE, VOLUMES_FILE
from lexiseg.inference.volumes.volumes_file import VolumeRecord
from lexiseg.json_records import FileRecord
from lexiseg.outputs.output_folder import OutputFolder
from lexiseg.printable import printable_json
from lexiseg.structured_text import UnusableTextError, parse_json


class VolumeLines:
    """The lines of a batch, which get the name `volumes.jsonl` once it is finished.

    Until then they are in `volumes.jsonl.partial`, in the order in which volumes are written. A line can hold
    thousands of slices, so the memory holds the places of the lines alone.

    Args:
        folder: The output folder, which this process owns.
        resumed: Whether to go on with the lines that are there; else they are removed.

    Raises:
        DiskError: There is no space or no permission.
    """

    def __init__(self, folder: OutputFolder, *, resumed: bool) -> None:
        self._folder, self._resumed = folder, resumed
        self._partial = folder.path / PARTIAL_VOLUMES_FILE
        #: The place of the last line of each volume, by the name of its outputs.
        self._earlier: dict[str, int] = {}
        #: The places of the lines of this batch, in the order of its volumes.
        self._places: list[int] = []
        with disk_errors(self._partial):
            if not resumed:
                self._partial.unlink(missing_ok=True)
            self._end = self._find_earlier() if resumed else 0
            self._file: BinaryIO = open(self._partial, "ab", opener=private_opener)  # noqa: SIM115
            #: When the last line was written, in nanoseconds.
            self.written_ns = os.fstat(self._file.fileno()).st_mtime_ns
            if self._file.tell() != self._end:  # a last line that is not whole is one of a killed process
                self._file.truncate(self._end)
        folder.note(self._partial)

    def finished(self, name: Path) -> VolumeRecord | None:
        """Return the line of a volume that an interrupted batch finished; None where there is none.

        Args:
            name: Name of its outputs.
        """
        place = self._earlier.get(name.as_posix())
        return None if place is None else _record(self._read(place))

    def keep(self, name: Path) -> None:
        """Take the line of a finished volume as the next one of this batch.

        Args:
            name: Name of its outputs.
        """
        self._places.append(self._earlier[name.as_posix()])

    def write(self, record: FileRecord) -> None:
        """Write the next line of this batch.

        Raises:
            DiskError: There is no space or no permission.
        """
        text = printable_json(record.model_dump(mode="json")) + "\n"
        # Bytes of a name that are not UTF-8 become an escape of JSON.
        line = text.encode("utf-8", errors="backslashreplace")
        with disk_errors(self._partial):
            self._file.write(line)
            self._file.flush()
        self._places.append(self._end)
        self._end += len(line)

    def close(self, *, finished: bool) -> None:
        """Close the file; that of a finished batch gets its name, with the lines in the order of the volumes.

        Raises:
            DataError: Another program changed the lines, or a file is in the place of `volumes.jsonl`.
            DiskError: There is no space or no permission.
        """
        with disk_errors(self._partial):
            self._file.close()
        if not finished:
            return
        results = self._folder.path / VOLUMES_FILE
        if not self._resumed:
            self._folder.rename(self._partial, results)
            return
        with self._folder.writing(results) as beside, open(beside, "wb") as file:
            file.writelines(self._checked(self._places))
        self._folder.discard(self._partial)

    def _checked(self, places: Iterable[int]) -> Iterator[bytes]:
        for place in places:
            line = self._read(place)
            if not line.endswith(b"\n"):
                raise DataError(
                    f"{self._partial} lost a line while the command ran. Something else writes to this "
                    "folder. Run the command again with another --out.",
                    code="LEX-DATA-1861",
                )
            yield line

    def _find_earlier(self) -> int:
        """Find the whole lines that are there, and return where they end."""
        end = 0
        with open(self._partial, "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                record = _record(line)
                if record is not None:
                    self._earlier[record.name] = end
                end += len(line)
        return end

    def _read(self, place: int) -> bytes:
        with disk_errors(self._partial), open(self._partial, "rb") as lines:
            lines.seek(place)
            return lines.readline()


def _record(line: bytes) -> VolumeRecord | None:
    """Return the volume of a line; None for one that failed, and for a damaged line."""
    try:
        return VolumeRecord.model_validate(parse_json(line))
    except (UnusableTextError, ValidationError):
        return None
