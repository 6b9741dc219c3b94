"""What a destination of results is, and what it says of each parcel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from lexiseg.clinic.dataset import BROKEN
from lexiseg.errors import DataError, LexisegError
from lexiseg.gateway.prediction.result_files import dicom_objects


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
        return dicom_objects(self.results)

    def read_objects(self) -> list[Dataset]:
        """Return the content of the DICOM objects.

        Raises:
            DataError: The results are gone or damaged; other images are delivered meanwhile.
        """
        with self.reading():
            objects: list[Dataset] = [dcmread(file) for file in self.objects]
            if not objects:  # an archive gets no parcel without any
                raise FileNotFoundError("the objects are gone")
            return objects

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn errors of reading the results into errors meant for the user.

        Raises:
            DataError: They are gone or damaged.
        """
        try:
            if not self.results.is_dir():
                raise FileNotFoundError("the folder is gone")
            yield
        except BROKEN as error:
            is_gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
            if isinstance(error, (OSError, MemoryError)) and not is_gone:
                raise  # a fault of the machine says nothing of the results
            raise DataError(
                f"The results of the image cannot be read ({type(error).__name__}): something removed or "
                "changed them in the state folder. Try the image again, so that they are made anew.",
                code="LEX-DATA-2033",
            ) from error


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
