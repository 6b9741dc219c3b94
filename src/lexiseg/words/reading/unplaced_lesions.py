"""Lesions that a clause states without a region: "lungs clear, small opacity"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import pairwise

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.mention import Mention
from lexiseg.words.reading.statements import Clause, divide, is_negation


class UnplacedLesions:
    """Finds clauses that state a lesion and no region.

    Args:
        grammar: The grammar.
        lexicon: Its words.
        regions: Words that name regions ("left", "both").
    """

    def __init__(self, grammar: Grammar, lexicon: Lexicon, *, regions: Set[str]) -> None:
        self._grammar = grammar
        self._lexicon = lexicon
        self._regions = regions
        self._lesions = frozenset(grammar.lesions)
        self._objects = self._lesions | frozenset(grammar.states)
        self._negations = frozenset(grammar.negations)
        #: Words between the nouns of a list: "no opacity, consolidation or infection".
        self._joins = frozenset((*grammar.words, *lexicon.language.function_words, "and"))

    def clauses(self, tokens: Sequence[Token]) -> Iterator[Clause]:
        """Yield the clauses of a sentence that state a lesion without a region and without a negation."""
        denied = False
        for before, clause in pairwise((Clause(statement=-1), *divide(tokens))):
            listed = before.statement == clause.statement and self._ends_with_comma(before)
            goes_on = denied and listed and self._lists_lesions(clause)
            denied = goes_on or any(is_negation(t, self._grammar, self._lexicon) for t in clause.words)
            words = {token.word for token in clause.words}
            if goes_on or words & self._negations or words & self._regions:
                continue
            if words & self._objects and not any(token.cue == "elsewhere" for token in clause.words):
                yield clause

    def contradicted(self, mentions: Sequence[Mention], tokens: Sequence[Token]) -> Iterator[Mention]:
        """Yield the denials of regions that a clause after them in their statement may contradict.

        "Left lung clear but a small opacity" may state an opacity in the left lung; "left lung clear, right
        lung infected, dense opacity" states none there.

        Args:
            mentions: The mentions of the sentence, in order.
            tokens: Its words.
        """
        if not any(mention.regions and mention.negated for mention in mentions):
            return
        statements = {t.piece: clause.statement for clause in divide(tokens) for t in clause.tokens}
        placed = {token.piece for mention in mentions if mention.regions for token in mention.tokens}
        for clause in self.clauses(tokens):
            if any(token.piece in placed for token in clause.words):
                continue
            start = clause.words[0].piece
            earlier = [m for m in mentions if m.regions and m.tokens[-1].piece < start]
            if earlier and earlier[-1].negated:
                last = earlier[-1]
                if statements.get(last.tokens[-1].piece) == clause.statement:
                    yield last

    def _lists_lesions(self, clause: Clause) -> bool:
        """Return whether a clause has only words for lesions and words that join them."""
        words = clause.words
        plain = all(t.word in self._lesions or t.found.lower() in self._joins for t in words)
        return plain and bool(words)

    @staticmethod
    def _ends_with_comma(clause: Clause) -> bool:
        return bool(clause.tokens) and clause.tokens[-1].found == ","
