"""The lines of an interrupted batch, found by image; 16 bytes of memory per line."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from lexiseg.errors import DataError
from lexiseg.inference.records.predictions_file import PredictionRecord
from lexiseg.structured_text import UnusableTextError, parse_json


class PartialResults:
    """The whole lines of `predictions.jsonl.partial`; of several lines of an image the last one counts.

    Args:
        file: The file; a last line that is not whole, of a killed process, is left out.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        keys, offsets = array("q"), array("q")
        position = 0
        with open(file, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    keys.append(hash(_image(line)))
                    offsets.append(position)
                    position += len(line)
        #: Number of bytes of the whole lines.
        self.whole_bytes = position
        found = np.array(keys, dtype=np.int64)
        order = np.argsort(found, kind="stable")
        self._keys, self._offsets = found[order], np.array(offsets, dtype=np.int64)[order]

    def __len__(self) -> int:
        return len(self._keys)

    def line(self, label: str) -> bytes | None:
        """Return the last line of an image by its label, with its end; None where there is none."""
        key = hash(label)
        first, end = (int(np.searchsorted(self._keys, key, side=side)) for side in ("left", "right"))
        for position in range(end - 1, first - 1, -1):
            with open(self._file, "rb") as lines:
                lines.seek(int(self._offsets[position]))
                line = lines.readline()
            if _image(line) == label:
                return line
        return None

    def prediction(self, label: str) -> PredictionRecord | None:
        """Return the prediction of an image by its label; None where there is none, or it failed."""
        line = self.line(label)
        if line is None:
            return None
        try:
            return PredictionRecord.model_validate(parse_json(line))
        except (UnusableTextError, ValidationError):
            return None  # of a failure

    def ordered(self, labels: Iterable[str]) -> Iterator[bytes]:
        """Yield the lines in the order of the images' labels.

        Raises:
            DataError: An image has no line.
        """
        for label in labels:
            line = self.line(label)
            if line is None:
                raise DataError(
                    f"{self._file} lost the line of {label} while the command ran. Something else "
                    "writes to this folder. Run the command again with another --out.",
                    code="LEX-DATA-1281",
                )
            yield line


def _image(line: bytes) -> str | None:
    """Return the image of a line; None where it is damaged."""
    try:
        record: Any = parse_json(line)
    except UnusableTextError:
        return None
    return str(record["image"]) if isinstance(record, dict) and "image" in record else None
