"""Lists of the parts of a region: "right upper, middle and lower lobe"."""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import takewhile
from typing import Literal

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.mention import Mention

#: Words that join terms to the region after them.
OF = frozenset(("of", "in"))

_AT = OF | {"on", "at"}
_OPEN = "leaves open which part lies in which region"

#: Whether parts lie in a region that is named after them: no, yes, or it is open.
Claim = Literal["none", "later", "open"]


class PartLists:
    """Joins the parts of a list to their region.

    Args:
        grammar: The grammar.
        lexicon: Its words.
        places: Words for regions, their parts and their nouns.
        regions: Those that name one region ("left").
        terms: Those that name a part ("lower").
    """

    def __init__(
        self,
        grammar: Grammar,
        lexicon: Lexicon,
        *,
        places: Set[str],
        regions: Set[str],
        terms: Set[str],
    ) -> None:
        self._fillers = lexicon.fillers
        self._nouns = lexicon.nouns
        self._places = places | lexicon.fillers | {"and"}
        self._regions = regions
        self._terms = terms
        self._negations = frozenset(grammar.negations)
        self._clean = self._negations & set(lexicon.language.clean)
        self._lesions = frozenset(grammar.lesions)
        self._objects = frozenset((*grammar.lesions, *grammar.states))

    def only_places(self, tokens: Sequence[Token]) -> bool:
        """Return whether words name places and nothing else: "left lower lung"."""
        return all(token.word in self._places and token.word not in self._objects for token in tokens)

    def ends_before(self, tokens: Sequence[Token]) -> bool:
        """Return whether parts at the start of a mention may lie elsewhere: "lower with right lung"."""
        words = [token.word for token in tokens]
        last = max((place for place, word in enumerate(words) if word in self._terms), default=len(words))
        return "with" in words[last:]

    def join(self, mentions: Sequence[Mention], tokens: Sequence[Token]) -> list[Mention]:
        """Join the parts of a list to the region at its start: "right upper, middle and lower lobe".

        Parts that may lie in a region named after them make the mention unclear.

        Args:
            mentions: The mentions of all clauses.
            tokens: The words of the sentence.
        """
        kept: list[Mention] = []
        for place, mention in enumerate(mentions):
            before = kept[-1] if kept else None
            following = [other for other in mentions[place + 1 :] if _has_meaning(other)]
            if before is not None and not mention.regions and not mention.unclear:
                between = _between(before, mention, tokens)
                if self._goes_on(before, between, mention):
                    self._add(before, mention, following, tokens)
                    continue
                if before.joined and mention.negated and not (mention.terms or between):
                    # "right upper and middle lobe are clear"
                    before.deny(mention)
                    continue
                if self._takes_denial(before, between, mention):
                    before.unclear = before.unclear or "leaves open what is negated"
            if not mention.negated and self._open_list(mention, following, tokens):
                mention.unclear = _OPEN
            if before is not None and self._continues_list(before, mention, tokens):
                mention.unclear = mention.unclear or _OPEN
            kept.append(mention)
        return kept

    def _takes_denial(self, before: Mention, between: Sequence[Token], mention: Mention) -> bool:
        """Return whether a denial before parts may hold for those before it.

        It may in "right upper zone clear middle zone infected", not in "right upper zone, no middle zone".
        """
        words = (token.word for token in mention.tokens if token.word not in self._fillers)
        first = next(words, None)
        return bool(before.regions and mention.terms) and first in self._clean and not between

    def _open_list(self, mention: Mention, following: Sequence[Mention], tokens: Sequence[Token]) -> bool:
        """Return whether a part of a mention may lie elsewhere: "left lower and upper lobe on the right"."""
        if not mention.listed:
            single = bool(mention.terms) and len(mention.regions) == 1
            return single and self._shared(mention, following, tokens)
        claim = self._claim(mention.regions, mention, following, tokens)
        return claim != "none" or _names_other(mention.tokens)

    def _shared(self, mention: Mention, following: Sequence[Mention], tokens: Sequence[Token]) -> bool:
        """Return whether a region without parts may claim those before it: "left lung: lower zone right".

        It does not in "left lung: lower zone, right lung infected".
        """
        if self._followed_by_other(mention, tokens, listed=False):
            return True
        region = following[0] if following else None
        if region is None or region.terms or not set(region.regions) - set(mention.regions):
            return False
        if region.tokens[0].word in OF:
            return True
        gap = _between(mention, region, tokens)
        apart = any(token.ends_clause or token.word == "and" for token in (*gap, region.tokens[0]))
        if apart and not mention.parted:
            # "left lower zone, right"
            return False
        if any(token.ends_clause for token in gap):
            ended = any(token.ends_statement for token in gap)
            return not (ended or region.noun or self._stands_alone(region, gap, tokens))
        denied = region.negated or (len(following) > 1 and self._denies_alone(following[1]))
        infected = any(token.word in self._objects for token in _rest(region, tokens))
        return not (region.noun and (apart or denied or infected))

    def _continues_list(self, before: Mention, mention: Mention, tokens: Sequence[Token]) -> bool:
        """Return whether the first parts of a mention may go on with the list before it.

        They may in "left lung upper, middle and lower right lung" and "left lung upper, lower right clear",
        not in "left upper lobe, middle and lower right lobe" and "left upper, lower right".
        """
        if len(before.regions) != 1 or not (before.region_first and before.terms) or before.negated:
            return False
        if not mention.terms or mention.region_first or not set(mention.regions) - set(before.regions):
            return False
        closed = before.tokens[-1].word not in self._terms
        comma = all(t.found == "," or t.word in self._fillers for t in _between(before, mention, tokens))
        listed = any(token.word == "and" for token in mention.tokens)
        return comma and not closed and (listed or mention.negated)

    def _goes_on(self, before: Mention, between: Sequence[Token], mention: Mention) -> bool:
        """Return whether a mention of parts goes on with one region.

        It does in "right upper lobe and middle lobe", "right lung, lower zone" and "right lung: opacity in
        the lower zone".
        """
        starts = len(before.regions) == 1 and before.plain and (before.region_first or not before.terms)
        parts = bool(mention.terms) and mention.plain and self.only_places(mention.tokens)
        allowed = self._fillers if before.terms else self._fillers - {"and"}
        if not before.terms and not any(token.ends_clause for token in between):
            allowed |= self._lesions
        return starts and parts and all(t.found == "," or t.word in allowed for t in between)

    def _add(
        self, before: Mention, parts: Mention, following: Sequence[Mention], tokens: Sequence[Token]
    ) -> None:
        """Add parts to the region before them, or to the region after them if they certainly lie there."""
        claim = self._claim(before.regions, parts, following, tokens)
        # In "left lower, upper and middle zone on the right" more than one part may lie in the right lung.
        one = before.noun and before.terms and not (before.joined or before.listed)
        if claim == "later" and one and all(token.word != "and" for token in parts.tokens):
            following[0].tokens[:0], following[0].terms[:0] = parts.tokens, parts.terms
            following[0].region_first = False
            return
        other = bool(following) and bool(set(following[0].regions) - set(before.regions))
        if claim == "none" and other and self._list_is_open(parts, following[0], tokens):
            claim = "open"
        if claim != "none" or _names_other([*_between(before, parts, tokens), *parts.tokens]):
            before.unclear = _OPEN
        before.add_terms(parts)
        before.joined = True

    def _claim(
        self, owner: Sequence[str], parts: Mention, following: Sequence[Mention], tokens: Sequence[Token]
    ) -> Claim:
        """Return whether parts lie in another region that is named after them.

        Args:
            owner: Names of the factors of the region before them.
            parts: The mention of the parts.
            following: The mentions after it.
            tokens: The words of the sentence.
        """
        if self._followed_by_other(parts, tokens):
            return "open"
        region = following[0] if following else None
        if region is None or not set(region.regions) - set(owner):
            return "none"
        gap = _between(parts, region, tokens)
        if region.terms:
            # "left lower lobe, middle lobe and upper lobe of the right lung"
            return self._claim_of_parts(region, gap)
        if any(token.ends_clause for token in gap):
            return "none" if self._stands_alone(region, gap, tokens) else "open"
        if any(token.word == "and" for token in (*gap, region.tokens[0])):
            return "none" if region.noun else "open"
        denied = len(following) > 1 and self._denies_alone(following[1])
        lesions_only = all(token.word in self._objects for token in gap)
        return "later" if lesions_only and not denied and self.is_bare(region) else "open"

    def _list_is_open(self, parts: Mention, region: Mention, tokens: Sequence[Token]) -> bool:
        """Return whether a list without nouns may end with another region: "mid, inferior right lobe"."""
        if parts.noun or region.region_first or not region.terms:
            return False
        gap = _between(parts, region, tokens)
        joined = all(token.found == "," or token.word in self._places for token in gap)
        return joined and all(token.word != "and" for token in parts.tokens)

    def _claim_of_parts(self, region: Mention, gap: Sequence[Token]) -> Claim:
        """Return whether the parts before a region with parts of its own may lie in it.

        They may in "left lower lobe, middle lobe and upper lobe of the right lung" and, without a sign, in
        "left lower lobe and upper lobe right middle lobe".
        """
        if any(token.ends_statement for token in gap):
            return "none"
        joined = any(token.ends_clause or token.word == "and" for token in (*gap, region.tokens[0]))
        return "none" if joined and not self._named_after(region) else "open"

    def is_bare(self, region: Mention) -> bool:
        """Return whether a mention is one region after a preposition and nothing else: "on the right"."""
        return (
            region.tokens[0].word in _AT
            and region.plain
            and len(region.regions) == 1
            and self.only_places(region.tokens)
            and not any(token.cue for token in region.tokens)
        )

    def _denies_alone(self, mention: Mention) -> bool:
        """Return whether a mention is a negation of what stands before it: "..., clear"."""
        words = {token.word for token in mention.tokens}
        return mention.negated and not (mention.regions or mention.terms or words & self._objects)

    def _stands_alone(self, region: Mention, gap: Sequence[Token], tokens: Sequence[Token]) -> bool:
        """Return whether a region after a sign begins a statement that says nothing about the parts before.

        It does in "..., right lung clear", "..., no lesion on the right" and ". Opacity on the right", not in
        "..., right" and "..., right clear".
        """
        start = max(place for place, token in enumerate(gap) if token.ends_clause)
        words = [token.word for token in (*gap[start + 1 :], *region.tokens, *_rest(region, tokens))]
        first = next((place for place, word in enumerate(words) if word in self._regions), 0)
        if any(word in self._negations for word in words[:first]):
            return True
        apart = region.noun or any(token.ends_statement for token in gap)
        return apart and (region.negated or any(word in self._objects for word in words))

    def _followed_by_other(self, parts: Mention, tokens: Sequence[Token], *, listed: bool = True) -> bool:
        """Return whether the words after parts may name another region in words for the other side.

        They may in "upper zone of the other lung" and in "upper zone, contralateral", not in "upper zone and
        no lesion elsewhere". Without a list, a word that cannot be read stands for the other side only in
        "upper zone, the contralateral lung".
        """
        after = [token for token in tokens if token.piece > parts.tokens[-1].piece]
        ends = self._negations | {"and", ","}
        rest = list(takewhile(lambda token: token.word not in ends, after))
        if _names_other(rest) if listed else any(token.cue == "elsewhere" for token in rest):
            return True
        if rest == after or not after[len(rest)].ends_clause:
            return False
        clause = list(takewhile(lambda token: not token.ends_clause, after[len(rest) + 1 :]))
        known = [token for token in clause if token.word is not None]
        named = listed or any(t.cue == "elsewhere" or t.word in self._nouns for t in known)
        own = any(token.word in self._regions for token in known)
        return named and not own and _names_other(clause) and self.only_places(known)

    def _named_after(self, mention: Mention) -> bool:
        """Return whether the region stands after its parts, with "of": "upper lobe of the right lung"."""
        words = [token.word for token in mention.tokens]
        first = next((place for place, word in enumerate(words) if word in self._regions), len(words))
        return not mention.region_first and any(word in _AT for word in words[1:first])


def _has_meaning(mention: Mention) -> bool:
    """Return whether a mention says more than its noun."""
    return bool(mention.regions or mention.terms or mention.negated)


def _names_other(tokens: Sequence[Token]) -> bool:
    """Return whether words may stand for the other side: "other", or a word that cannot be read."""
    return any(token.cue == "elsewhere" or token.word is None for token in tokens)


def _between(before: Mention, mention: Mention, tokens: Sequence[Token]) -> list[Token]:
    """Return the words of a sentence between two mentions."""
    start, end = before.tokens[-1].piece, mention.tokens[0].piece
    return [token for token in tokens if start < token.piece < end]


def _rest(mention: Mention, tokens: Sequence[Token]) -> list[Token]:
    """Return the words of its clause after a mention."""
    after = (token for token in tokens if token.piece > mention.tokens[-1].piece)
    return list(takewhile(lambda token: not token.ends_clause, after))
