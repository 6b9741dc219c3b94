"""Measuring rules as data: the `measure:` block of each factor of a vocabulary file, checked when loaded.

Nothing here measures: `lexiseg.words.measure` interprets these rules. All shares are of the whole image,
0..1. Rules see the image as it is on screen: `half: left` is the image's left, whatever a data set's
sentences mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from lexiseg.words.grammar import Data
from lexiseg.words.lesion_regions import ROW_NAMES, Half

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Channel = Annotated[int, Field(ge=0, le=255)]

_OWN = ("top", "bottom", *ROW_NAMES, "outer", "inner", "area", "split")

#: What `ZonesRule.scores` may weigh: the lesion in its own half, and (`other_`) in the other one.
ZONE_FEATURES: tuple[str, ...] = ("bias", *_OWN, "other_present", *(f"other_{name}" for name in _OWN))


class CountMeasure(Data):
    """The number of connected regions (8 neighbours) chooses the phrase.

    Attributes:
        kind: Always "count".
        at_least: Per phrase, the smallest number it stands for, rising from 1.
        min_region: Smaller regions are specks and do not count; the largest always does.
    """

    kind: Literal["count"]
    at_least: tuple[int, ...]
    min_region: Share = 0.0

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        _one_per_phrase("at_least", self.at_least, phrases)
        _rising("at_least", self.at_least, first=1)


class LateralityMeasure(Data):
    """The number of image halves that hold a lesion chooses the phrase.

    Attributes:
        kind: Always "laterality".
        halves: Per phrase, the number of halves: `[2, 1]` is "bilateral", "unilateral".
        min_region: As in `CountMeasure`.
        min_part: A region belongs to a half if at least this part of it lies there.
    """

    kind: Literal["laterality"]
    halves: tuple[Literal[1, 2], ...]
    min_region: Share = 0.0
    min_part: float = Field(default=0.0, ge=0.0, le=0.5)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        _one_per_phrase("halves", self.halves, phrases)
        if sorted(self.halves) != [1, 2]:
            raise ValueError(f"measure.halves: expected [1, 2] or [2, 1], got {list(self.halves)}")


class ZonesMeasure(Data):
    """Which zones of one half hold lesion: a linear score per phrase, the highest wins.

    Where a zone begins differs between images, and no lung mask is there to tell; the scores are therefore
    fitted (`benchmarks/fit_chest_zones.py`) to where the lesion begins and ends, how its pixels spread over
    the rows, and the same of the other half. Both halves share one table and are seen from the image's edge
    inwards, so mirrored masks get mirrored words.

    Attributes:
        kind: Always "zones".
        half: The half of the image.
        absent: The phrase for a half without lesion.
        scores: Feature name -> weight per phrase, in the factor's order and without `absent`. Names:
            `ZONE_FEATURES`; values as `lexiseg.words.lesion_regions.half_profile` documents; `bias` is 1.
        min_region: As in `CountMeasure`.
        min_part: As in `LateralityMeasure`.
    """

    kind: Literal["zones"]
    half: Half
    absent: str
    scores: dict[str, tuple[float, ...]] = Field(min_length=1)
    min_region: Share = 0.0
    min_part: float = Field(default=0.0, ge=0.0, le=0.5)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        _known_phrase("absent", self.absent, phrases)
        for name, weights in self.scores.items():
            if name not in ZONE_FEATURES:
                raise ValueError(f"measure.scores: no feature '{name}'; there are {', '.join(ZONE_FEATURES)}")
            if len(weights) != len(phrases) - 1:
                raise ValueError(
                    f"measure.scores.{name}: expected one weight per phrase but '{self.absent}' "
                    f"({len(phrases) - 1}), got {len(weights)}"
                )


class GridMeasure(Data):
    """The centroid's cell in a 3 x 3 grid; phrases row by row, from the upper left.

    Attributes:
        kind: Always "grid".
        middle: Height and width of the middle cell; the grid is symmetric, so mirrored masks get mirrored
            words.
        min_region: As in `CountMeasure`.
    """

    kind: Literal["grid"]
    middle: float = Field(gt=0.0, lt=1.0)
    min_region: Share = 0.0

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        if len(phrases) != 9:
            raise ValueError(f"measure: a grid needs 9 phrases, row by row, got {len(phrases)}")


class Bounds(Data):
    """Lower and upper bound, both included; None: open.

    Attributes:
        at_least: Lower bound.
        at_most: Upper bound.
    """

    at_least: float | None = None
    at_most: float | None = None

    def hold(self, value: float) -> bool:
        """Return whether `value` lies within."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


