"""Ends of clauses that no punctuation mark shows: "..., but the right lung is infected"."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token

#: Longer words before a full stop are no abbreviations.
LONGEST_ABBREVIATION = 4

_JOINS = frozenset(("and", "or", "nor"))


class ClauseBoundaries:
    """Sets the ends of clauses.

    Args:
        grammar: The grammar.
        lexicon: Its words.
    """

    def __init__(self, grammar: Grammar, lexicon: Lexicon) -> None:
        self._fillers = lexicon.fillers - lexicon.nouns - lexicon.places
        self._others = frozenset(grammar.others)
        self._breaks = frozenset(grammar.breaks)
        self._negations = frozenset(grammar.negations)
        self._lesions = frozenset((*grammar.lesions, *grammar.states))
        self._denials = self._negations - set(lexicon.language.clean)

    def set(self, tokens: Sequence[Token]) -> list[Token]:
        """Return the tokens of a sentence with all ends of clauses."""
        tokens = _without_abbreviation_stops(tokens)
        if not any(token.cue == "scope" or token.word in self._denials for token in tokens):
            return list(tokens)
        ended: list[Token] = []
        for place, token in enumerate(tokens):
            rest = list(takewhile(lambda other: not other.ends_clause, tokens[place + 1 :]))
            contrast = self._contrast(token, rest, begins=not ended or ended[-1].ends_clause)
            if self._speaks_of_others(token, rest) and self._states(ended):
                ended.append(Token(found="", word=",", piece=token.piece))
            ended += [token] if contrast is None else contrast
        return ended

    def _states(self, tokens: Sequence[Token]) -> bool:
        """Return whether the last clause has a word with a meaning: "pleura: no effusion" is one clause."""
        clause = takewhile(lambda token: not token.ends_clause, reversed(tokens))
        return any(token.word is not None and token.word not in self._fillers for token in clause)

    def _contrast(self, token: Token, rest: Sequence[Token], *, begins: bool) -> list[Token] | None:
        """Return the end of a clause that "but the" and "but not" stand for; None if they are no contrast.

        After a comma, "but the" joins two statements: ", but the right lung is infected". Without one it may
        name an exception ("all but the left lung is infected").
        """
        first, *others = token.found.lower().split() or [""]
        if token.cue != "scope" or first not in self._breaks or len(others) != 1:
            return None
        end = Token(found=first, word=",", piece=token.piece)
        if others[0] in self._negations:
            return [end, Token(found=token.found, word=others[0], piece=token.piece)]
        states = any(other.word in self._lesions | self._negations for other in rest)
        return [end] if begins and states else None

    def _speaks_of_others(self, token: Token, rest: Sequence[Token]) -> bool:
        """Return whether only things that are not described are denied from here on: "and no effusion"."""
        words = list(rest)
        if token.word == "and" and words:
            token, *words = words
        if token.word not in self._denials:
            return False
        other = [word.found.lower() in self._others for word in words]
        skipped = self._fillers | _JOINS | self._denials
        known = (is_other or word.word in skipped for word, is_other in zip(words, other, strict=True))
        return any(other) and all(known)


def _without_abbreviation_stops(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens without full stops that may end an abbreviation: "ant. lung clear".

    Such a full stop stands between a short word that cannot be read and a word without a capital letter.
    """
    kept: list[Token] = []
    for place, token in enumerate(tokens):
        following = tokens[place + 1].found if place + 1 < len(tokens) else ""
        short = bool(kept) and kept[-1].word is None and len(kept[-1].found) <= LONGEST_ABBREVIATION
        if not (token.found == "." and short and following[:1].islower()):
            kept.append(token)
    return kept
