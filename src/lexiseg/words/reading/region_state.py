"""What a sentence has stated about one region so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from lexiseg.words.reading.lexicon import Token, text_of
from lexiseg.words.reading.mention import Mention

Terms = frozenset[str]

#: The terms of a region without a lesion.
NO_TERMS: Terms = frozenset()


@dataclass(kw_only=True)
class RegionState:
    """State of one region while a sentence is read.

    Attributes:
        parts: Its terms.
        tokens: The words of all its mentions.
        said: The sets of terms in its mentions; the empty set is "no lesion".
        bare: Whether it is named without a term.
        infected: Whether it is named without a term, as a place with a lesion.
        rest: A mention that denies a lesion in what is left of it: "no other lesion in the left lung".
        denied: Whether a mention states that it has no lesion.
        denied_parts: Terms of its parts without a lesion.
        part: The first mention that denies a lesion in a part of it; empty if there is none.
        doubtful_part: Whether a mention names a part and no word for a lesion.
        excepted: Whether it has a lesion as the exception of a denial: "clear except the lower left lung".
        unsure: Why the reading is valid only if it agrees with the stated number of regions; empty if it is
            valid anyway.
        joined: The mention to which terms of later words were added; empty if there is none.
        problem: Why it cannot be read.
    """

    parts: Terms = NO_TERMS
    tokens: list[Token] = field(default_factory=list)
    said: list[Terms] = field(default_factory=list)
    bare: bool = False
    infected: bool = False
    rest: str = ""
    denied: bool = False
    denied_parts: Terms = NO_TERMS
    part: str = ""
    doubtful_part: bool = False
    excepted: bool = False
    unsure: str = ""
    joined: str = ""
    problem: str = ""

    @property
    def mentioned(self) -> bool:
        """Whether any mention names it."""
        return bool(self.tokens)

    @property
    def has_lesion(self) -> bool:
        """Whether it is named as a place with a lesion, in readable words or not."""
        infected = any(self.said) or self.bare or not self.part
        return self.mentioned and not self.denied and infected

    @property
    def is_empty(self) -> bool:
        """Whether all that was said of it is "no lesion"."""
        return set(self.said) == {NO_TERMS}

    def says(self, terms: Terms | None) -> bool:
        """Whether one of its mentions names these terms and perhaps more."""
        return terms is not None and any(terms <= said for said in self.said)

    def deny_part(self, mention: Mention, terms: Terms | None) -> None:
        """Take a mention that denies a lesion in a part of the region."""
        self.part = self.part or text_of(mention.tokens)
        if terms is None:
            self.doubtful_part = True
        else:
            self.denied_parts |= terms

    def settle_parts(self) -> None:
        """Read the parts without a lesion.

        Beside parts with one they add nothing ("upper left lung clear, lower left lung infected"). All parts
        together are the region.
        """
        if not self.part:
            return
        said = frozenset().union(*self.said)
        if not self.doubtful_part and self.denied_parts == self.parts and not (said or self.bare):
            self.denied = True
            self.said.append(NO_TERMS)
            return
        if self.doubtful_part or not said or said & self.denied_parts or NO_TERMS in self.said:
            self.problem = self.problem or f"'{self.part}' negates only a part, so the rest is open"

    def settle_denials(self) -> None:
        """Find what contradicts or narrows a denial of the region."""
        if self.rest and not set(self.said) - {NO_TERMS}:
            self.problem = self.problem or f"'{self.rest}' denies only what is not named"
        if self.infected and NO_TERMS in self.said:
            self.problem = self.problem or "named with a lesion and without one"

    def except_from_denial(self) -> None:
        """Take back one denial, of which the region is the exception."""
        self.excepted = True
        if NO_TERMS in self.said:
            self.said.remove(NO_TERMS)
            self.denied = NO_TERMS in self.said
