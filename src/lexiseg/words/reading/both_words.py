"""What "both" speaks of: every region, or parts of one region, or lesions."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Literal

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token

#: What "both" speaks of: every region, a part of one or lesions ("part"), or either ("open").
Reach = Literal["every", "part", "open"]


class BothWords:
    """Finds what "both", and each word like it, speaks of.

    Args:
        grammar: The grammar; its `every_region` are these words.
        lexicon: Its words.
        regions: Words that name one region ("left").
        nouns: Nouns of the regions ("lung").
    """

    def __init__(self, grammar: Grammar, lexicon: Lexicon, *, regions: Set[str], nouns: Set[str]) -> None:
        self._words = frozenset(grammar.every_region)
        self._fillers = lexicon.fillers - {"and"}
        self._regions = regions
        self._nouns = nouns
        self._owners = regions | nouns | frozenset(grammar.lesions)

    def find(self, tokens: Sequence[Token], *, counted: bool, narrowed: bool) -> dict[int, Reach]:
        """Return what each of these words speaks of, by its place in a clause.

        Args:
            tokens: The words of the clause.
            counted: Whether the clause before it speaks of lesions, which "both" may count.
            narrowed: Whether the clause before it ends with a region without parts, whose parts may follow.
        """
        reaches: dict[int, Reach] = {}
        for place, token in enumerate(tokens):
            # A word such as "bibasal", which is read as "lower both", speaks of both lungs by itself.
            alone = sum(other.piece == token.piece for other in tokens) == 1
            if token.word not in self._words or not alone:
                continue
            before, after = [t.word for t in tokens[:place]], [t.word for t in tokens[place + 1 :]]
            begins = all(word in self._fillers or word == "and" for word in before)
            reaches[place] = self._reach(
                before, after, counted=begins and counted, narrowed=begins and narrowed
            )
        return reaches

    def _reach(
        self, before: Sequence[str | None], after: Sequence[str | None], *, counted: bool, narrowed: bool
    ) -> Reach:
        """Return what "both" speaks of.

        It speaks of both lungs if they are the next thing it can belong to: "both lower lungs". It does not
        in "both in the left lung", "both upper left lung and lower right lung", "both areas" and "both zones
        of the right lung". It is open in "right lung, both lower zones" and in "both the upper zone and the
        lower zone of the right lung".

        Args:
            before: The words of its clause before it.
            after: The words after it.
            counted: Whether it may count the lesions of the clause before: "two lesions, both lower".
            narrowed: Whether it may count parts of the region before: "right lung, both lower zones".
        """
        owner = next((place for place, word in enumerate(after) if word in self._owners), None)
        if owner is None and (counted or narrowed):
            return "part"
        if owner is not None:
            if after[owner] not in self._nouns or "in" in after[:owner]:
                return "part"
            following = after[owner + 1 :]
            if next((word for word in following if word not in self._fillers), None) in self._regions:
                return "part"
            if self._leads_to_region(following):
                return "open"
        last = max((place for place, word in enumerate(before) if word in self._regions), default=None)
        return "open" if narrowed or (last is not None and "and" not in before[last:]) else "every"

    def _leads_to_region(self, words: Sequence[str | None]) -> bool:
        """Return whether the words after "both zones" may name the region of these zones.

        They do in "both zones opaque in the right lung" and in "both zones and the middle zone of the right
        lung", not in "both lower lungs and the right middle lung".
        """
        place = next((place for place, word in enumerate(words) if word in self._regions), None)
        between = words[:place]
        return place is not None and ("and" not in between or any(word in self._nouns for word in between))
