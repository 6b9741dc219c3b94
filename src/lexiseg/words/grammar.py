"""Grammar as data: how phrases are recognised in report sentences, and how a sentence is made of phrases.

Nothing here reads text: `lexiseg.words.reading.reports` interprets these rules. The rules are kept beside the
vocabulary because every run holds a vocabulary, and prediction must not import `lexiseg.words.reading`.
Each read rule has the properties of its kind (`ReadKind`). To add a kind, write its class here, add it to
`ReadRule`, and interpret it in `lexiseg.words.reading.reports`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from lexiseg.json_records import PartlyWritten
from lexiseg.words.grammar_words import BY_GROUP, BY_PHRASE, BY_WORD, Word, WordGroup, Words
from lexiseg.words.text import split_words

#: Number words of every grammar that does not define its own.
NUMBER_WORDS = {
    "single": 1, "solitary": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip


class VocabularyData(BaseModel):
    """Base of everything read from a vocabulary file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadKind(VocabularyData):
    """What every kind of read rule offers.

    Attributes:
        entries_name: The key of the rule that has one entry per phrase.
        ordered_words: The order of words matters: "left of right" is not "right of left".
        reads_words: The rule reads single words, so a sentence is first split into the grammar's words.
        counts_regions: Its phrases stand for numbers of regions, so that a number can be given instead.
    """

    entries_name: ClassVar[str]
    ordered_words: ClassVar[bool] = False
    reads_words: ClassVar[bool] = True
    counts_regions: ClassVar[bool] = False

    def entries(self) -> list[Sequence[Hashable]]:
        """Return, for each phrase, what stands for it; nothing may stand for two phrases.

        Raises:
            ValueError: A value is not possible.
        """
        raise NotImplementedError

    def check(self, phrases: Sequence[str]) -> None:
        """Raise ValueError unless the rule has one entry per phrase, and none stands for two phrases."""
        entries, name = self.entries(), f"read.{self.entries_name}"
        if len(entries) != len(phrases):
            raise ValueError(f"{name}: expected one entry per phrase ({len(phrases)}), got {len(entries)}")
        owners: dict[Hashable, str] = {}
        for phrase, group in zip(phrases, entries, strict=True):
            if not group:
                raise ValueError(f"{name}: expected at least one for phrase '{phrase}', got none")
            for entry in group:
                if owners.setdefault(entry, phrase) != phrase:
                    shown = " ".join(map(str, entry)) if isinstance(entry, tuple) else entry
                    raise ValueError(
                        f"{name}: '{shown}' stands for both phrase '{owners[entry]}' and phrase '{phrase}'"
                    )

    def texts(self, index: int, phrase: str) -> tuple[str, ...]:
        """Return the texts that stand for a phrase: by default the phrase itself."""
        return (phrase,)

    @property
    def has_empty_set(self) -> bool:
        """Whether one phrase is named by an empty set of terms, which is "no lesion"."""
        return False

    def index_of_number(self, number: int) -> int:
        """Return the index of the phrase for a number of regions, at least 1; only where `counts_regions`."""
        raise NotImplementedError

    @property
    def keywords_read(self) -> frozenset[str]:
        """Words that carry the factor's meaning, nouns excluded."""
        return frozenset()

    @property
    def nouns_read(self) -> frozenset[str]:
        """Nouns that end a mention."""
        return frozenset()


class ChoiceRule(ReadKind):
    """One phrase is chosen by the keywords a sentence holds.

    Attributes:
        kind: Always "choice".
        keywords: Per phrase, the words or word groups ("both lungs") that stand for it.
    """

    entries_name = "keywords"

    kind: Literal["choice"]
    keywords: tuple[tuple[WordGroup, ...], ...]

    def entries(self) -> list[Sequence[Hashable]]:
        """Return the keywords of each phrase."""
        return list(self.keywords)

    @property
    def keywords_read(self) -> frozenset[str]:
        """The words of all keywords."""
        return frozenset(word for group in self.keywords for entry in group for word in entry.split())


