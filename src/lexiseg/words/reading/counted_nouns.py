"""Nouns for lesions that the number of a report may not count: "one polyp and a lesion"."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.words.grammar import CountRule, Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.statements import negated_places

#: Words before a lesion that the report has named.
_DEFINITE = frozenset(("the", "this", "that"))

#: Words before a place.
_PLACES = frozenset(("in", "at", "on"))

#: Words after a noun that say which one is meant: "the polyp in the lower left".
_CHOOSES = _PLACES | {"of", "with", "by", "from"}


def other_nouns(
    rule: CountRule, tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon, *, counted: Sequence[Token]
) -> list[Token]:
    """Return the nouns that may stand for lesions beside the counted ones.

    Not returned are negated nouns, and nouns that speak of the counted lesion or of a place: "one polyp
    area", "one area of opacity", "one polyp. The polyp is red", "one lesion in the upper left region".

    Args:
        rule: The rule of the factor that counts.
        tokens: The words of the sentence, or of a clause of it.
        grammar: The grammar of the rule.
        lexicon: Its words.
        counted: The words from the number to its noun.
    """
    negated = negated_places(tokens, grammar, lexicon)
    found: list[Token] = []
    for place, token in enumerate(tokens):
        if token.word not in rule.nouns or place in negated or any(token is one for one in counted):
            continue
        same = (
            _is_part_of_phrase(rule, tokens, place, lexicon)
            or _is_named_again(tokens, place, lexicon, counted)
            or _is_place(tokens, place, lexicon)
        )
        if not same:
            found.append(token)
    return found


def _is_singular(token: Token) -> bool:
    """Return whether a noun is written as itself, not as a plural or another word."""
    return (token.meant or token.found).lower() == token.word


def _is_part_of_phrase(rule: CountRule, tokens: Sequence[Token], place: int, lexicon: Lexicon) -> bool:
    """Return whether a noun goes on with the noun before it: "polyp area", "area of opacity".

    Signs such as "(" are no words, so "polyp lesions" goes on only if the vocabulary has these two words.
    """
    gap: list[Token] = []
    for token in reversed(tokens[:place]):
        if token.word in rule.nouns:
            gap.reverse()
            if not gap:
                pair = (token.word, tokens[place].word)
                return _is_singular(tokens[place]) or pair in lexicon.compounds
            return gap[0].word == "of" and all(t.word in lexicon.fillers - {"and"} for t in gap)
        if token.ends_clause:
            return False
        gap.append(token)
    return False


def _is_named_again(tokens: Sequence[Token], place: int, lexicon: Lexicon, counted: Sequence[Token]) -> bool:
    """Return whether a noun is the counted one with "the" and no other adjective: "the polyp is red"."""
    noun = tokens[place]
    if not counted or noun.word != counted[-1].word or not _is_singular(noun):
        return False
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if following is not None and following.word in _CHOOSES:
        return False
    known = {token.word for token in counted}
    for token in reversed(tokens[:place]):
        if token.word in _DEFINITE:
            return True
        if token.cue is not None or token.word not in lexicon.fillers | known:
            return False
    return False


def _is_place(tokens: Sequence[Token], place: int, lexicon: Lexicon) -> bool:
    """Return whether a noun ends a place: "in the upper left region"."""
    named = False
    for token in reversed(tokens[:place]):
        if token.word in _PLACES:
            return named
        if token.ends_clause or token.cue is not None or token.word is None or token.word in lexicon.nouns:
            return False
        named |= token.word not in lexicon.fillers
    return False