class ShapeCase(Data):
    """A phrase and what the shape must be for it; see `lexiseg.words.lesion_regions.Shape`.

    Attributes:
        phrase: The phrase.
        circularity: Bounds, 1 is a disc.
        eccentricity: Bounds, 0 is a disc, 1 a line.
        solidity: Bounds, 1 is convex.
    """

    phrase: str
    circularity: Bounds = Bounds()
    eccentricity: Bounds = Bounds()
    solidity: Bounds = Bounds()


class ShapeMeasure(Data):
    """The shape of the largest region: the first case that holds gives the phrase.

    Attributes:
        kind: Always "shape".
        cases: In order; the last holds for every shape.
    """

    kind: Literal["shape"]
    cases: tuple[ShapeCase, ...] = Field(min_length=1)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        for case in self.cases:
            _known_phrase("cases", case.phrase, phrases)
        if self.cases[-1] != ShapeCase(phrase=self.cases[-1].phrase):
            raise ValueError("measure.cases: the last case must hold for every shape, so be without bounds")


class SizeMeasure(Data):
    """The lesion's share of the image chooses the phrase.

    Attributes:
        kind: Always "size".
        at_least: Per phrase, the smallest share it stands for, rising from 0.
    """

    kind: Literal["size"]
    at_least: tuple[Share, ...]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        _one_per_phrase("at_least", self.at_least, phrases)
        _rising("at_least", self.at_least, first=0)


class IntensityMeasure(Data):
    """The lesion's mean lightness (CIELAB L* / 100: 0 black, 1 white) chooses the phrase; for grey images.

    Attributes:
        kind: Always "intensity".
        at_least: Per phrase, the smallest lightness it stands for, rising from 0.
    """

    kind: Literal["intensity"]
    at_least: tuple[Share, ...]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        _one_per_phrase("at_least", self.at_least, phrases)
        _rising("at_least", self.at_least, first=0)


class ColorMeasure(Data):
    """The named colour nearest to the lesion's mean colour in CIELAB; unknown on grey images.

    Attributes:
        kind: Always "color".
        examples: Phrase -> sRGB colours that it names, 0..255.
    """

    kind: Literal["color"]
    examples: dict[str, tuple[tuple[Channel, Channel, Channel], ...]]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        for phrase in self.examples:
            _known_phrase("examples", phrase, phrases)
        for phrase in phrases:
            if not self.examples.get(phrase):
                raise ValueError(f"measure.examples: phrase '{phrase}' has none")


MeasureRule = Annotated[
    CountMeasure
    | LateralityMeasure
    | ZonesMeasure
    | GridMeasure
    | ShapeMeasure
    | SizeMeasure
    | IntensityMeasure
    | ColorMeasure,
    Field(discriminator="kind"),
]


def _one_per_phrase(key: str, values: Sequence[object], phrases: Sequence[str]) -> None:
    if len(values) != len(phrases):
        raise ValueError(f"measure.{key}: expected one entry per phrase ({len(phrases)}), got {len(values)}")


def _rising(key: str, values: Sequence[float], *, first: float) -> None:
    if list(values) != sorted(set(values)) or values[0] != first:
        raise ValueError(f"measure.{key}: expected rising numbers from {first}, got {list(values)}")


def _known_phrase(key: str, phrase: str, phrases: Sequence[str]) -> None:
    if phrase not in phrases:
        raise ValueError(f"measure.{key}: '{phrase}' is no phrase of this factor ({', '.join(phrases)})")