class CountRule(ReadKind):
    """A number in front of a noun ("two infected areas"), in digits or words.

    Attributes:
        kind: Always "count".
        nouns: What is counted.
        at_least: Per phrase, the smallest number it stands for, rising: `[1, 2]` is "one" and "more".
        maximum: Larger numbers, such as a year or an identifier, are not counts.
    """

    entries_name = "at_least"
    counts_regions = True

    kind: Literal["count"]
    nouns: tuple[Word, ...] = Field(min_length=1)
    at_least: tuple[int, ...]
    maximum: int = 99

    def entries(self) -> list[Sequence[Hashable]]:
        """Return the smallest number of each phrase."""
        if list(self.at_least) != sorted(set(self.at_least)) or self.at_least[:1] != (1,):
            raise ValueError(f"read.at_least: expected rising numbers from 1, got {list(self.at_least)}")
        return [[number] for number in self.at_least]

    def index_of_number(self, number: int) -> int:
        """Return the index of the phrase for a number of regions, at least 1."""
        return bisect_right(self.at_least, number) - 1

    @property
    def nouns_read(self) -> frozenset[str]:
        """The nouns that are counted."""
        return frozenset(self.nouns)


class SubsetRule(ReadKind):
    """Terms gathered around a noun ("middle lower right lung"): the set of terms chooses the phrase.

    Attributes:
        kind: Always "subset".
        region: Words that say the mention is about this factor ("left"). Empty: every mention of the noun is
            about it.
        nouns: Words that end a mention ("lung", "image").
        sets: Per phrase, the sets of terms that stand for it. The empty set is "no lesion in ...".
    """

    entries_name = "sets"

    kind: Literal["subset"]
    region: tuple[Word, ...] = ()
    nouns: tuple[Word, ...] = Field(min_length=1)
    sets: tuple[tuple[tuple[Word, ...], ...], ...]

    def entries(self) -> list[Sequence[Hashable]]:
        """Return the sets of terms of each phrase, the terms sorted."""
        return [[tuple(sorted(terms)) for terms in sets] for sets in self.sets]

    @property
    def has_empty_set(self) -> bool:
        """Whether one phrase is named by the empty set alone."""
        return ((),) in self.sets

    @property
    def keywords_read(self) -> frozenset[str]:
        """The terms of all sets, and the words of the region."""
        return frozenset(word for sets in self.sets for terms in sets for word in terms) | set(self.region)

    @property
    def nouns_read(self) -> frozenset[str]:
        """The nouns that end a mention."""
        return frozenset(self.nouns)


class SentenceRule(ReadKind):
    """Whole sentences, each of which stands for one phrase: for sheets that follow no known grammar.

    Attributes:
        kind: Always "sentence".
        sentences: Per phrase, the sentences that stand for it.
        unmirrored: Per axis of a flip, the positions of the phrases whose mirror image is unknown, as no word
            list holds all of their words.
    """

    entries_name = "sentences"
    ordered_words = True
    reads_words = False

    kind: Literal["sentence"]
    sentences: tuple[tuple[str, ...], ...]
    unmirrored: dict[Literal["horizontal", "vertical"], tuple[int, ...]] = Field(default_factory=dict)

    def entries(self) -> list[Sequence[Hashable]]:
        """Return the sentences of each phrase as words."""
        return [[split_words(sentence) for sentence in sentences] for sentences in self.sentences]

    def texts(self, index: int, phrase: str) -> tuple[str, ...]:
        """Return the sentences that stand for a phrase."""
        return self.sentences[index]


ReadRule = Annotated[ChoiceRule | CountRule | SubsetRule | SentenceRule, Field(discriminator="kind")]


class RegionCount(VocabularyData):
    """How many regions with a lesion each phrase of a factor allows.

    Attributes:
        factor: The factor whose phrases state the number of regions.
        regions: Per phrase, the number of regions; None where the phrase says nothing about it.
    """

    factor: str
    regions: tuple[int | None, ...]


class RegionLimits(VocabularyData):
    """What coarse factors say about the regions that fine factors describe.

    Attributes:
        factors: `subset` factors, one per region, each with a "no lesion" phrase.
        exactly: Phrases that fix the number of regions: bilateral 2, unilateral 1. When a sentence names
            exactly that number of regions, the other regions have no lesion.
        at_most: Phrases that limit it: one infected area lies in one lung.
    """

    factors: tuple[str, ...]
    exactly: RegionCount | None = None
    at_most: RegionCount | None = None


