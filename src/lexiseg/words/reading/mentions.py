"""Mentions of regions in a sentence: "middle lower right lung", "no lesion in left lung"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lexiseg.words.grammar import Grammar, SubsetRule
from lexiseg.words.reading.lexicon import Lexicon, Token

#: Words that join terms to the region after them.
_OF = frozenset(("of", "in"))


@dataclass(kw_only=True)
class Mention:
    """Words around one noun.

    Attributes:
        tokens: The words.
        regions: Names of the factors whose region is named; every factor for "both lungs".
        terms: The terms named ("middle", "lower").
        noun: Whether it contains the noun ("lung").
        negated: Whether it states that there is no lesion.
        within_negation: Whether a negation before it may hold for it too: "no lesion in left lung and lower
            right lung" has two meanings, and so has "no lesion in left lung, lower right lung".
        region_first: Whether the region was named before the terms ("left lower lung").
    """

    tokens: list[Token] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    noun: bool = False
    negated: bool = False
    within_negation: bool = False
    region_first: bool = False

    @property
    def unread(self) -> list[Token]:
        """Its words that could not be read."""
        return [token for token in self.tokens if token.word is None]


class MentionScanner:
    """Divides sentences into mentions.

    Args:
        rules: The `subset` rules by factor name; all of them have the same nouns.
        grammar: The grammar of the rules.
        lexicon: Its words.
    """

    def __init__(self, rules: Mapping[str, SubsetRule], grammar: Grammar, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._negations = frozenset(grammar.negations)
        self._clean = self._negations & set(lexicon.language.clean)
        self._objects = frozenset((*grammar.lesions, *grammar.states))
        self._lesions = frozenset(grammar.lesions)
        self._regions = {word: [name] for name, rule in rules.items() for word in rule.region}
        self._single_regions = frozenset(self._regions)
        self._every_region = frozenset(grammar.every_region)
        self._regions |= {word: list(rules) for word in grammar.every_region}
        self._everywhere = [name for name, rule in rules.items() if not rule.region]
        self._nouns = {noun for rule in rules.values() for noun in rule.nouns}
        self._terms = set(grammar.expand)
        for rule in rules.values():
            self._terms.update(word for sets in rule.sets for entry in sets for word in entry)

    def scan(self, tokens: Sequence[Token]) -> list[Mention]:
        """Return the mentions of a sentence in order; other words are left out."""
        mentions: list[Mention] = []
        clause: list[Token] = []
        negated = counted = False
        for token in (*tokens, Token(found="", word=",", piece=-1)):
            if not token.ends_clause:
                clause.append(token)
                continue
            negated &= self._only_places(clause)
            found = self._scan_clause(clause, negated=negated, counted=counted)
            # A comma may continue a list; a full stop, and words such as "but", do not.
            listed = token.found == ","
            negated = listed and (negated or any(map(self._opens_negated_list, found)))
            counted = listed and any(t.word in self._lesions for t in clause)
            mentions += found
            clause = []
        return mentions

    def _only_places(self, clause: Sequence[Token]) -> bool:
        """Return whether a clause names places and nothing else: "left lower lung"."""
        words = self._regions.keys() | self._terms | self._nouns | self._lexicon.fillers | {"and"}
        return all(token.word in words and token.word not in self._objects for token in clause)

    def _opens_negated_list(self, mention: Mention) -> bool:
        """Return whether a negation stands before the region: "no lesion in right lung"."""
        words = [token.word for token in mention.tokens]
        first = next((place for place, word in enumerate(words) if word in self._regions), len(words))
        return first < len(words) and any(word in self._negations - self._clean for word in words[:first])

    def _counting_words(self, tokens: Sequence[Token], *, counted: bool) -> set[int]:
        """Return the places where "both" does not speak of both lungs.

        It does if the lungs are the next thing it can belong to: "both lower lungs". It does not in "both in
        the left lung", "both upper left lung and lower right lung" and "both areas". Where nothing follows,
        as in "two lesions, both lower", it may count the lesions before it.
        """
        places: set[int] = set()
        owners = self._single_regions | self._nouns | self._lesions
        for place, token in enumerate(tokens):
            # A word such as "bibasal", which is read as "lower both", speaks of both lungs by itself.
            alone = sum(other.piece == token.piece for other in tokens) == 1
            if token.word not in self._every_region or not alone:
                continue
            owner = next((t.word for t in tokens[place + 1 :] if t.word in owners), None)
            begins = all(t.word in self._lexicon.fillers for t in tokens[:place])
            if owner not in self._nouns if owner is not None else counted and begins:
                places.add(place)
        return places

    def _scan_clause(self, tokens: Sequence[Token], *, negated: bool, counted: bool) -> list[Mention]:
        """Return the mentions of a clause.

        Args:
            tokens: Its words.
            negated: Whether it may go on with a list that is negated.
            counted: Whether the clause before it speaks of lesions, which "both" may count.
        """
        done: list[Mention] = []
        current = Mention(within_negation=negated)
        counting = self._counting_words(tokens, counted=counted)

        def finish() -> None:
            nonlocal current
            if current.tokens:
                done.append(current)
            current = Mention(within_negation=negated or any(mention.negated for mention in done))

        for place, token in enumerate(tokens):
            if token.word == "and" and not current.tokens:
                # An empty mention separates what follows from the words before "and".
                done.append(Mention(tokens=[token]))
            elif token.word == "and" and current.regions and current.terms and not self._everywhere:
                finish()
            else:
                self._add(current, token, regions=place not in counting)
                # "no lesion in left lung": a negated noun does not end the mention.
                # "Infection is not seen in the left lung": nor does a noun before its negation.
                other_noun = (
                    token.word in self._lexicon.nouns
                    and not current.negated
                    and not self._negated_after(tokens[place + 1 :])
                )
                if token.word in self._nouns or other_noun:
                    finish()
        finish()
        return self._attach(done)

    def _negated_after(self, tokens: Sequence[Token]) -> bool:
        """Return whether the next word with a meaning is a negation."""
        following = (token.word for token in tokens if token.word not in self._lexicon.fillers)
        return next(following, None) in self._negations - self._clean

    def _add(self, mention: Mention, token: Token, *, regions: bool) -> None:
        word = token.word or ""
        mention.tokens.append(token)
        if word in self._negations:
            mention.negated = True
        if regions and word in self._regions:
            mention.region_first |= not mention.terms
            mention.regions += [name for name in self._regions[word] if name not in mention.regions]
        if word in self._terms:
            mention.terms.append(word)
        mention.noun |= word in self._nouns
        if self._everywhere and mention.terms and not mention.regions:
            mention.regions = list(self._everywhere)

    def _attach(self, mentions: list[Mention]) -> list[Mention]:
        """Attach terms and negations to the region before them: "left lung clear", "left upper and lower"."""
        kept: list[Mention] = []
        before: Mention | None = None
        for mention in mentions:
            if kept and self._continues(kept[-1], mention):
                # "the middle zone of the left lung"
                mention.tokens[:0], mention.terms[:0] = kept[-1].tokens, kept[-1].terms
                kept.pop()
            bare = bool(kept) and kept[-1].noun and not (kept[-1].regions or kept[-1].terms)
            if bare and mention.negated and not (mention.regions or mention.terms):
                # "the lungs are clear"
                kept[-1].tokens += mention.tokens
                kept[-1].negated = True
                continue
            if before is not None and not mention.regions:
                if mention.terms and not mention.negated and before.region_first and not before.negated:
                    before.tokens += mention.tokens
                    before.terms += mention.terms
                    before.noun |= mention.noun
                    continue
                if mention.negated and not mention.terms:
                    before.tokens += mention.tokens
                    before.negated = True
                    continue
            if mention.regions or mention.terms or mention.negated or mention.noun:
                kept.append(mention)
            before = mention if mention.regions else None
        return kept

    @staticmethod
    def _continues(before: Mention, mention: Mention) -> bool:
        """Return whether a mention names the region of the terms before it, with "of"."""
        plain = not (before.regions or before.negated or before.within_negation or before.unread)
        new = bool(mention.regions) and not (mention.terms or mention.negated or mention.within_negation)
        return plain and new and bool(before.terms) and mention.tokens[0].word in _OF

    def open_negation(self, mention: Mention) -> str:
        """Return why it is open what a mention negates; empty if it is clear or nothing is negated."""
        words = {token.piece: token.word for token in mention.tokens if token.word in self._negations}
        negations = [word for word in words.values() if word not in self._clean]
        if negations and len(words) > 1:
            return "negates twice, so the meaning is open"
        if negations and not any(token.word in self._objects for token in mention.tokens):
            return "does not say what is negated"
        return ""

    def denies_everything(self, mention: Mention) -> bool:
        """Return whether a mention is "no lesion" without a region and without other words with meaning."""
        allowed = self._negations | self._objects | self._lexicon.fillers | self._nouns
        return (
            mention.negated
            and not mention.regions
            and not self.open_negation(mention)
            and all(token.word in allowed for token in mention.tokens)
            and any(token.word in self._lesions | self._nouns for token in mention.tokens)
        )

    def denies_the_rest(self, mention: Mention) -> bool:
        """Return whether a denial speaks of what the report has not named ("no lesion elsewhere")."""
        return any(token.cue == "elsewhere" for token in mention.tokens)
