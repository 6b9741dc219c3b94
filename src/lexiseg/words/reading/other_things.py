"""Clauses without a noun after a clause about another thing: "right effusion, left clear"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexiseg.words.grammar import ChoiceRule, SubsetRule
from lexiseg.words.reading.lexicon import Lexicon, Token, text_of
from lexiseg.words.reading.statements import Clause
from lexiseg.words.vocabulary import Vocabulary


class OtherThings:
    """Withdraws clauses that may speak of a thing that the grammar does not know.

    A clause that names a place and no lesion takes its noun from a clause before it: "nodule in the right
    lower lobe, left upper lobe", "hila: right enlarged, left normal", "fracture on the right, none on the
    left". "Left lung clear" has its own noun.

    Args:
        vocabulary: The vocabulary.
        lexicon: Its words.
    """

    def __init__(self, vocabulary: Vocabulary, lexicon: Lexicon) -> None:
        grammar = vocabulary.grammar
        rules = {factor.name: factor.read for factor in vocabulary.factors}
        subsets = [rule for rule in rules.values() if isinstance(rule, SubsetRule)]
        regions = None if grammar.regions is None else grammar.regions.exactly
        sides = None if regions is None else rules[regions.factor]
        self._nouns = frozenset(noun for rule in subsets for noun in rule.nouns)
        self._places = lexicon.places - self._nouns
        self._places |= sides.keywords_read if isinstance(sides, ChoiceRule) else frozenset()
        self._objects = frozenset((*grammar.lesions, *grammar.states))
        self._negations = frozenset(grammar.negations)
        self._others = frozenset(grammar.others)
        self._terms = frozenset(lexicon.language.terms) | self._others
        self._pronouns = frozenset(lexicon.language.pronouns)

    def withdraw(self, clauses: Sequence[Clause]) -> None:
        """Set the reason of the clauses of a sentence that may speak of another thing."""
        if not any(self._is_other(token) for clause in clauses for token in clause.tokens):
            return
        for place, clause in enumerate(clauses):
            if not clause.reason and self._names_place(clause) and not self._has_lesion(clause):
                thing = self._thing(clause, self._before(clauses, place))
                if thing is not None:
                    clause.reason = f"'{text_of(clause.words)}' may speak of '{text_of(thing.words)}'"

    def _before(self, clauses: Sequence[Clause], place: int) -> Iterator[Clause]:
        """Yield the clauses before one, the nearest first, as far as it may take its noun from them.

        These are the clauses of its statement, and a clause that ends the statement before it and names
        another place: "right effusion. Left clear."
        """
        statement = clauses[place].statement
        for clause in reversed(clauses[:place]):
            if clause.statement < statement:
                if self._names_place(clause):
                    yield clause
                return
            yield clause

    def _thing(self, clause: Clause, before: Iterator[Clause]) -> Clause | None:
        """Return the clause before it whose thing a clause may speak of; None if it speaks of lesions."""
        denies = self._denies(clause)
        refers = any(map(self._refers, clause.words))
        if denies and not refers and self._has_noun(clause):
            return None
        for other in before:
            placed = self._names_place(other)
            if self._has_lesion(other):
                return None
            if self._denies(other) and not (placed or refers):
                continue  # "no effusion, left clear"
            if any(self._is_other(token, placed=placed) for token in other.words):
                # "right lung scarred, left clear"
                return None if denies and not refers and self._has_noun(other) else other
            if not refers and self._has_noun(other):
                return None
        return None

    def _is_other(self, token: Token, *, placed: bool = True) -> bool:
        """Return whether a word is not of the grammar; without a place beside it, it names a known thing."""
        found = token.found.lower()
        if found in self._terms:
            return token.foreign or found in self._others
        return placed and (token.foreign or token.word is None)

    def _refers(self, token: Token) -> bool:
        """Return whether a word stands for what was named before: "none"."""
        return token.found.lower().partition(" ")[0] in self._pronouns

    def _names_place(self, clause: Clause) -> bool:
        return any(token.word in self._places for token in clause.words)

    def _has_noun(self, clause: Clause) -> bool:
        return any(token.word in self._nouns for token in clause.words)

    def _has_lesion(self, clause: Clause) -> bool:
        return any(token.word in self._objects and not self._refers(token) for token in clause.words)

    def _denies(self, clause: Clause) -> bool:
        return any(token.word in self._negations for token in clause.words)
