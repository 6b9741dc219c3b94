"""What every kind of measuring rule offers, and the checks that several kinds share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from lexiseg.words.description import UNKNOWN
from lexiseg.words.grammar import VocabularyData
from lexiseg.words.half_features import Half

if TYPE_CHECKING:  # a vocabulary is loaded without the geometry, which takes longer to import
    from lexiseg.words.lesion_scene import LesionScene


class MeasureKind(VocabularyData):
    """What every kind of measuring rule offers.

    Attributes:
        needs_image: The rule looks at pixels; a mask alone is not enough.
        needs_proportions: The measurement changes when the image is resized to another aspect ratio.
        decided_by_mask: Number or place of the lesion: where a measurement and a person or model that looked
            at the lesion differ, the measurement is right.
        combines_classes: Words that are true of each class may be false of all classes together: two regions
            where each class has one.
        counts_regions: Its phrases stand for numbers of regions, so that a number can be given instead.
        names_grid_cells: Its phrases are the cells of a 3 x 3 grid, so that a box can be given instead.
    """

    needs_image: ClassVar[bool] = False
    needs_proportions: ClassVar[bool] = False
    decided_by_mask: ClassVar[bool] = False
    combines_classes: ClassVar[bool] = False
    counts_regions: ClassVar[bool] = False
    names_grid_cells: ClassVar[bool] = False

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule fits the factor's phrases."""
        raise NotImplementedError

    def index(self, scene: LesionScene, phrases: Sequence[str]) -> int:
        """Return the index of the measured phrase; `UNKNOWN` if it cannot be measured.

        Args:
            scene: The lesion and its image.
            phrases: The factor's phrases.
        """
        raise NotImplementedError

    def index_without_lesion(self, phrases: Sequence[str]) -> int:
        """Return the index of the phrase for an empty mask; `UNKNOWN` if there is none."""
        return UNKNOWN

    def gap(self, scene: LesionScene | None, phrases: Sequence[str], index: int) -> float | None:
        """Return how far a phrase is from being the measured one, at least 0; None if the rule has no grades.

        Args:
            scene: The lesion; None for an empty mask.
            phrases: The factor's phrases.
            index: The phrase, in the image's side convention.
        """
        return None

    def lesion_in_halves(self, phrases: Sequence[str], index: int) -> dict[Half, bool]:
        """Return, for each half that a phrase is about, whether it places a lesion there.

        Args:
            phrases: The factor's phrases.
            index: The phrase, in any side convention.
        """
        return {}

    def number_of_halves(self, index: int) -> int | None:
        """Return the number of halves of the image in which a phrase places lesions; None if it states none.

        Args:
            index: Position of the phrase.
        """
        return None

    def half_without_lesion(self, phrases: Sequence[str], index: int) -> Half | None:
        """Return the half that a phrase says holds no lesion at all; None if it says so of no half."""
        return None

    @property
    def smallest_counted_region(self) -> float:
        """Share of the image below which a region is a speck that does not count; 0 counts all regions."""
        return 0.0

    def index_of_number(self, number: int) -> int:
        """Return the index of the phrase for a number of regions, at least 1; only where `counts_regions`."""
        raise NotImplementedError


def check_one_per_phrase(key: str, values: Sequence[object], phrases: Sequence[str]) -> None:
    """Raise ValueError unless a list has one entry per phrase."""
    if len(values) != len(phrases):
        raise ValueError(f"measure.{key}: expected one entry per phrase ({len(phrases)}), got {len(values)}")


def check_thresholds(values: Sequence[float], phrases: Sequence[str], *, first: float) -> None:
    """Raise ValueError unless `at_least` has one number per phrase, and these rise strictly from `first`."""
    check_one_per_phrase("at_least", values, phrases)
    if list(values) != sorted(set(values)) or values[0] != first:
        raise ValueError(f"measure.at_least: expected rising numbers from {first}, got {list(values)}")


def check_known_phrase(key: str, phrase: str, phrases: Sequence[str]) -> None:
    """Raise ValueError unless a phrase is one of the factor's."""
    if phrase not in phrases:
        raise ValueError(f"measure.{key}: '{phrase}' is not a phrase of this factor ({', '.join(phrases)})")