class Grammar(PartlyWritten, VocabularyData):
    """The closed set of words that a report may contain.

    Capitals do not matter, and "/" and "-" separate words, here and in reports. `words`, `ignored` and
    `synonyms` may hold word groups ("well-defined"); otherwise `phrases` gives a word group a single word.

    Attributes:
        words: Words without meaning for any factor ("pulmonary", "infected"). Typing errors are repaired to
            them and to every word that a read rule names.
        language: The language of the reports: a file in `words/languages`, with the words that say how
            certain a statement is, when it holds and how far it reaches.
        ignored: Words that are skipped when spelled exactly, in addition to the language's function words;
            never the result of a repair.
        phrases: Word groups and abbreviations, and the words of the grammar that they stand for:
            `{rll: lower right lung}`. "/" and "-" separate words.
        synonyms: Exact spellings of other words: `{lobe: lung, top: upper}`. Plurals in -s are known.
        numbers: Number words and their values.
        many: Words for "more than one" without a number.
        negations: Words that turn a mention into "no lesion": `[no, without, clear]`.
        lesions: Nouns that may follow a negation without a region ("no lesion").
        states: Words that say of a region that it has a lesion ("infected"); they may follow a negation.
        others: Words for what is not described ("effusion"): a clause with one of them says nothing.
        places: Words that open a clause which says only where something is ("located"): if it cannot be read,
            the clauses beside it can.
        expand: Terms that stand for several others: `{all: [upper, middle, lower]}`.
        every_region: Words that name every region at once ("both").
        breaks: Words that end a clause as a comma does ("but").
        regions: What coarse factors say about regions; None where the vocabulary has no regions.
    """

    # Runs of version 0.1.0 do not have them.
    LEFT_OUT = frozenset({"language", "phrases", "states", "others", "places"})

    language: str = "en"
    words: tuple[WordGroup, ...] = ()
    ignored: tuple[WordGroup, ...] = ()
    phrases: Annotated[dict[str, Words], BY_PHRASE] = Field(default_factory=dict)
    synonyms: Annotated[dict[str, Word], BY_GROUP] = Field(default_factory=dict)
    numbers: Annotated[dict[str, int], BY_WORD] = Field(default_factory=lambda: dict(NUMBER_WORDS))
    many: tuple[Word, ...] = ("multiple", "several", "many", "numerous")
    negations: tuple[Word, ...] = ()
    lesions: tuple[Word, ...] = ()
    states: tuple[Word, ...] = ()
    others: tuple[Word, ...] = ()
    places: tuple[Word, ...] = ()
    expand: Annotated[dict[str, tuple[Word, ...]], BY_WORD] = Field(default_factory=dict)
    every_region: tuple[Word, ...] = ()
    breaks: tuple[Word, ...] = ("but",)
    regions: RegionLimits | None = None


class Opposites(VocabularyData):
    """Words that swap when an image is mirrored.

    Attributes:
        horizontal: Pairs that swap in a left-right flip.
        vertical: Pairs that swap in an upside-down flip.
    """

    horizontal: tuple[tuple[str, str], ...] = ()
    vertical: tuple[tuple[str, str], ...] = ()


class Keyword(VocabularyData):
    """What is segmented, as CoTexNet's class keyword.

    Attributes:
        singular: Such as "polyp area".
        plural: Such as "polyp areas".
        counted_by: The factor whose first phrase takes the singular; None: always singular.
    """

    singular: str
    plural: str
    counted_by: str | None = None


class Clause(VocabularyData):
    """One part of a sentence.

    Attributes:
        parts: Pieces of text with at most one `{factor}` or `{keyword}` each. A piece whose factor is unknown
            is left out; so is a clause without pieces.
        joiner: Text between the pieces.
    """

    parts: tuple[str, ...] = Field(min_length=1)
    joiner: str = " "


class Template(VocabularyData):
    """How a description becomes a sentence: clauses joined by commas, a capital first letter, a full stop.

    Attributes:
        clauses: The clauses in order.
    """

    clauses: tuple[Clause, ...] = Field(min_length=1)
