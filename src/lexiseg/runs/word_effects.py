"""What the words of a run can do to its masks: which phrases move a mask when a person says them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lexiseg.runs.run import Run
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import Vocabulary
from lexiseg.words.zone_atlas import ZoneAtlas
from lexiseg.words.zone_correction import halves_without_lesion


@dataclass(frozen=True)
class WordEffects:
    """What the words that a run names can do to its masks.

    Attributes:
        run: The run.
        vocabulary: The vocabulary of its words.
    """

    run: Run
    vocabulary: Vocabulary

    @classmethod
    def of(cls, run: Run) -> WordEffects | None:
        """Return what the words of a run can do; None where it names none."""
        vocabulary = run.spoken_vocabulary
        return None if vocabulary is None else cls(run, vocabulary)

    @property
    def atlas(self) -> ZoneAtlas | None:
        """The zone atlas whose places move a mask; None where the run has none, or one of strength 0.

        Raises:
            RunError: The file is missing or damaged.
        """
        found = self.run.zone_atlas
        return found if found is not None and found.strength else None

    def can_move(self, indices: Sequence[int]) -> bool:
        """Return whether some of the stated words can move a mask.

        Args:
            indices: One index per factor of the vocabulary; `UNKNOWN` where nothing is stated.
        """
        side = self.run.side
        if halves_without_lesion(self.vocabulary, indices, (2, 2), side=side).any():
            return True
        return self.atlas is not None and bool(self.atlas.stated_maps(indices, side=side))

    def phrase_can_move(self, factor: str, index: int) -> bool:
        """Return whether a phrase of a factor can move a mask when nothing else is stated."""
        return self.can_move(only(self.vocabulary, factor, index))

    @property
    def moving_factors(self) -> tuple[str, ...]:
        """The names of the factors with a phrase that can move a mask."""
        return tuple(
            factor.name
            for factor in self.vocabulary.factors
            if any(self.phrase_can_move(factor.name, index) for index in range(len(factor.phrases)))
        )


def only(vocabulary: Vocabulary, factor: str, index: int) -> list[int]:
    """Return the indices of a description that states one phrase of one factor."""
    return [index if name == factor else UNKNOWN for name in vocabulary.names]
