"""Grammar as data: how phrases are recognised in report sentences, and how a sentence is made of phrases.

Nothing here reads text: `lexiseg.words.reading.reports` interprets these rules. The rules are kept beside the
vocabulary because every run holds a vocabulary, and prediction must not import `lexiseg.words.reading`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Words of plain English that every grammar skips when they are spelled exactly.
FUNCTION_WORDS = (
    "a", "an", "is", "are", "was", "were", "be", "been", "has", "have", "it", "its", "this", "that", "these",
    "there", "with", "on", "at", "as", "by", "for", "from", "to", "some", "any", "or", "nor", "also",
)  # fmt: skip

#: Number words every grammar knows unless it names its own.
NUMBER_WORDS = {
    "single": 1, "solitary": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip


class Data(BaseModel):
    """Base of everything read from a vocabulary file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChoiceRule(Data):
    """One phrase is chosen by the keywords a sentence holds.

    Attributes:
        kind: Always "choice".
        keywords: Per phrase, the words or word groups ("both lungs") that stand for it.
    """

    kind: Literal["choice"]
    keywords: tuple[tuple[str, ...], ...]


class CountRule(Data):
    """A number in front of a noun ("two infected areas"), in digits or words.

    Attributes:
        kind: Always "count".
        nouns: What is counted.
        at_least: Per phrase, the smallest number it stands for, rising: `[1, 2]` is "one" and "more".
        maximum: Larger numbers are taken for a slip, such as a year or an identifier.
    """

    kind: Literal["count"]
    nouns: tuple[str, ...] = Field(min_length=1)
    at_least: tuple[int, ...]
    maximum: int = 99


class SubsetRule(Data):
    """Terms gathered around a noun ("middle lower right lung"): the set of terms chooses the phrase.

    Attributes:
        kind: Always "subset".
        region: Words that say the mention is about this factor ("left"). Empty: any mention of the noun is.
        nouns: Words that end a mention ("lung", "image").
        sets: Per phrase, the sets of terms that stand for it. The empty set is "no lesion in ...".
    """

    kind: Literal["subset"]
    region: tuple[str, ...] = ()
    nouns: tuple[str, ...] = Field(min_length=1)
    sets: tuple[tuple[tuple[str, ...], ...], ...]


class SentenceRule(Data):
    """Whole sentences, each of which stands for one phrase: for sheets in no known grammar.

    Attributes:
        kind: Always "sentence".
        sentences: Per phrase, the sentences that stand for it.
    """

    kind: Literal["sentence"]
    sentences: tuple[tuple[str, ...], ...]


ReadRule = Annotated[ChoiceRule | CountRule | SubsetRule | SentenceRule, Field(discriminator="kind")]


class RegionCount(Data):
    """How many regions with a lesion each phrase of a factor allows.

    Attributes:
        factor: The factor that speaks of the number of regions.
        regions: Per phrase, the number of regions; None where the phrase says nothing about it.
    """

    factor: str
    regions: tuple[int | None, ...]


class RegionLimits(Data):
    """What the coarse factors say about the regions the fine factors describe.

    Attributes:
        factors: `subset` factors, one per region, each with a "no lesion" phrase.
        exactly: Phrases that fix the number of regions: bilateral 2, unilateral 1. When such a phrase is met
            by as many named regions, the regions not named have no lesion.
        at_most: Phrases that limit it: one infected area lies in one lung.
    """

    factors: tuple[str, ...]
    exactly: RegionCount | None = None
    at_most: RegionCount | None = None


class Grammar(Data):
    """The closed set of words a report may be made of.

    Attributes:
        words: Words that carry no factor ("pulmonary", "infected"). Typing slips are repaired to them and to
            every word a read rule names.
        ignored: More words than `FUNCTION_WORDS` that are skipped when spelled exactly; never the result of a
            repair.
        synonyms: Exact spellings of other words: `{lobe: lung, top: upper}`. Plurals in -s are known.
        numbers: Number words and their values.
        many: Words for "more than one" without a number.
        negations: Words that turn a mention into "no lesion": `[no, without, clear]`.
        lesions: Nouns that a negation may stand before without a region ("no lesion").
        expand: Terms that stand for several: `{all: [upper, middle, lower]}`.
        every_region: Words that name every region at once ("both").
        breaks: Words that end a clause as a comma does ("but").
        regions: What coarse factors say about regions; None where the vocabulary has no regions.
    """

    words: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    synonyms: dict[str, str] = Field(default_factory=dict)
    numbers: dict[str, int] = Field(default_factory=lambda: dict(NUMBER_WORDS))
    many: tuple[str, ...] = ("multiple", "several", "many", "numerous")
    negations: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    expand: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    every_region: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ("but",)
    regions: RegionLimits | None = None


class Opposites(Data):
    """Words that swap when an image is mirrored.

    Attributes:
        horizontal: Pairs that swap in a left-right flip.
        vertical: Pairs that swap in an upside-down flip.
    """

    horizontal: tuple[tuple[str, str], ...] = ()
    vertical: tuple[tuple[str, str], ...] = ()


class Keyword(Data):
    """What is segmented, as CoTexNet's class keyword.

    Attributes:
        singular: Such as "polyp area".
        plural: Such as "polyp areas".
        counted_by: The factor whose first phrase calls for the singular; None if always singular.
    """

    singular: str
    plural: str
    counted_by: str | None = None


class Clause(Data):
    """One part of a sentence.

    Attributes:
        parts: Pieces of text with at most one `{factor}` or `{keyword}` each. A piece whose factor is unknown
            is left out; a clause without pieces too.
        joiner: Text between the pieces.
    """

    parts: tuple[str, ...] = Field(min_length=1)
    joiner: str = " "


class Template(Data):
    """How a description becomes a sentence: clauses joined by commas, a capital first letter, a full stop.

    Attributes:
        clauses: The clauses in order.
    """

    clauses: tuple[Clause, ...] = Field(min_length=1)
