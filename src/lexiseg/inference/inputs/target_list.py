"""The images of a batch as a compact list: some 60 bytes for each, so that a million fit anywhere."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from lexiseg.data.name_hashes import order_key
from lexiseg.errors import UsageError
from lexiseg.inference.inputs.target import Target

#: Turns the text of an entry into its image.
Reading = Callable[[str], Target]

#: Turns the text of an entry into the name of its outputs, with "/" between folders.
Naming = Callable[[str], str]

#: Name of the folder of a shard: its number and the number of shards.
SHARD_FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")

_SHARD = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A part of the images of a large job.

    Attributes:
        number: Its number, from 1.
        count: Number of shards.

    Raises:
        UsageError: The number is not between 1 and the number of shards.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(
                f"Expected a shard between 1/{max(self.count, 1)} and {max(self.count, 1)}/"
                f"{max(self.count, 1)}, got {self.number}/{self.count}. Number the shards from 1.",
                code="LEX-USE-1280",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard of a text such as "3/16".

        Raises:
            UsageError: It is no shard.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"Expected a shard as NUMBER/COUNT, such as 3/16 for the third of 16; got {text!r}.",
                code="LEX-USE-1281",
            )
        return cls(number=int(match[1]), count=int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """Name of the folder of its results, such as "shard-03-of-16"."""
        return f"shard-{self.number:0{len(str(self.count))}}-of-{self.count}"

    def holds(self, target: Target) -> bool:
        """Return whether an image belongs to the shard."""
        return self.holds_name(target.name.as_posix())

    def holds_name(self, name: str) -> bool:
        """Return whether the image with a name belongs to the shard.

        The name of its outputs decides alone, so every image is in one shard, also where the shards list
        their images at different times.

        Args:
            name: Its name, with "/" between folders.
        """
        return int.from_bytes(order_key(name)[:8], "big") % self.count == self.number - 1


class TargetList(Sequence[Target]):
    """Images to predict, which are made from compact entries when they are asked for."""

    def __init__(self) -> None:
        self._texts = bytearray()
        self._ends = array("Q")
        self._kinds = array("I")
        self._readings: list[Reading] = []
        self._namings: list[Naming] = []

    def add_kind(self, reading: Reading, naming: Naming | None = None) -> int:
        """Add a kind of entries and return its number.

        Args:
            reading: Turns the text of such an entry into its image.
            naming: Turns it into the name of the image's outputs; None where only `reading` can.
        """
        self._readings.append(reading)
        self._namings.append(naming or (lambda text: reading(text).name.as_posix()))
        return len(self._readings) - 1

    def append(self, kind: int, text: str) -> None:
        """Add an image at the end.

        Args:
            kind: Its kind.
            text: Its text, from which the reading of the kind makes the image.
        """
        self._texts += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._texts))
        self._kinds.append(kind)

    def names(self) -> Iterator[str]:
        """Yield the name of the outputs of each image, with "/" between folders."""
        return (self._namings[kind](self._text(position)) for position, kind in enumerate(self._kinds))

    def chosen(self, chosen: npt.NDArray[np.bool_] | Callable[[str], bool]) -> TargetList:
        """Return the list of some images, in the same order.

        Args:
            chosen: One value per image, or a function that decides by the name of its outputs.
        """
        part = TargetList()
        part._readings, part._namings = self._readings, self._namings
        decided = map(chosen, self.names()) if callable(chosen) else chosen
        for position, is_chosen in enumerate(decided):
            if is_chosen:
                part.append(self._kinds[position], self._text(position))
        return part

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Target: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Target, ...]: ...

    def __getitem__(self, index: int | slice) -> Target | tuple[Target, ...]:
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        return self._readings[self._kinds[position]](self._text(position))

    def __iter__(self) -> Iterator[Target]:
        return (self[position] for position in range(len(self)))

    def _text(self, position: int) -> str:
        start = self._ends[position - 1] if position else 0
        return self._texts[start : self._ends[position]].decode("utf-8", "surrogatepass")


def check_several(inputs: object) -> None:
    """Refuse a single path where several are expected: its letters would be the paths.

    Raises:
        UsageError: It is one.
    """
    if isinstance(inputs, str | Path):
        raise UsageError(
            f"Expected a list of paths, got the single path {str(inputs)!r}. Put it into a list.",
            code="LEX-USE-1908",
        )
