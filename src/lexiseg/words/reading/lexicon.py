"""The closed set of words of a grammar, and the reading of a sentence's letters as those words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rapidfuzz.distance import OSA

from lexiseg.words.description import Repair
from lexiseg.words.grammar import FUNCTION_WORDS
from lexiseg.words.vocabulary import Vocabulary

#: Edits allowed in a repair, by length of the misspelled word: (shortest length, edits). An edit is a letter
#: added, lost, changed, or swapped with its neighbour (optimal string alignment). One edit is what a slip of
#: the finger does; two in a word of five letters already reach other words, so only longer ones get more.
EDITS_BY_LENGTH = ((10, 3), (6, 2), (3, 1))

#: A repair of two edits or more must beat every other word by more than this: "lateral" is two edits from
#: "bilateral" and three from "unilateral", so it is neither.
CLEAR_LEAD = 1

#: Shorter words are never the result of a repair: nearly everything short is one edit from "no" or "in".
SHORTEST_TARGET = 3

#: A negation turns the meaning round, so only the longer ones are ever the result of a repair.
SHORTEST_NEGATION = 5

_PIECE = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[,;.!?\n]")
_MAX_GLUED = 5


@dataclass(frozen=True, kw_only=True)
class Token:
    """One word of a sentence.

    Attributes:
        found: The letters as they stood.
        word: The grammar's word they stand for; "," at the end of a clause; None if they cannot be read.
        piece: Running number of the piece of the sentence it comes from; the words of "leftlung" share one.
        meant: What the whole piece was repaired to; None if it was spelled right.
        choices: Words it is equally near to, if that is why it cannot be read.
    """

    found: str
    word: str | None
    piece: int
    meant: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def ends_clause(self) -> bool:
        """Whether this is punctuation, or a word such as "but"."""
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
        #: Words that never carry a factor's meaning.
        self.fillers = frozenset((*grammar.words, *grammar.ignored, *FUNCTION_WORDS))
        plurals = {noun + "s": noun for noun in nouns if not noun.endswith("s")}
        own = {*grammar.words, *rule_words, *nouns, *grammar.numbers, *grammar.many, *grammar.expand}
        own |= {*grammar.every_region, *grammar.breaks}
        long_negations = {word for word in grammar.negations if len(word) >= SHORTEST_NEGATION}
        #: Spelling -> word, for spellings a slip may be repaired to.
        self._targets = {
            spelling: word
            for spelling, word in {**{word: word for word in own | long_negations}, **plurals}.items()
            if len(spelling) >= SHORTEST_TARGET
        }
        #: Spelling -> word, for everything that needs no repair.
        self._exact = {
            **{word: word for word in (*FUNCTION_WORDS, *grammar.ignored, *grammar.negations, *own)},
            **plurals,
            **grammar.synonyms,
        }
        #: Spellings that may stand glued to others: not "but" and "on", or "button" would be two words.
        self._glued = (own | plurals.keys() | set(grammar.negations)) - set(grammar.breaks)
        self._breaks = frozenset(grammar.breaks)

    def word(self, spelling: str) -> str:
        """Return the word a correct spelling stands for: itself, its singular, or what it is a synonym of."""
        return self._exact[spelling]

    def tokens(self, sentence: str) -> tuple[Token, ...]:
        """Read a sentence as words: spelled right, torn apart, glued together, or misspelled."""
        pieces = list(_PIECE.findall(sentence))
        tokens: list[Token] = []
        position = 0
        while position < len(pieces):
            torn = self._torn(pieces, position)
            found = " ".join(pieces[position : position + 2]) if torn else pieces[position]
            tokens += [replace(token, piece=position) for token in self._read_piece(found, torn)]
            position += 2 if torn else 1
        return tuple(tokens)

    def _torn(self, pieces: Sequence[str], position: int) -> str | None:
        """Return the word this piece and the next make together ("bi lateral"), if not both are words."""
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
        """Return the spellings nearest to `letters`, within `most` edits and the edits its length allows."""
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
        """Return the ways to cut `letters` into the fewest words (2 at least), `slips` of them misspelled."""
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
    """Return the words as they stood, each piece once."""
    return " ".join({token.piece: token.found for token in tokens}.values())


def repairs_of(tokens: Sequence[Token]) -> tuple[Repair, ...]:
    """Return what had to be repaired in these tokens, each piece once."""
    return tuple(
        {
            token.piece: Repair(found=token.found, meant=token.meant)
            for token in tokens
            if token.meant is not None
        }.values()
    )
