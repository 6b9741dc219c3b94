"""Measuring rules: the `measure:` block of each factor of a vocabulary file, one class per kind.

Each class holds all that is particular to its kind: how it is checked and measured, and its properties
(`lexiseg.words.measure_kind`). To add a kind, write its class here and add it to `MeasureRule`.

All shares are of the whole image, 0..1. Rules see the image as it is on screen: `half: left` is the image's
left, whatever side convention a data set's sentences follow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lexiseg.words.description import UNKNOWN
from lexiseg.words.grammar import VocabularyData
from lexiseg.words.half_features import ROW_NAMES, Half
from lexiseg.words.measure_kind import MeasureKind, check_known_phrase, check_one_per_phrase, check_thresholds

if TYPE_CHECKING:  # a vocabulary is loaded without the geometry, which takes longer to import
    from lexiseg.words.lesion_scene import LesionScene

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Channel = Annotated[int, Field(ge=0, le=255)]

_HALVES: tuple[Half, Half] = ("left", "right")

_OWN = ("top", "bottom", *ROW_NAMES, "outer", "inner", "area", "split")

#: Features that `ZonesMeasure.scores` may weight: of the lesion in its own half, and (`other_`) in the other.
ZONE_FEATURES: tuple[str, ...] = ("bias", *_OWN, "other_present", *(f"other_{name}" for name in _OWN))


class CountMeasure(MeasureKind):
    """The number of connected regions (8 neighbours) chooses the phrase.

    Attributes:
        kind: Always "count".
        at_least: Per phrase, the smallest number it stands for, rising from 1.
        min_region: Smaller regions are specks and do not count; the largest always counts.
    """

    counts_regions = True
    decided_by_mask = True
    combines_classes = True

    kind: Literal["count"]
    at_least: tuple[int, ...]
    min_region: Share = 0.0

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        check_thresholds(self.at_least, phrases, first=1)

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase for the number of regions."""
        return self.index_of_number(scene.count_regions(self.min_region))

    @property
    def smallest_counted_region(self) -> float:
        """Share of the image below which a region is a speck that does not count."""
        return self.min_region

    def index_of_number(self, number: int) -> int:
        """Return the index of the phrase for a number of regions, at least 1."""
        return bisect_right(self.at_least, number) - 1


class LateralityMeasure(MeasureKind):
    """The number of image halves that hold a lesion chooses the phrase.

    Attributes:
        kind: Always "laterality".
        halves: Per phrase, the number of halves: `[2, 1]` is "bilateral", "unilateral".
        min_region: As in `CountMeasure`.
        min_part: A region belongs to a half if at least this part of it lies there.
    """

    decided_by_mask = True
    combines_classes = True

    kind: Literal["laterality"]
    halves: tuple[Literal[1, 2], ...]
    min_region: Share = 0.0
    min_part: float = Field(default=0.0, ge=0.0, le=0.5)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        check_one_per_phrase("halves", self.halves, phrases)
        if sorted(self.halves) != [1, 2]:
            raise ValueError(f"measure.halves: expected [1, 2] or [2, 1], got {list(self.halves)}")

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase for the number of halves with a lesion."""
        profiles = [
            scene.profile(half, min_region=self.min_region, min_part=self.min_part) for half in _HALVES
        ]
        number = sum(profile["present"] > 0 for profile in profiles)
        return self.halves.index(number)

    def number_of_halves(self, index: int) -> int | None:
        """Return the number of halves of the image in which a phrase places lesions."""
        return None if index == UNKNOWN else self.halves[index]


class ZonesMeasure(MeasureKind):
    """Which zones of one half hold lesion: a linear score per phrase; the phrase with the highest one wins.

    The rows at which zones begin differ between images, and there is no lung mask to measure them on. The
    scores are therefore fitted (`benchmarks/fit_chest_zones.py`) to where the lesion begins and ends, how its
    pixels are spread over the rows, and the same features of the other half. Both halves use the same table
    and are measured from the image's edge inwards, so a mirrored mask gets the mirrored words.

    Attributes:
        kind: Always "zones".
        half: The half of the image.
        absent: The phrase for a half without lesion.
        scores: Feature name -> weight per phrase, in the factor's order and without `absent`. Names:
            `ZONE_FEATURES`; values as `lexiseg.words.lesion_regions.half_profile` documents; `bias` is 1.
        min_region: As in `CountMeasure`.
        min_part: As in `LateralityMeasure`.
    """

    decided_by_mask = True

    kind: Literal["zones"]
    half: Half
    absent: str
    scores: dict[str, tuple[float, ...]] = Field(min_length=1)
    min_region: Share = 0.0
    min_part: float = Field(default=0.0, ge=0.0, le=0.5)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        check_known_phrase("absent", self.absent, phrases)
        for name, weights in self.scores.items():
            if name not in ZONE_FEATURES:
                raise ValueError(
                    f"measure.scores: there is no feature '{name}'; the features are "
                    f"{', '.join(ZONE_FEATURES)}"
                )
            if len(weights) != len(phrases) - 1:
                raise ValueError(
                    f"measure.scores.{name}: expected one weight for each phrase except '{self.absent}' "
                    f"({len(phrases) - 1}), got {len(weights)}"
                )

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase with the highest score, or of `absent` for a half without lesion."""
        absent = self._absent_index(phrases)
        scores = self._scores(scene)
        if scores is None:
            return absent
        best = int(scores.argmax())
        return best + (best >= absent)

    def index_without_lesion(self, phrases: Sequence[str]) -> int:
        """Return the index of `absent`."""
        return self._absent_index(phrases)

    def gap(self, scene: LesionScene | None, phrases: Sequence[str], index: int) -> float | None:
        """Return the highest score minus the score of a phrase.

        Returns:
            The gap, at least 0; None where only one of mask and phrase has a lesion in this half.
        """
        absent = self._absent_index(phrases)
        scores = None if scene is None else self._scores(scene)
        if scores is None or index == absent:
            return 0.0 if scores is None and index == absent else None
        return float(scores.max() - scores[index - (index > absent)])

    def lesion_in_halves(self, phrases: Sequence[str], index: int) -> dict[Half, bool]:
        """Return whether a phrase places a lesion in this half."""
        return {self.half: phrases[index] != self.absent}

    def half_without_lesion(self, phrases: Sequence[str], index: int) -> Half | None:
        """Return this half for the phrase `absent`."""
        return self.half if index == self._absent_index(phrases) else None

    def _absent_index(self, phrases: Sequence[str]) -> int:
        return phrases.index(self.absent)

    def _scores(self, scene: LesionScene) -> NDArray[np.float64] | None:
        """Return the score of each phrase except `absent`; None if there is no lesion in this half."""
        own, other = (
            scene.profile(half, min_region=self.min_region, min_part=self.min_part)
            for half in (_HALVES if self.half == "left" else _HALVES[::-1])
        )
        if not own["present"]:
            return None
        values = {"bias": 1.0, **own, **{f"other_{name}": value for name, value in other.items()}}
        return np.asarray(np.array([values[name] for name in self.scores]) @ self._weights)

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """The scores as an array, a row per feature."""
        return np.array(list(self.scores.values()))


