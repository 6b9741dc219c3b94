"""Nouns for lesions that the number of a report may not count: "one polyp and a lesion"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lexiseg.words.grammar import CountRule, Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.statements import is_number, negated_places


def other_nouns(
    rule: CountRule,
    tokens: Sequence[Token],
    grammar: Grammar,
    lexicon: Lexicon,
    *,
    counted: Sequence[Token],
    said: Sequence[Token],
) -> list[Token]:
    """Return the nouns that may stand for lesions beside the counted ones.

    Not returned are negated nouns, and nouns that speak of the counted lesion or of a place: "one polyp
    area", "one area of opacity", "one area with opacity", "one polyp. The polyp is red", "one polyp. It is a
    red polyp", "one polyp. Polyp size: small", "one lesion in the upper left region".

    Args:
        rule: The rule of the factor that counts.
        tokens: The words of the sentence, or of a clause of it.
        grammar: The grammar of the rule.
        lexicon: Its words.
        counted: The words from the number to its noun.
        said: The words of the sentence that state something for certain.
    """
    negated = negated_places(tokens, grammar, lexicon)
    denied = negated_places(said, grammar, lexicon)
    named = [t for place, t in enumerate(said) if t.word in lexicon.places and place not in denied]
    nouns = _Nouns(rule, tokens, lexicon, counted, named)
    return [
        token
        for place, token in enumerate(tokens)
        if token.word in rule.nouns
        and place not in negated
        and not any(token is one for one in counted)
        and not nouns.is_same(place)
    ]


def counts_another(
    rule: CountRule, tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon, *, counted: Sequence[Token]
) -> bool:
    """Return whether a clause may name a lesion beside the counted ones without its noun: "one on the right".

    Args:
        rule: The rule of the factor that counts.
        tokens: The words of the clause.
        grammar: The grammar of the rule.
        lexicon: Its words.
        counted: The words from the number to its noun.
    """
    regions = lexicon.places - lexicon.nouns
    placed = any(token.word in regions for token in tokens)
    named = any(token.word in rule.nouns for token in tokens) or any(
        token is one for token in tokens for one in counted
    )
    if not placed or named or any(token.word in grammar.negations for token in tokens):
        return False
    language = lexicon.language
    if any(
        (is_number(token, grammar) or token.found.lower() in language.another_one)
        and not _numbers_a_thing(tokens, place, grammar, regions)
        for place, token in enumerate(tokens)
    ):
        return True
    # "the other in the right lung", not "the other lung"
    words = [token.found.lower() for token in tokens]
    return any(one in language.other_one and at in language.in_places for one, at in pairwise(words))


def _numbers_a_thing(tokens: Sequence[Token], place: int, grammar: Grammar, regions: frozenset[str]) -> bool:
    """Return whether a number is that of another thing or of a part: "2 ribs", "third of", "lower third"."""
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    if after is not None and (after.foreign or after.word is None or after.found.lower() == "of"):
        return True
    return place > 0 and tokens[place - 1].word in regions and not is_number(tokens[place], grammar)


class _Nouns:
    """Tells nouns for the counted lesion from nouns for other lesions.

    Args:
        rule: The rule of the factor that counts.
        tokens: The words of the sentence, or of a clause of it.
        lexicon: The words of the grammar.
        counted: The words from the number to its noun.
        named: The words for places that the sentence states for certain.
    """

    def __init__(
        self,
        rule: CountRule,
        tokens: Sequence[Token],
        lexicon: Lexicon,
        counted: Sequence[Token],
        named: Sequence[Token],
    ) -> None:
        self._rule, self._tokens, self._lexicon = rule, tokens, lexicon
        self._counted, self._named = counted, named
        self._language = lexicon.language
        last = counted[-1] if counted else None
        #: Place of the counted noun; None in a clause without it.
        self._center = next((place for place, token in enumerate(tokens) if token is last), None)

    def is_same(self, place: int) -> bool:
        """Return whether a noun certainly speaks of the counted lesion or of a place."""
        if self._is_part_of_phrase(place) or self._is_place(place):
            return True
        if self._lexicon.is_plural(self._tokens[place]):
            return False
        if self._center is not None and self._noun_before(self._center) == place:
            return self._is_described(self._center) and not self._is_elsewhere(self._center)
        same = (
            self._is_named_again(place)
            or self._is_heading(place)
            or self._is_identified(place)
            or self._is_described(place)
        )
        return same and not self._is_elsewhere(place)

    def _start(self, place: int) -> int:
        """Return where the clause of a word starts."""
        while place and not self._tokens[place - 1].ends_clause:
            place -= 1
        return place

    def _noun_before(self, place: int) -> int | None:
        """Return the place of the noun before a noun in its clause."""
        before = range(self._start(place), place)
        return next(
            (other for other in reversed(before) if self._tokens[other].word in self._rule.nouns), None
        )

    def _is_new(self, token: Token) -> bool:
        """Return whether a word may bring another lesion: "and", "another", a word that is not read."""
        return (
            token.word in ("and", None)
            or token.found.lower() in self._language.additional
            or token.cue not in (None, "qualifier")
        )

    def _is_part_of_phrase(self, place: int) -> bool:
        """Return whether a noun goes on with the noun before it: "polyp area", "area of opacity".

        Signs such as "(" are no words, so "polyp lesions" goes on only if the vocabulary has these two words.
        """
        before = self._noun_before(place)
        if before is None:
            return False
        gap = self._tokens[before + 1 : place]
        if not gap:
            pair = (self._tokens[before].word, self._tokens[place].word)
            return not self._lexicon.is_plural(self._tokens[place]) or pair in self._lexicon.compounds
        return gap[0].word == "of" and all(t.word in self._lexicon.fillers - {"and"} for t in gap)

    def _is_place(self, place: int) -> bool:
        """Return whether a noun ends a place: "in the upper left region"."""
        named = False
        for token in reversed(self._tokens[:place]):
            found = token.found.lower()
            if found in self._language.in_places:
                return named
            if token.ends_clause or token.cue is not None or token.word is None:
                return False
            # "In the upper left with a lesion" goes on after the place.
            if token.word in self._lexicon.nouns or found in self._language.describes:
                return False
            named |= token.word not in self._lexicon.fillers
        return False

    def _is_named_again(self, place: int) -> bool:
        """Return whether a noun has "the" and no adjective but the counted one's: "the polyp is red"."""
        if not self._counted or self._is_chosen(place):
            return False
        known = {token.word for token in self._counted}
        for start in range(place - 1, -1, -1):
            token = self._tokens[start]
            if token.found.lower() in self._language.definite:
                same_word = self._tokens[place].word == self._counted[-1].word
                return same_word or self._may_be_renamed(start)
            if token.cue is not None or token.word not in self._lexicon.fillers | known:
                return False
        return False

    def _is_chosen(self, place: int) -> bool:
        """Return whether words after a noun say which of several is meant: "the polyp in the lower left".

        A place that the report has named before chooses nothing.
        """
        if place + 1 == len(self._tokens):
            return False
        found = self._tokens[place + 1].found.lower()
        if found in self._language.in_places:
            own, before = self._places_around(place)
            return not (own and own <= before)
        return found in self._language.chooses

    def _may_be_renamed(self, start: int) -> bool:
        """Return whether "the" may stand before another word for the counted lesion.

        "One polyp, to the left of the lesion" and "the polyp and the lesion" may speak of two lesions.

        Args:
            start: The place of "the".
        """
        clause = self._start(start)
        if self._center is not None and clause <= self._center < start:
            return False
        before = self._tokens[clause:start]
        if not before:
            return True
        if any(token.word in self._rule.nouns or self._is_new(token) for token in before):
            return False
        if before[-1].word in self._lexicon.places:
            return False
        prepositions = (*self._language.in_places, *self._language.chooses)
        if before[-1].found.lower() not in prepositions:
            return True
        return len(before) > 1 and before[-2].found.lower() in self._lexicon.properties

    def _is_heading(self, place: int) -> bool:
        """Return whether a noun stands before the name of a property: "polyp size: small"."""
        if place + 1 == len(self._tokens):
            return False
        if self._tokens[place + 1].found.lower() not in self._lexicon.properties:
            return False
        before = self._tokens[self._start(place) : place]
        return all(t.word in self._lexicon.fillers and not self._is_new(t) for t in before)

    def _is_identified(self, place: int) -> bool:
        """Return whether a noun stands after words such as "it is": "it is a small pink polyp"."""
        start = self._start(place)
        if self._center is not None and start <= self._center < place:
            start = self._center + 1
        if any(t.found.lower() in self._language.additional for t in self._tokens[start:place]):
            return False
        skipped = self._lexicon.fillers | self._lexicon.adjectives
        prepositions = (*self._language.in_places, *self._language.chooses)
        for end in range(place, start, -1):
            said = " ".join(token.found.lower() for token in self._tokens[start:end])
            if any(f" {said}".endswith(f" {words}") for words in self._language.same):
                return True
            token = self._tokens[end - 1]
            if self._is_new(token) or token.word not in skipped or token.found.lower() in prepositions:
                return False
        return False

    def _is_described(self, place: int) -> bool:
        """Return whether a noun describes the noun before it in its clause: "infected area with opacity"."""
        before = self._noun_before(place)
        if before is None or self._written(before) == self._written(place):
            return False
        gap = self._tokens[before + 1 : place]
        if any(self._is_new(token) for token in gap):
            return False
        for token in reversed(gap):
            if token.found.lower() in self._language.describes:
                return True
            if token.word not in self._lexicon.fillers and not any(token is one for one in self._counted):
                return False
        return False

    def _written(self, place: int) -> str:
        token = self._tokens[place]
        return (token.meant or token.found).lower()

    def _places_around(self, place: int) -> tuple[set[str | None], set[str | None]]:
        """Return the places in the clause of a noun, and those that the sentence names before.

        After the counted noun in one clause, only the words from the noun on are its own.
        """
        start = self._start(place)
        if self._center is not None and start <= self._center <= place:
            start = place
        own: set[str | None] = set()
        for token in self._tokens[start:]:
            if token.ends_clause:
                break
            own |= {token.word} & self._lexicon.places
        first = self._tokens[start].piece
        return own, {token.word for token in self._named if token.piece < first}

    def _is_elsewhere(self, place: int) -> bool:
        """Return whether a noun has another place than the words before it."""
        own, before = self._places_around(place)
        return bool(before) and not own <= before
