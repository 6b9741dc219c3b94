"""What a sentence says around one noun: its words, regions, terms and negation."""

from __future__ import annotations

from dataclasses import dataclass, field

from lexiseg.words.reading.lexicon import Token


@dataclass(kw_only=True)
class Mention:
    """Words around one noun.

    Attributes:
        tokens: The words.
        regions: Names of the factors whose region is named; every factor for "both lungs".
        terms: The terms named ("middle", "lower").
        noun: Whether it contains the noun ("lung").
        negated: Whether it states that there is no lesion.
        within_negation: Whether a negation before it may hold for it too: "no lesion in left lung and lower
            right lung" has two meanings, and so has "no lesion in left lung, lower right lung".
        infected: Whether words for a lesion stand in its clause, outside of the mentions that deny one.
        affirmed: Whether words for a lesion, which no negation holds for, may speak of it: "left lung clear
            and right lung infected".
        region_first: Whether the region was named before the terms ("left lower lung").
        joined: Whether terms of later words in a list were added: "right upper, middle and lower lobe".
        parted: Whether terms after its noun were added within one clause: "left lung lower zone".
        listed: Whether terms after the first ones were added within one clause: "left upper and lower lobe".
        exception: Whether it is excepted from the denial before it: "clear except the lower left lung".
        elliptic: Whether it denies the lesion of a clause before it: "..., not in the right lung".
        unclear: Why it is open which regions it speaks of; empty if that is clear.
    """

    tokens: list[Token] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    noun: bool = False
    negated: bool = False
    within_negation: bool = False
    infected: bool = False
    affirmed: bool = False
    region_first: bool = False
    joined: bool = False
    parted: bool = False
    listed: bool = False
    exception: bool = False
    elliptic: bool = False
    unclear: str = ""

    @property
    def neither(self) -> bool:
        """Whether "neither" begins it, whose object may stand after its noun: "neither lung is infected"."""
        return any(token.cue == "neither" for token in self.tokens)

    @property
    def plain(self) -> bool:
        """Whether it could be read, and no negation may hold for it."""
        return not (self.negated or self.within_negation or self.unread or self.unclear)

    @property
    def unread(self) -> list[Token]:
        """Its words that could not be read."""
        return [token for token in self.tokens if token.word is None]

    def add_terms(self, mention: Mention) -> None:
        """Take the terms of a mention without a region."""
        self.listed |= bool(self.terms)
        self.parted |= self.noun
        self.tokens += mention.tokens
        self.terms += mention.terms
        self.noun |= mention.noun

    def deny(self, mention: Mention) -> None:
        """Take the negation of a mention without a region."""
        self.tokens += mention.tokens
        self.negated = True
        self.unclear = self.unclear or mention.unclear
