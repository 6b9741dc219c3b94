"""The closed set of words of a grammar, and the reading of sentences as these words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rapidfuzz.distance import OSA

from lexiseg.words.description import Repair
from lexiseg.words.grammar import FUNCTION_WORDS
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

#: A negation reverses the meaning, so only longer negations are the result of a repair.
SHORTEST_NEGATION = 5

_PIECE = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[,;.!?\n]")
_MAX_GLUED = 5


@dataclass(frozen=True, kw_only=True)
class Token:
    """One word of a sentence.

    Attributes:
        found: The letters as written.
        word: The word of the grammar; "," at the end of a clause; None if it cannot be read.
        piece: Number of its piece of the sentence; both words of "leftlung" have the same.
        meant: The repaired piece; None if it was spelled correctly.
        choices: Words that are equally close, if this is why it cannot be read.
    """

    found: str
    word: str | None
    piece: int
    meant: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def ends_clause(self) -> bool:
        """Whether this is punctuation or a word such as "but"."""
        return self.word == ","


class Lexicon:
    """Words of one vocabulary's grammar.

    Args:
        vocabulary: The vocabulary whose grammar and read rules name the words.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        grammar = vocabulary.grammar
        rules = [factor.read for factor in vocabulary.factors if factor.read is not None]
        nouns = set(grammar.lesions).union(*(rule.nouns_read for rule in rules))
        rule_words = frozenset[str]().union(*(rule.keywords_read for rule in rules))
        #: Words that end a mention.
        self.nouns = frozenset(nouns)
        #: Words without meaning for any factor.
        self.fillers = frozenset((*grammar.words, *grammar.ignored, *FUNCTION_WORDS))
        plurals = {noun + "s": noun for noun in nouns if not noun.endswith("s")}
        own = {*grammar.words, *rule_words, *nouns, *grammar.numbers, *grammar.many, *grammar.expand}
        own |= {*grammar.every_region, *grammar.breaks}
        long_negations = {word for word in grammar.negations if len(word) >= SHORTEST_NEGATION}
        #: Spelling -> word, for spellings that a repair may result in.
        self._targets = {
            spelling: word
            for spelling, word in {**{word: word for word in own | long_negations}, **plurals}.items()
            if len(spelling) >= SHORTEST_TARGET
        }
        #: Spelling -> word, for all spellings that need no repair.
        self._exact = {
            **{word: word for word in (*FUNCTION_WORDS, *grammar.ignored, *grammar.negations, *own)},
            **plurals,
            **grammar.synonyms,
        }
        #: Spellings that may be written together: not "but" and "on", or "button" would be two words.
        self._glued = (own | plurals.keys() | set(grammar.negations)) - set(grammar.breaks)
        self._breaks = frozenset(grammar.breaks)

    def word(self, spelling: str) -> str:
        """Return the word of a correct spelling: itself, its singular, or the word it is a synonym of."""
        return self._exact[spelling]

    def tokens(self, sentence: str) -> tuple[Token, ...]:
        """Read a sentence as words, also split, joined or misspelled ones."""
        pieces = list(_PIECE.findall(sentence))
        tokens: list[Token] = []
        position = 0
        while position < len(pieces):
            torn = self._split_word(pieces, position)
            found = " ".join(pieces[position : position + 2]) if torn else pieces[position]
            tokens += [replace(token, piece=position) for token in self._read_piece(found, torn)]
            position += 2 if torn else 1
        return tuple(tokens)

    def _split_word(self, pieces: Sequence[str], position: int) -> str | None:
        """Return the word that this piece and the next form ("bi lateral"), unless both are words."""
        for first, second in pairwise(pieces[position : position + 2]):
            joined = (first + second).lower()
            if joined in self._exact and not (first.lower() in self._exact and second.lower() in self._exact):
                return joined
        return None

    def _read_piece(self, found: str, torn: str | None) -> list[Token]:
        letters = found.lower()
        if not any(character.isalnum() for character in found):
            return [Token(found=found, word=",", piece=0)]
        if letters[0].isdigit():
            return [Token(found=found, word=letters, piece=0)]
        if torn is not None:
            return [Token(found=found, word=self._exact[torn], piece=0, meant=torn)]
        if letters in self._exact:
            word = "," if letters in self._breaks else self._exact[letters]
            return [Token(found=found, word=word, piece=0)]
        readings = (
            self._splits(letters)
            or self._nearest(letters, most=1)
            or self._splits(letters, slips=1)
            or self._nearest(letters, most=EDITS_BY_LENGTH[0][1])
        )
        meanings = {tuple(self._exact[spelling] for spelling in reading): reading for reading in readings}
        if len(meanings) > 1:
            choices = tuple(sorted(" ".join(reading) for reading in meanings.values()))
            return [Token(found=found, word=None, piece=0, choices=choices)]
        for words, reading in meanings.items():
            return [Token(found=found, word=word, piece=0, meant=" ".join(reading)) for word in words]
        return [Token(found=found, word=None, piece=0)]

    def _nearest(self, letters: str, most: int) -> list[tuple[str, ...]]:
        """Return the closest spellings, within `most` edits and the edits allowed for the length."""
        limit = min(most, next((edits for length, edits in EDITS_BY_LENGTH if len(letters) >= length), 0))
        far = limit + CLEAR_LEAD
        distances = {word: OSA.distance(letters, word, score_cutoff=far) for word in self._targets}
        nearest = min(distances.values(), default=far)
        if nearest > limit:
            return []
        reach = nearest if nearest <= 1 else nearest + CLEAR_LEAD
        near = sorted((distance, spelling) for spelling, distance in distances.items() if distance <= reach)
        return [(spelling,) for _, spelling in reversed(near)]

    def _splits(self, letters: str, slips: int = 0) -> list[tuple[str, ...]]:
        """Return the divisions of `letters` into the fewest words, at least 2, `slips` of them misspelled."""
        splits = [split for split in self._cut(letters, slips) if 1 < len(split) <= _MAX_GLUED]
        fewest = min(map(len, splits), default=0)
        return [split for split in splits if len(split) == fewest]

    def _cut(self, letters: str, slips: int) -> Iterator[tuple[str, ...]]:
        if not letters:
            if slips == 0:
                yield ()
            return
        for end in range(2, len(letters) + 1):
            head = letters[:end]
            if head in self._glued:
                yield from ((head, *rest) for rest in self._cut(letters[end:], slips))
            elif slips and len(head) >= SHORTEST_TARGET:
                for spelling in self._targets:
                    if OSA.distance(head, spelling, score_cutoff=1) == 1:
                        yield from ((spelling, *rest) for rest in self._cut(letters[end:], slips - 1))


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