class GridMeasure(MeasureKind):
    """The centroid's cell in a 3 x 3 grid; phrases row by row, from the upper left.

    Attributes:
        kind: Always "grid".
        middle: Height and width of the middle cell; the grid is symmetric, so a mirrored mask gets the
            mirrored words.
        min_region: As in `CountMeasure`.
    """

    names_grid_cells = True
    decided_by_mask = True

    kind: Literal["grid"]
    middle: float = Field(gt=0.0, lt=1.0)
    min_region: Share = 0.0

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        if len(phrases) != 9:
            raise ValueError(f"measure: a grid needs 9 phrases, row by row, got {len(phrases)}")

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the centroid's cell."""
        row, column = (self._third(offset) for offset in scene.offset(self.min_region))
        return 3 * row + column

    def lesion_in_halves(self, phrases: Sequence[str], index: int) -> dict[Half, bool]:
        """Return whether a cell lies in the left or in the right column."""
        return {"left": index % 3 == 0, "right": index % 3 == 2}

    def _third(self, offset: float) -> int:
        """Return 0, 1 or 2: before, in or after the middle cell, whose edges belong to it."""
        return 1 if abs(offset) <= self.middle / 2 else 0 if offset < 0 else 2


class Bounds(VocabularyData):
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


class ShapeCase(VocabularyData):
    """A phrase and the bounds a shape must lie in; see `lexiseg.words.lesion_regions.Shape`.

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


class ShapeMeasure(MeasureKind):
    """The shape of the largest region: the first case that holds gives the phrase.

    Attributes:
        kind: Always "shape".
        cases: In order; the last holds for every shape.
    """

    needs_proportions = True

    kind: Literal["shape"]
    cases: tuple[ShapeCase, ...] = Field(min_length=1)

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        for case in self.cases:
            check_known_phrase("cases", case.phrase, phrases)
        if self.cases[-1] != ShapeCase(phrase=self.cases[-1].phrase):
            raise ValueError("measure.cases: expected a last case without bounds, for all other shapes")

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase of the first case that holds."""
        shape = scene.shape
        return phrases.index(
            next(
                case.phrase
                for case in self.cases
                if case.circularity.hold(shape.circularity)
                and case.eccentricity.hold(shape.eccentricity)
                and case.solidity.hold(shape.solidity)
            )
        )


class SizeMeasure(MeasureKind):
    """The lesion's share of the image chooses the phrase.

    Attributes:
        kind: Always "size".
        at_least: Per phrase, the smallest share it stands for, rising from 0.
    """

    combines_classes = True

    kind: Literal["size"]
    at_least: tuple[Share, ...]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        check_thresholds(self.at_least, phrases, first=0)

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase for the lesion's share of the image."""
        return bisect_right(self.at_least, scene.share) - 1


class IntensityMeasure(MeasureKind):
    """The lesion's mean lightness (CIELAB L* / 100: 0 black, 1 white) chooses the phrase.

    Attributes:
        kind: Always "intensity".
        at_least: Per phrase, the smallest lightness it stands for, rising from 0.
    """

    needs_image = True

    kind: Literal["intensity"]
    at_least: tuple[Share, ...]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        check_thresholds(self.at_least, phrases, first=0)

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the phrase for the mean lightness; `UNKNOWN` without an image."""
        color = scene.mean_color
        if color is None:
            return UNKNOWN
        return bisect_right(self.at_least, min(max(color.lightness / 100, 0.0), 1.0)) - 1


class ColorMeasure(MeasureKind):
    """The named colour nearest to the lesion's mean colour in CIELAB; unknown on grey images.

    Attributes:
        kind: Always "color".
        examples: Phrase -> sRGB colours that it names, 0..255.
    """

    needs_image = True

    kind: Literal["color"]
    examples: dict[str, tuple[tuple[Channel, Channel, Channel], ...]]

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        for phrase in self.examples:
            check_known_phrase("examples", phrase, phrases)
        for phrase in phrases:
            if not self.examples.get(phrase):
                raise ValueError(
                    f"measure.examples: expected at least one colour for phrase '{phrase}', got none"
                )

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the nearest colour; `UNKNOWN` on a grey image or without an image."""
        name = scene.nearest_color(self.examples)
        return UNKNOWN if name is None else phrases.index(name)


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
