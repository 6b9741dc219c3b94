"""How far a negation reaches within a clause: "left lung clear and right lung infected"."""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import dropwhile, takewhile

from lexiseg.words.grammar import Grammar
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.mention import Mention
from lexiseg.words.reading.statements import FREE_OF

#: Words that join two nouns which one negation holds for: "no area of infection", "no opacity or infection".
_JOINS_NOUNS = frozenset(("of", "or", "nor", "and"))


#: Words between two statements of one clause.
_JOINS_STATEMENTS = frozenset(("and", "with"))

_OPEN = "leaves open what is negated"


class NegationScope:
    """Finds the words for lesions that a negation beside them may not hold for.

    Args:
        grammar: The grammar.
        lexicon: Its words.
        regions: Words that name one region ("left").
    """

    def __init__(self, grammar: Grammar, lexicon: Lexicon, *, regions: Set[str]) -> None:
        self._negations = frozenset(grammar.negations)
        self._clean = self._negations & set(lexicon.language.clean)
        self._states = frozenset(grammar.states)
        self._fillers = lexicon.fillers
        self._objects = self._states | frozenset(grammar.lesions)
        self._regions = regions
        self._nouns = lexicon.nouns - self._objects

    def ends_before(self, tokens: Sequence[Token], following: Sequence[Token]) -> bool:
        """Return whether a statement about a region ends before "and".

        It does in "left normal and ...", "left infected and ..." and "no lesion on the left and opacity on
        the right", not in "no lesion in left and right lung".

        Args:
            tokens: The words before "and".
            following: The words after it.
        """
        words = self._after_region(tokens)
        if self.infected(tokens) or any(word in self._negations for word in words):
            return True
        if not any(token.word in self._negations for token in tokens):
            return False
        before_region = takewhile(lambda token: token.word not in self._regions, following)
        return any(token.word in self._objects for token in before_region)

    def infected(self, tokens: Sequence[Token]) -> bool:
        """Return whether words for a lesion stand behind a region: "left infected"."""
        return any(word in self._objects for word in self._after_region(tokens))

    def _after_region(self, tokens: Sequence[Token]) -> list[str | None]:
        """Return the words after the first region."""
        return [token.word for token in dropwhile(lambda token: token.word not in self._regions, tokens)]

    def limit(self, mentions: Sequence[Mention], tokens: Sequence[Token]) -> None:
        """Mark the mentions of a clause for which it is open whether a negation holds.

        Args:
            mentions: The mentions.
            tokens: The words of the clause.
        """
        end = -1
        denies = any(token.word in self._negations for token in tokens)
        for place, mention in enumerate(mentions):
            if self._stands_between_lesions(mention, tokens):
                mention.unclear = _OPEN
            if not (denies or mention.within_negation):
                continue
            if self._denied_after_lesion(mentions, place, tokens) or self._calls_lesion_clean(
                mentions, place
            ):
                mention.unclear = _OPEN
            if self._denies_after_lesion(mention, tokens):
                mention.unclear = _OPEN
            if mention.negated:
                end = mention.tokens[-1].piece
            rest = takewhile(
                lambda token: token.word not in self._negations,
                (token for token in tokens if token.piece > end),
            )
            affirmed = mention.within_negation or mention.negated
            affirmed = affirmed and any(token.word in self._objects for token in rest)
            mention.affirmed = affirmed and not mention.negated
            others = [other for other in mentions[place + 1 :] if other.regions]
            if mention.affirmed and not others and self._only_clean(mentions[:place], tokens):
                # "left lung clear and upper right lung infected"
                mention.within_negation = False
            # "No lesion in left and right lung is infected" may deny a lesion of one lung only.
            several = len(mention.regions) > 1 and (affirmed or self._ends_with_lesion(mention.tokens))
            stands_between = self._stands_between(mention.tokens)
            remains = self._says_remaining(mention.tokens) or self._region_follows(mention.tokens)
            unsure = several or stands_between or remains or self._has_open_object(mention.tokens)
            unsure = unsure or self.contradicts(mention, mentions[:place])
            if mention.negated and unsure:
                mention.unclear = _OPEN

    def _denied_after_lesion(self, mentions: Sequence[Mention], place: int, tokens: Sequence[Token]) -> bool:
        """Return whether a lesion may lie in a denied region: "opacity right and left lung clear"."""
        mention = mentions[place]
        following = mentions[place + 1] if place + 1 < len(mentions) else None
        denied = mention.negated or (
            following is not None and following.negated and not (following.regions or following.terms)
        )
        if not denied or len(mention.regions) < 2:
            return False
        start = mention.tokens[0].piece
        negated = {t.piece for other in mentions[:place] if other.negated for t in other.tokens}
        before = (token for token in tokens if token.piece < start and token.piece not in negated)
        return any(token.word in self._objects for token in before)

    def _only_clean(self, before: Sequence[Mention], tokens: Sequence[Token]) -> bool:
        """Return whether only words such as "clear" deny in a clause, and each of them a mention before."""
        negations = [token for token in tokens if token.word in self._negations]
        pieces = {token.piece for mention in before for token in mention.tokens}
        return bool(negations) and all(t.word in self._clean and t.piece in pieces for t in negations)

    def _denies_after_lesion(self, mention: Mention, tokens: Sequence[Token]) -> bool:
        """Return whether a denial after "and" may name no region: "left lung infected and no opacity"."""
        places = (place for place, token in enumerate(tokens) if token.word in self._negations)
        first = next(places, 0)
        if not first or tokens[first - 1].word not in _JOINS_STATEMENTS:
            return False
        piece = tokens[first].piece
        own = any(token.piece == piece for token in mention.tokens)
        region_after = any(t.word in self._regions and t.piece > piece for t in mention.tokens)
        return own and not region_after and any(t.word in self._objects for t in tokens[:first])

    def _stands_between_lesions(self, mention: Mention, tokens: Sequence[Token]) -> bool:
        """Return whether two regions may be of two statements: "opacity left and right lung infected"."""
        words = {token.word for token in mention.tokens}
        if mention.negated or len(mention.regions) < 2 or "and" not in words:
            return False
        start, end = mention.tokens[0].piece, mention.tokens[-1].piece
        lesions = [token.piece for token in tokens if token.word in self._objects]
        return any(piece < start for piece in lesions) and any(piece > end for piece in lesions)

    def _calls_lesion_clean(self, mentions: Sequence[Mention], place: int) -> bool:
        """Return whether "clear" may speak of the lesion: "the infection in the left lung is clear"."""
        if not 0 < place < len(mentions) - 1 or not mentions[place].regions:
            return False
        lesion, following = mentions[place - 1], mentions[place + 1]
        alone = not (lesion.regions or lesion.terms or lesion.negated)
        clean = any(token.word in self._clean for token in following.tokens)
        clean = clean and following.negated and not (following.regions or following.terms)
        return alone and clean and any(token.word in self._objects for token in lesion.tokens)

    def _region_follows(self, tokens: Sequence[Token]) -> bool:
        """Return whether a region after "and" may begin a statement: "no opacity and left lung infected"."""
        denied = False
        joined = False
        for token in tokens:
            if token.word in self._regions and joined:
                return True
            if token.word in _JOINS_STATEMENTS:
                joined = denied
            elif token.word not in self._fillers or token.word in FREE_OF | {"in"}:
                joined = False
                denied = token.word in self._objects
        return False

    def contradicts(self, mention: Mention, earlier: Sequence[Mention]) -> bool:
        """Return whether a region that is called infected is denied after it: "infected left lung is clear".

        In "right lung infected (left lung clear)" an earlier region is.
        """
        if any(other.regions for other in earlier):
            return False
        words = [token.word for token in mention.tokens]
        named = self._regions | self._nouns
        region = next((place for place, word in enumerate(words) if word in named), 0)
        before, after = set(words[:region]), set(words[region:])
        infected = bool(before & self._states) and not before & self._objects - self._states
        return infected and not before & self._negations and bool(after & self._negations)

    def names_denied(self, tokens: Sequence[Token]) -> bool:
        """Return whether a mention names what its negation denies.

        In "infected and left lung not seen" another statement ends before "and".
        """
        words = [token.word for token in tokens]
        negation = next((place for place, word in enumerate(words) if word in self._negations), 0)
        joins = (place for place in range(negation) if words[place] in _JOINS_STATEMENTS)
        return any(word in self._objects for word in words[max(joins, default=0) :])

    def _says_remaining(self, tokens: Sequence[Token]) -> bool:
        """Return whether "left" may mean what remains: "no lesion left in the right lung"."""
        words = [token.word for token in tokens]
        return any(
            before in self._objects and word in self._regions and after == "in"
            for before, word, after in zip(words, words[1:], words[2:], strict=False)
        )

    def _ends_with_lesion(self, tokens: Sequence[Token]) -> bool:
        """Return whether a second lesion follows the last region: "no lesion left and right opacity"."""
        words = [token.word for token in tokens]
        places = [place for place, word in enumerate(words) if word in self._regions]
        if not places or not any(word in self._objects for word in words[: places[0]]):
            return False
        behind = takewhile(lambda word: word not in self._negations, words[places[-1] :])
        return any(word in self._objects for word in behind)

    def _stands_between(self, tokens: Sequence[Token]) -> bool:
        """Return whether negations stand between two regions: "right and no lesion in left lung"."""
        kinds = [
            "region" if token.word in self._regions else "negation"
            for token in tokens
            if token.word in self._regions | self._negations
        ]
        return "negation" in kinds and kinds[0] == kinds[-1] == "region"

    def _has_open_object(self, tokens: Sequence[Token]) -> bool:
        """Return whether a negation in a mention may not hold for a lesion after it.

        It may not in "clear with opacity in the right lung" and "no lesion with opacity in the right lung".
        Signs such as "(" and ":" are no words, so it may not in "clear opacity" and "no lesion opacity".
        """
        negation: str | None = None
        denied = ""
        before = False
        gap: list[str | None] = []
        for token in tokens:
            if token.word in self._negations:
                negation, denied, gap = token.word, "", []
            elif token.heads:
                continue  # "no infection area": one thing, which the word before names
            elif token.word not in self._objects:
                gap.append(token.word)
            elif negation is None:
                before = True
            else:
                # "infection absent on the left opacity on the right"
                other_region = before and bool(self._regions & set(gap))
                if other_region or not self._holds_for(negation, denied, gap):
                    return True
                denied, gap = token.word or "", []
        return False

    def _holds_for(self, negation: str, denied: str, gap: Sequence[str | None]) -> bool:
        """Return whether a negation holds for a word for a lesion.

        Args:
            negation: The negation.
            denied: The last word for a lesion that it holds for; empty if there is none.
            gap: The words since then, or since the negation.
        """
        if "with" in gap:
            return False
        if denied:
            return denied in self._states or bool(_JOINS_NOUNS & set(gap))
        return negation not in self._clean or bool(gap and gap[0] in FREE_OF)
