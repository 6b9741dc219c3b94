"""What is said about one image: one closed-vocabulary reading per factor, and a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

#: Index of a factor about which nothing is known. Losses and scores ignore it.
UNKNOWN = -1

#: Whose left is "left": the image's, or the patient's (the radiological convention; mirrored on screen).
Side = Literal["image", "patient"]

#: Who said it: a report sheet, measurements of mask and pixels, a multimodal model, or the network itself.
Source = Literal["reports", "concepts", "lmm", "retrieved"]

#: What "left" means, for every place where a word is shown to a person.
SIDE_NOTES: dict[Side, str] = {
    "image": "left means the left of the image, not of the patient",
    "patient": "left means the patient's left, which is on the right of the image",
}

#: What the name of a file with descriptions ends in.
DESCRIPTIONS_SUFFIX = ".jsonl"

_SIDE_WORDS = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def names_sides(texts: Iterable[str]) -> bool:
    """Return whether any text speaks of left or right, so that a reader must know whose (`SIDE_NOTES`)."""
    return any(_SIDE_WORDS.search(text) for text in texts)


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One word that was read as another.

    Attributes:
        found: The word as it stood, such as "lowoer".
        meant: The vocabulary's word it was read as, such as "lower".
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
        read: The words this was read from (empty when measured or retrieved).
        repairs: What had to be repaired to read them.
    """

    factor: str
    index: int
    phrase: str | None
    read: str = ""
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said about one image, in the order of the vocabulary (coarse to fine).

    Attributes:
        source: Who said it.
        side: The side convention its words "left" and "right" follow.
        readings: One reading per factor of the vocabulary, in order.
        sentence: The description as a sentence.
        problems: What could not be read, in words; empty when all is well.
    """

    source: Source
    side: Side
    readings: tuple[Reading, ...]
    sentence: str
    problems: tuple[str, ...] = ()

    @property
    def indices(self) -> tuple[int, ...]:
        """Index per factor, in vocabulary order; `UNKNOWN` where nothing is known."""
        return tuple(reading.index for reading in self.readings)

    @property
    def phrases(self) -> dict[str, str | None]:
        """Phrase per factor name; None where nothing is known."""
        return {reading.factor: reading.phrase for reading in self.readings}

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON-able values; `from_dict` is its inverse."""
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
