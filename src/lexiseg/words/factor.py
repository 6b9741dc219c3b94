"""One factor of a vocabulary: a closed list of phrases, and the rules that read and measure them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from lexiseg.words.grammar import ReadRule, VocabularyData
from lexiseg.words.measure_rules import MeasureRule
from lexiseg.words.text import split_words


class Factor(VocabularyData):
    """One property of an image that is described by exactly one phrase of a closed list.

    Attributes:
        name: Identifier: lower case letters, digits, underscores.
        title: Name shown to readers.
        phrases: The closed list, at least two.
        read: How the phrases are recognised in reports; None: reports do not state this factor.
        measure: How the phrases are measured on mask and pixels (`lexiseg.words.measure`); None: they cannot
            be measured.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    phrases: tuple[str, ...] = Field(min_length=2)
    read: ReadRule | None = None
    measure: MeasureRule | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        phrase_of_key: dict[tuple[str, ...], str] = {}
        for phrase in self.phrases:
            key = self.lookup_key(split_words(phrase))
            if not key:
                raise ValueError(f"phrase '{phrase}' holds no words")
            if key in phrase_of_key:
                raise ValueError(f"phrase '{phrase}' is a duplicate of '{phrase_of_key[key]}'")
            phrase_of_key[key] = phrase
        if self.read is not None:
            self.read.check(self.phrases)
        if self.measure is not None:
            self.measure.check(self.phrases)
        return self

    @property
    def counts_regions(self) -> bool:
        """Whether its phrases stand for numbers of regions."""
        return any(rule is not None and rule.counts_regions for rule in (self.read, self.measure))

    @property
    def smallest_counted_region(self) -> float:
        """Share of the image below which a region is a speck that does not count."""
        return self.measure.smallest_counted_region if self.measure is not None else 0.0

    def index_of_number(self, number: int) -> int:
        """Return the index of the phrase for a number of regions, at least 1; only where `counts_regions`."""
        for rule in (self.measure, self.read):
            if rule is not None and rule.counts_regions:
                return rule.index_of_number(number)
        raise ValueError(f"the phrases of factor '{self.name}' do not stand for numbers of regions")

    @property
    def measurable_on_mask(self) -> bool:
        """Whether a mask alone is enough to measure it, without the image."""
        return self.measure is not None and not self.measure.needs_image

    def lookup_key(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a text is looked up by: its words, sorted unless their order matters.

        The order of words distinguishes the sentences of a sheet, but not the phrases of a written list.
        """
        ordered = self.read is not None and self.read.ordered_words
        return words if ordered else tuple(sorted(words))

    def texts(self, index: int) -> tuple[str, ...]:
        """Return the texts that stand for a phrase: the sentences of a sheet, or the phrase itself."""
        phrase = self.phrases[index]
        return (phrase,) if self.read is None else self.read.texts(index, phrase)
