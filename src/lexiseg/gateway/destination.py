"""What a destination of results is, and what it says of each parcel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lexiseg.errors import LexisegError
from lexiseg.inference.writers.registry import FORMATS


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The results of one image.

    Attributes:
        id: The image.
        image: Its file.
        results: Folder with its results.
    """

    id: str
    image: Path
    results: Path

    @property
    def objects(self) -> list[Path]:
        """The DICOM objects: segmentations first, as reports refer to them."""
        formats = {f"{known.name}{known.suffix}": known.content for known in FORMATS if known.is_dicom}
        found = [file for file in self.results.glob("*") if file.name in formats]
        return sorted(found, key=lambda file: (formats[file.name], file.name))


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """A parcel that a destination has not got.

    Attributes:
        error: The reason.
        final: Whether it would be refused again: trying again is of no use.
    """

    error: LexisegError
    final: bool


class DestinationClient(Protocol):
    """Sends parcels to one destination; one thread calls it."""

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Undelivered | None]:
        """Send parcels; yield for each, in order, None if it has arrived, else why not.

        A parcel may be sent again after it arrived: a repetition must not make a duplicate.
        """
        ...
