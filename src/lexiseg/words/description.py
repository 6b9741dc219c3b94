"""The description of one image: one phrase per factor of a vocabulary, and a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from lexiseg.printable import brief

#: Index of an unknown factor. Losses and scores ignore it.
UNKNOWN = -1

#: One index per factor of a vocabulary; `UNKNOWN` for unknown factors.
Indices = tuple[int, ...]

#: Side convention: "left" is the left of the image, or of the patient (radiological convention; mirrored on
#: screen).
Side = Literal["image", "patient"]

#: Whose left is meant where words are shown; "unknown" where nothing says it.
ShownSide = Side | Literal["unknown"]

#: Where words come from: a report sheet, measurements of mask and pixels, a multimodal model, or the network.
Source = Literal["reports", "concepts", "lmm", "retrieved"]

#: Notes on the meaning of "left", for all places where words are shown.
SIDE_NOTES: dict[ShownSide, str] = {
    "image": "left means the left of the image, not of the patient",
    "patient": "left means the patient's left, which is on the right of the image",
    "unknown": "whose left and right the words mean is not known",
}

#: What the name of a file with descriptions ends in.
DESCRIPTIONS_SUFFIX = ".jsonl"

_SIDE_WORDS = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def names_sides(texts: Iterable[str]) -> bool:
    """Return whether any text contains left or right, so that readers need a note (`SIDE_NOTES`)."""
    return any(_SIDE_WORDS.search(text) for text in texts)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One word that was read as another word.

    Attributes:
        found: The word as written, such as "lowoer".
        meant: The word of the vocabulary, such as "lower".
    """

    found: str
    meant: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One factor of a description.

    Attributes:
        factor: Name of the factor in its vocabulary.
        index: Position of the phrase in the factor's closed list, or `UNKNOWN`.
        phrase: The phrase at that position; None if unknown.
        read: The words it was read from (empty when measured or retrieved).
        repairs: Repairs of these words.
    """

    factor: str
    index: int
    phrase: str | None
    read: str = ""
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Description:
    """The description of one image, in the order of the vocabulary (coarse to fine).

    Attributes:
        source: Where the words come from.
        side: Side convention of its words "left" and "right".
        readings: One reading per factor of the vocabulary, in order.
        sentence: The description as a sentence.
        problems: What could not be read or measured; empty if there are no problems.
    """

    source: Source
    side: Side
    readings: tuple[Reading, ...]
    sentence: str
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, self.source, f"left and right of the {self.side}", self.sentence)

    @property
    def indices(self) -> tuple[int, ...]:
        """Index per factor, in vocabulary order; `UNKNOWN` for unknown factors."""
        return tuple(reading.index for reading in self.readings)

    @property
    def phrases(self) -> dict[str, str | None]:
        """Phrase per factor name; None for unknown factors."""
        return {reading.factor: reading.phrase for reading in self.readings}

    def to_dict(self) -> dict[str, Any]:
        """Return the description as values for JSON; `from_dict` is its inverse."""
        return {
            "source": self.source,
            "side": self.side,
            "sentence": self.sentence,
            "readings": [
                {
                    "factor": reading.factor,
                    "index": reading.index,
                    "phrase": reading.phrase,
                    "read": reading.read,
                    "repairs": [{"found": r.found, "meant": r.meant} for r in reading.repairs],
                }
                for reading in self.readings
            ],
            "problems": list(self.problems),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Description:
        """Build a description from the values of `to_dict`."""
        return cls(
            source=cast(Source, value["source"]),
            side=cast(Side, value["side"]),
            sentence=value["sentence"],
            readings=tuple(
                Reading(
                    factor=reading["factor"],
                    index=reading["index"],
                    phrase=reading["phrase"],
                    read=reading.get("read", ""),
                    repairs=tuple(Repair(**repair) for repair in reading.get("repairs", ())),
                )
                for reading in value["readings"]
            ),
            problems=tuple(value.get("problems", ())),
        )
