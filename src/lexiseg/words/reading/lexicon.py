"""The closed set of words of a grammar, and the reading of sentences as these words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import OSA

from lexiseg.words.description import Repair
from lexiseg.words.grammar import ChoiceRule, CountRule, SubsetRule
from lexiseg.words.reading.language import COMMONEST, Language, load_language
from lexiseg.words.text import PIECE, split_pieces
from lexiseg.words.vocabulary import Vocabulary

#: Edits allowed in a repair, by length of the misspelled word: (shortest length, edits). An edit adds,
#: removes or changes a letter, or swaps two neighbours (optimal string alignment). A typing error is mostly
#: one edit; with two edits, words of five letters already match other words, so only longer words are allowed
#: more.
EDITS_BY_LENGTH = ((10, 3), (6, 2), (3, 1))

#: A repair of two edits or more needs a lead of more than this over every other word: "lateral" is two edits
#: from "bilateral" and three from "unilateral", so it is not repaired.
CLEAR_LEAD = 1

#: Shorter words are never the result of a repair: most short words are one edit from "no" or "in".
SHORTEST_TARGET = 3

#: Shorter cues ("may") are too near to other words to be the result of a repair.
SHORTEST_CUE = 5

#: The word of a measurement and of a numbered label ("3 cm", "grade 2"); no grammar holds it.
MEASUREMENT = "<number>"

_MAX_GLUED = 5

#: Signs that are read as the word "and".
_AND_SIGNS = ("&", "+")

#: Words between the numbers of one measurement: "12 x 8 mm", "4 and 6 mm".
_JOINS = frozenset(("x", "and", "to", *_AND_SIGNS))
_LONGEST_MEASUREMENT = 6

#: Signs that end a statement; a line feed stands for the break of a line.
ENDS_STATEMENT = frozenset(".;!\n")

#: What a word group of the language does to the words around it.
Cue = Literal[
    "uncertain", "historical", "scope", "alternative", "qualifier", "elsewhere", "exception", "neither"
]


@dataclass(frozen=True, kw_only=True)
class Token:
    """One word of a sentence.

    Attributes:
        found: The letters as written.
        word: The word of the grammar; "," at the end of a clause; None if it cannot be read.
        piece: Number of its piece of the sentence; both words of "leftlung" have the same.
        meant: The repaired piece; None if it was spelled correctly.
        choices: Words that are equally close, if this is why it cannot be read.
        cue: What it says about the certainty, time or scope of the words around it.
        foreign: Whether it is a word of the language that the grammar does not know, or may be a negation.
        heads: Whether it names one thing together with the word for a lesion before it: "infection area".
    """

    found: str
    word: str | None
    piece: int
    meant: str | None = None
    choices: tuple[str, ...] = ()
    cue: Cue | None = None
    foreign: bool = False
    heads: bool = False

    @property
    def ends_clause(self) -> bool:
        """Whether this is punctuation or a word such as "but"."""
        return self.word == ","

    @property
    def ends_statement(self) -> bool:
        """Whether this is a full stop or a sign like it."""
        return self.ends_clause and self.found in ENDS_STATEMENT


class Lexicon:
    """Words of one vocabulary's grammar.

    Args:
        vocabulary: The vocabulary whose grammar and read rules name the words.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        grammar = vocabulary.grammar
        self.language = load_language(grammar.language)
        rules = [factor.read for factor in vocabulary.factors if factor.read is not None]
        nouns = set(grammar.lesions).union(*(rule.nouns_read for rule in rules))
        rule_words = frozenset[str]().union(*(rule.keywords_read for rule in rules))
        skipped = (*grammar.ignored, *self.language.function_words)
        plurals = {noun + "s": noun for noun in nouns if not noun.endswith("s")}
        own = {*grammar.words, *rule_words, *nouns, *grammar.many, *grammar.expand, *grammar.states}
        own |= {*grammar.every_region, *grammar.breaks}
        fixed = {*grammar.numbers, *grammar.negations}
        #: Spelling -> word, for all spellings that need no repair.
        self._exact = {**{word: word for word in (*skipped, *fixed, *own)}, **plurals, **grammar.synonyms}
        keywords = [e for rule in rules if isinstance(rule, ChoiceRule) for es in rule.keywords for e in es]
        meanings = {entry: entry for entry in keywords} | grammar.synonyms
        long = {entry: meaning for entry, meaning in meanings.items() if " " in entry}
        self._groups = self._word_groups((*grammar.words, *grammar.ignored), long | grammar.phrases)
        self._longest = max(map(len, self._groups), default=1)
        self._targets = self._repair_targets(own | plurals.keys() | fixed)
        self._fixed = frozenset(fixed - own)
        self._negations = frozenset(grammar.negations)
        #: Spellings that may be written together: not "but" and "on", or "button" would be two words.
        self._glued = (own | plurals.keys() | set(grammar.numbers)) - set(grammar.breaks)
        self._breaks = frozenset(grammar.breaks)
        self._units, self._labels = frozenset(self.language.units), frozenset(self.language.labels)
        keyword = [self._exact.get(word, word) for word in vocabulary.keyword.singular.lower().split()]
        #: Pairs of nouns that name what is segmented: ("polyp", "area").
        self.compounds = frozenset(pair for pair in pairwise(keyword) if nouns.issuperset(pair))
        self._lesions = frozenset(grammar.lesions)
        self._heads = frozenset(self.language.heads)
        #: Words that end a mention.
        self.nouns = frozenset(nouns)
        #: Words for places, such as "upper", "left" and "both".
        self.places = _place_words(vocabulary)
        #: Names of what is said of a lesion, such as "size".
        self.properties = _property_names(vocabulary, self.language) - nouns - rule_words - fixed
        self.adjectives = frozenset(" ".join(keywords).split())  #: "round", "small"
        groups = ((" ".join(group), words) for group, (words, _) in self._groups.items())
        skipped_groups = (text for text, words in groups if words == (text,))
        #: Words without meaning for any factor.
        self.fillers = (
            frozenset((*grammar.words, *skipped, *skipped_groups, MEASUREMENT)) - fixed - rule_words
        )

    def _word_groups(
        self, skipped: Sequence[str], phrases: dict[str, str]
    ) -> dict[tuple[str, ...], tuple[tuple[str, ...], Cue | None]]:
        """Return what word groups stand for: words of the grammar, or one skipped word with a cue.

        Args:
            skipped: Words and word groups of the grammar that change nothing.
            phrases: Word groups of the grammar, and the words that they stand for.
        """
        language = self.language
        groups: dict[tuple[str, ...], tuple[tuple[str, ...], Cue | None]] = {}
        cues: tuple[tuple[Sequence[str], Cue | None], ...] = (
            (skipped, None), (language.neutral, None), (language.qualifiers, "qualifier"),
            (language.elsewhere, "elsewhere"), (language.alternatives, "alternative"),
            (language.historical, "historical"), (language.exceptions, "exception"),
            (language.scope, "scope"), (language.uncertain, "uncertain"),
        )  # fmt: skip
        for entries, cue in cues:
            for entry in entries:
                group = split_pieces(entry)
                if group not in groups and (
                    len(group) > 1 or group[0] not in self._exact or cue == "alternative"
                ):
                    groups[group] = ((" ".join(group),), cue)
        for entry, meaning in language.neither.items():
            groups[split_pieces(entry)] = ((self._meaning(meaning),), "neither")
        for entry, meaning in {**language.phrases, **phrases}.items():
            words = tuple(self._meaning(spelling) for spelling in meaning.split())
            groups[split_pieces(entry)] = (words, None)
        return groups

    def _repair_targets(self, words: Set[str]) -> set[str]:
        """Return the spellings near which a misspelled word is looked for: words of the grammar, and cues.

        A number or a negation is never the result of a repair, but makes another one doubtful.
        """
        cues = {group[0] for group, (_, cue) in self._groups.items() if len(group) == 1 and cue is not None}
        return {
            *(word for word in words if len(word) >= SHORTEST_TARGET),
            *(word for word in cues if len(word) >= SHORTEST_CUE),
        }

    def word(self, spelling: str) -> str:
        """Return the word of a correct spelling: itself, its singular, or the word it is a synonym of."""
        return self._exact[spelling]

    def is_plural(self, token: Token) -> bool:
        """Return whether a word is written as a plural: "opacities", if "opacity" is a word.

        Words that were written together are a plural if one of them is.
        """
        return any(map(self._is_plural, (token.meant or token.found).lower().split()))

    def _is_plural(self, spelling: str) -> bool:
        if self._exact.get(spelling) == spelling:
            return False
        singulars = {
            spelling.removesuffix(ending) + single
            for ending, single in self.language.plurals.items()
            if spelling.endswith(ending)
        }
        return any(word in self._exact or word in self.language.all_words for word in singulars)

    def tokens(self, sentence: str) -> tuple[Token, ...]:
        """Read a sentence as words, also split, joined or misspelled ones."""
        found = list(PIECE.finditer(sentence))
        pieces = [piece[0] for piece in found]
        # Other signs are no pieces: "no lesion (area in the left lung)" speaks of two things.
        close = {
            place
            for place, (before, after) in enumerate(pairwise(found), start=1)
            if sentence[before.end() : after.start()].isspace()
        }
        tokens: list[Token] = []
        position = 0
        while position < len(pieces):
            length, read = self._next(pieces, position)
            tokens += read
            position += length
        return tuple(self._with_heads(tokens, close))

    def _with_heads(self, tokens: Sequence[Token], close: Set[int]) -> Iterator[Token]:
        """Yield tokens, the second noun of "infection area" as its head, which names no lung ("zone").

        Args:
            tokens: The tokens.
            close: Numbers of the pieces that only blanks part from the piece before.
        """
        before: Token | None = None
        for token in tokens:
            if before is not None and before.word in self._lesions and self._heads_with(before, token, close):
                word = token.word if token.word in self._lesions else before.word
                token = replace(token, word=word, heads=True)
            yield token
            before = token

    def _heads_with(self, before: Token, token: Token, close: Set[int]) -> bool:
        """Return whether a noun names one thing with the word for a lesion before it; see `_with_heads`."""
        if token.piece == before.piece:
            return token.word in self._lesions  # "infectionarea"
        spelling = (token.meant or token.found).lower()
        return spelling in self._heads and token.piece in close and not self.is_plural(before)

    def _next(self, pieces: Sequence[str], position: int) -> tuple[int, list[Token]]:
        """Return how many pieces the next words take, and these words."""
        lower = tuple(
            piece.lower() for piece in pieces[position : position + max(self._longest, _LONGEST_MEASUREMENT)]
        )
        for length in range(min(self._longest, len(lower)), 0, -1):
            if lower[:length] in self._groups:
                found = " ".join(pieces[position : position + length])
                words, cue = self._groups[lower[:length]]
                return length, [Token(found=found, word=word, piece=position, cue=cue) for word in words]
        length = self._measurement(lower)
        if length:
            found = " ".join(pieces[position : position + length])
            return length, [Token(found=found, word=MEASUREMENT, piece=position)]
        torn = self._split_word(pieces, position)
        if torn is not None:
            found = " ".join(pieces[position : position + 2])
            return 2, [Token(found=found, word=self._exact[torn], piece=position, meant=torn)]
        return 1, self._read_piece(pieces[position], position)

    def _measurement(self, lower: Sequence[str]) -> int:
        """Return how many pieces a measurement ("3 cm", "12 x 8 mm") or a label ("no. 4") takes; 0: none."""
        label = [piece for piece in lower if piece != "."]
        if len(label) > 1 and label[0] in self._labels and label[1][0].isdecimal():
            return lower.index(label[1]) + 1
        length = 0
        while length < len(lower) and (lower[length][0].isdecimal() or (length and lower[length] in _JOINS)):
            length += 1
        return length + 1 if 0 < length < len(lower) and lower[length] in self._units else 0

    def _split_word(self, pieces: Sequence[str], position: int) -> str | None:
        """Return the word that this piece and the next form ("bi lateral"), unless both are words."""
        for first, second in pairwise(pieces[position : position + 2]):
            joined = (first + second).lower()
            both = first.lower() in self._exact and second.lower() in self._exact
            if joined in self._targets - self._fixed and joined in self._exact and not both:
                return joined
        return None

    def _read_piece(self, found: str, place: int) -> list[Token]:
        letters = found.lower()
        if letters in "<>=%\u2264\u2265\u00b1" or (len(letters) > 1 and letters[0] in "+-("):
            return [Token(found=found, word=None, piece=place, foreign=True)]
        if letters in _AND_SIGNS:
            return [Token(found=found, word="and", piece=place)]
        if letters == "?":
            return [Token(found=found, word=",", piece=place, cue="uncertain")]
        if not any(character.isalnum() for character in found):
            return [Token(found=found, word=",", piece=place)]
        if letters[0].isdecimal():
            return [Token(found=found, word=letters, piece=place)]
        if letters in self._exact:
            word = "," if letters in self._breaks else self._exact[letters]
            return [Token(found=found, word=word, piece=place)]
        if letters in self.language.all_words:
            return [Token(found=found, word=None, piece=place, foreign=True)]
        readings = self._splits(letters) or self._nearest(letters)
        meanings = {tuple(self._meaning(spelling) for spelling in reading): reading for reading in readings}
        near = {spelling for reading in readings if len(reading) == 1 for spelling in reading}
        if len(meanings) > 1 or near & self._fixed:
            choices = tuple(sorted(" ".join(reading) for reading in meanings.values()))
            negates = bool(near & self._negations)
            return [Token(found=found, word=None, piece=place, choices=choices, foreign=negates)]
        for words, reading in meanings.items():
            cue = self._groups[words][1] if words in self._groups else None
            return [
                Token(found=found, word=word, piece=place, meant=" ".join(reading), cue=cue) for word in words
            ]
        return [Token(found=found, word=None, piece=place)]

    def _meaning(self, spelling: str) -> str:
        return self._exact.get(spelling, spelling)

    def _nearest(self, letters: str) -> list[tuple[str, ...]]:
        """Return the closest spellings within the allowed edits; none if a common word is closer."""
        limit = next((edits for length, edits in EDITS_BY_LENGTH if len(letters) >= length), 0)
        far = limit + CLEAR_LEAD
        distances = {word: OSA.distance(letters, word, score_cutoff=far) for word in self._targets}
        nearest = min(distances.values(), default=far)
        if nearest > limit or (nearest > 1 and self._common_within(letters, nearest - 1)):
            return []
        reach = nearest if nearest <= 1 else nearest + CLEAR_LEAD
        near = sorted((distance, spelling) for spelling, distance in distances.items() if distance <= reach)
        return [(spelling,) for _, spelling in reversed(near)]

    def _common_within(self, letters: str, edits: int) -> bool:
        """Return whether one of the commonest words is at most so many edits away."""
        common = self.language.common_words[:COMMONEST]
        return process.extractOne(letters, common, scorer=OSA.distance, score_cutoff=edits) is not None

    def _splits(self, letters: str) -> list[tuple[str, ...]]:
        """Return the divisions of `letters` into the fewest words, at least 2, each spelled correctly."""
        splits = [split for split in self._cut(letters) if 1 < len(split) <= _MAX_GLUED]
        fewest = min(map(len, splits), default=0)
        return [split for split in splits if len(split) == fewest]

    def _cut(self, letters: str) -> Iterator[tuple[str, ...]]:
        if not letters:
            yield ()
        for end in range(2, len(letters) + 1):
            if letters[:end] in self._glued:
                yield from ((letters[:end], *rest) for rest in self._cut(letters[end:]))


def _place_words(vocabulary: Vocabulary) -> frozenset[str]:
    """Return the words of the grammar that say where a lesion is."""
    grammar = vocabulary.grammar
    rules = [factor.read for factor in vocabulary.factors if isinstance(factor.read, SubsetRule)]
    words = frozenset((*grammar.expand, *grammar.every_region))
    return words.union(*(rule.keywords_read for rule in rules))


def _property_names(vocabulary: Vocabulary, language: Language) -> frozenset[str]:
    """Return the names and titles of the factors that do not count, and the properties of the language."""
    factors = [factor for factor in vocabulary.factors if not isinstance(factor.read, CountRule)]
    names = {name.lower() for factor in factors for name in (factor.name, factor.title)}
    return frozenset(names.union(language.properties))


def text_of(tokens: Sequence[Token]) -> str:
    """Return the words as written, each piece once."""
    return " ".join({token.piece: token.found for token in tokens}.values())


def repairs_of(tokens: Sequence[Token]) -> tuple[Repair, ...]:
    """Return the repairs in these tokens, each piece once."""
    return tuple(
        {
            token.piece: Repair(found=token.found, meant=token.meant)
            for token in tokens
            if token.meant is not None
        }.values()
    )
