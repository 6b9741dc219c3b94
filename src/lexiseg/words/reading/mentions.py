"""Mentions of regions in a sentence: "middle lower right lung", "no lesion in left lung"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lexiseg.words.grammar import Grammar, SubsetRule
from lexiseg.words.reading.both_words import BothWords, Reach
from lexiseg.words.reading.lexicon import Lexicon, Token
from lexiseg.words.reading.mention import Mention
from lexiseg.words.reading.negation_scope import NegationScope
from lexiseg.words.reading.part_lists import OF, PartLists


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
        self._regions |= {word: list(rules) for word in grammar.every_region}
        self._everywhere = [name for name, rule in rules.items() if not rule.region]
        self._nouns = {noun for rule in rules.values() for noun in rule.nouns}
        self._neutral = frozenset(lexicon.language.neutral)
        self._factors = frozenset(rules)
        self._reach = NegationScope(grammar, lexicon, regions=self._single_regions)
        self._both = BothWords(grammar, lexicon, regions=self._single_regions, nouns=self._nouns)
        self._expand = frozenset(grammar.expand)
        self._function_words = frozenset((*grammar.words, *lexicon.language.function_words))
        self._terms = set(grammar.expand)
        for rule in rules.values():
            self._terms.update(word for sets in rule.sets for entry in sets for word in entry)
        places = self._regions.keys() | self._terms | self._nouns
        self._place_words = places | self._negations
        self._lists = PartLists(
            grammar, lexicon, places=places, regions=self._single_regions, terms=self._terms
        )

    def scan(self, tokens: Sequence[Token]) -> list[Mention]:
        """Return the mentions of a sentence in order; other words are left out."""
        mentions: list[Mention] = []
        clause: list[Token] = []
        negated = counted = narrowed = stated = excepts = begun = False
        for token in (*tokens, Token(found="", word=",", piece=-1)):
            if not token.ends_clause:
                clause.append(token)
                continue
            negated &= self._continues_places(clause)
            both = self._both.find(clause, counted=counted, narrowed=narrowed)
            found = self._scan_clause(clause, negated=negated, both=both)
            # A comma may continue a list; a full stop, and words such as "but", do not.
            listed = token.found == ","
            negated = listed and (negated or any(map(self._opens_negated_list, found)))
            counted = listed and any(t.word in self._lesions for t in clause)
            narrowed = listed and bool(found) and bool(found[-1].regions) and not found[-1].terms
            self._complete_ellipses(found, stated, clause)
            self._except(mentions, found, excepts=excepts)
            found = self._join_heading(mentions, found, clause) if begun else found
            begun = token.found == "," and not begun and self._is_heading(found, clause)
            stated = not token.ends_statement and (stated or self._states_lesion(clause))
            excepts = not token.ends_statement and (excepts or token.cue == "exception")
            mentions += found
            clause = []
        return self._lists.join(mentions, tokens)

    def _states_lesion(self, clause: Sequence[Token]) -> bool:
        """Return whether a clause states a lesion without any negation."""
        words = {token.word for token in clause}
        return bool(words & self._objects) and not words & self._negations

    def _complete_ellipses(self, found: Sequence[Mention], stated: bool, clause: Sequence[Token]) -> None:
        """Mark what denies a lesion that its statement has named: "infection ..., not in the right lung".

        Words such as "seen" leave open what is denied: "..., right lung not seen".
        """
        bare = all(t.found.lower() in self._function_words or t.word in self._place_words for t in clause)
        if not stated or not bare:
            return
        for mention in found:
            mention.elliptic = mention.negated

    def _is_heading(self, found: Sequence[Mention], clause: Sequence[Token]) -> bool:
        """Return whether a clause is one region after a preposition: "on the left, ..."."""
        at = bool(clause) and clause[0].found.lower() in self._lexicon.language.in_places
        return at and len(found) == 1 and self._lists.is_bare(found[0])

    def _join_heading(
        self, mentions: list[Mention], found: list[Mention], clause: Sequence[Token]
    ) -> list[Mention]:
        """Deny the region before a clause that denies a lesion without a region: "on the left, no lesion".

        "On the left, no lesion and opacity on the right" leaves open where there is none.
        """
        if any(token.word in ("and", "with") for token in clause):
            for mention in found:
                if mention.negated and mention.regions:
                    mention.unclear = mention.unclear or "leaves open what is negated"
        if len(found) != 1 or not self.denies_everything(found[0]) or self.denies_the_rest(found[0]):
            return found
        mentions[-1].deny(found[0])
        return []

    def _except(self, before: Sequence[Mention], found: Sequence[Mention], *, excepts: bool) -> None:
        """Mark the exceptions of the denial before them; a part lies in the one region that it denies."""
        for mention in found if excepts else ():
            mention.exception = True
            denied = [other for other in before if other.negated]
            if mention.terms and not mention.regions and denied and len(denied[-1].regions) == 1:
                mention.regions = list(denied[-1].regions)

    def _continues_places(self, clause: Sequence[Token]) -> bool:
        """Return whether a clause may go on with a list of places: "right lung", not "new in right lung"."""
        plain = all(token.cue is None and token.found.lower() not in self._neutral for token in clause)
        first = next((t.word for t in clause if t.found.lower() not in self._function_words), None)
        # "..., covid in the right lung" begins with a word that the grammar ignores.
        return plain and (first is None or first in self._place_words) and self._lists.only_places(clause)

    def _opens_negated_list(self, mention: Mention) -> bool:
        """Return whether a negation stands before the region: "no lesion in right lung"."""
        words = [token.word for token in mention.tokens]
        first = next((place for place, word in enumerate(words) if word in self._regions), len(words))
        return first < len(words) and any(word in self._negations - self._clean for word in words[:first])

    def _scan_clause(
        self, tokens: Sequence[Token], *, negated: bool, both: Mapping[int, Reach]
    ) -> list[Mention]:
        """Return the mentions of a clause.

        Args:
            tokens: Its words.
            negated: Whether it may go on with a list that is negated.
            both: What "both" speaks of, by its place.
        """
        done: list[Mention] = []
        current = Mention(within_negation=negated)

        def finish() -> None:
            nonlocal current
            if current.tokens:
                done.append(current)
            current = Mention(within_negation=negated or any(mention.negated for mention in done))

        for place, token in enumerate(tokens):
            follows_region = bool(done) and bool(done[-1].regions)
            if token.word == "and" and not current.tokens:
                # An empty mention separates what follows from the words before "and".
                done.append(Mention(tokens=[token]))
            elif token.word == "and" and self._complete(
                current, tokens[place + 1 :], follows_region=follows_region
            ):
                finish()
            else:
                self._add(current, token, both.get(place, "every"))
                # "no lesion in left lung": a negated noun does not end the mention.
                # "Infection is not seen in the left lung": nor does a noun before its negation.
                other_noun = (
                    token.word in self._lexicon.nouns
                    and not current.negated
                    and not self._negated_after(tokens[place + 1 :])
                )
                goes_on = current.negated and not current.regions and self._names_region(tokens[place + 1 :])
                goes_on |= current.neither
                if (token.word in self._nouns and not goes_on) or other_noun:
                    finish()
        finish()
        self._reach.limit(done, tokens)
        found = self._attach(done)
        denied = {token.piece for mention in found if mention.negated for token in mention.tokens}
        infected = any(token.word in self._objects and token.piece not in denied for token in tokens)
        for mention in found:
            mention.infected = infected and not mention.negated
        return found

    def _complete(self, mention: Mention, following: Sequence[Token], *, follows_region: bool) -> bool:
        """Return whether "and" ends a mention: "lower left and ...", "left lung clear and ..."."""
        if mention.regions and mention.terms:
            return not self._everywhere
        if mention.regions:
            return self._reach.ends_before(mention.tokens, following)
        return follows_region and mention.negated and not mention.terms

    def _names_region(self, tokens: Sequence[Token]) -> bool:
        """Return whether words behind a noun say in which region it lies: "lung on the right"."""
        skipped = self._lexicon.fillers - {"and"}
        return next((token.word for token in tokens if token.word not in skipped), None) in self._regions

    def _negated_after(self, tokens: Sequence[Token]) -> bool:
        """Return whether the next word with a meaning is a negation."""
        following = (token.word for token in tokens if token.word not in self._lexicon.fillers)
        return next(following, None) in self._negations - self._clean

    def _add(self, mention: Mention, token: Token, reach: Reach) -> None:
        word = token.word or ""
        new_region = word in self._single_regions and not set(self._regions[word]) <= set(mention.regions)
        if new_region and mention.regions and self._ends_with_term(mention):
            mention.unclear = "leaves open which part lies in which region"
        if new_region and not mention.regions and self._lists.ends_before(mention.tokens):
            mention.unclear = "leaves open which part lies in which region"
        if new_region and mention.regions and self._reach.infected(mention.tokens):
            mention.unclear = "leaves open what belongs to which region"
        if new_region and mention.regions and any(other.word == "with" for other in mention.tokens):
            mention.unclear = "leaves open what belongs to which region"
        mention.tokens.append(token)
        if word in self._negations:
            mention.negated = True
        if word in self._regions and reach == "every":
            mention.region_first |= not mention.terms
            mention.regions += [name for name in self._regions[word] if name not in mention.regions]
        elif reach == "open":
            mention.unclear = f"leaves open whether '{token.found}' speaks of every region"
        if word in self._nouns and mention.neither and not mention.regions:
            between = [other.word for other in mention.tokens[:-1] if other.cue != "neither"]
            mention.regions = list(self._factors) if set(between) <= self._lexicon.fillers else []
        if word in self._terms:
            mention.terms.append(word)
        mention.noun |= word in self._nouns
        if self._everywhere and mention.terms and not mention.regions:
            mention.regions = list(self._everywhere)

    def _ends_with_term(self, mention: Mention) -> bool:
        """Return whether a term follows the last region of a mention: "left lower"."""
        words = [token.word for token in mention.tokens]
        known = (word for word in reversed(words) if word in self._single_regions or word in self._terms)
        return next(known, None) in self._terms

    def _attach(self, mentions: list[Mention]) -> list[Mention]:
        """Attach terms and negations to the region before them: "left lung clear", "left upper and lower"."""
        kept: list[Mention] = []
        before: Mention | None = None
        joined = False
        for mention in mentions:
            joined |= any(token.word in ("and", "with") for token in mention.tokens[:1])
            if kept and not joined and self._continues(kept[-1], mention):
                # "the middle zone of the left lung"
                mention.tokens[:0], mention.terms[:0] = kept[-1].tokens, kept[-1].terms
                mention.region_first = False
                kept.pop()
            bare = bool(kept) and kept[-1].noun and not (kept[-1].regions or kept[-1].terms)
            if bare and mention.negated and not (mention.regions or mention.terms):
                # "the lungs are clear"
                self._deny(kept, mention)
                continue
            if before is not None and not mention.regions:
                open_both = mention.unclear and before.terms
                takes = before.region_first and not (before.negated or open_both)
                if takes and mention.terms and not mention.negated:
                    before.add_terms(mention)
                    continue
                if mention.negated and not mention.terms:
                    self._deny(kept, mention)
                    continue
            if before is not None and self._claimed_twice(before, mention):
                mention.tokens[:0] = kept.pop().tokens
                mention.unclear = "leaves open what belongs to which region"
            if mention.regions or mention.terms or mention.negated or mention.noun or mention.unclear:
                kept.append(mention)
                joined = False
            before = mention if mention.regions else None
        return kept

    def _deny(self, mentions: Sequence[Mention], denial: Mention) -> None:
        """Deny the region of the last mention by the words after it."""
        *earlier, mention = mentions
        mention.deny(denial)
        if self._reach.contradicts(mention, earlier):
            mention.unclear = mention.unclear or "leaves open what is negated"

    def _claimed_twice(self, before: Mention, mention: Mention) -> bool:
        """Return whether the first words of a mention may belong to the region before it.

        They may in "left lung clear right lung", not in "lower left lung no lesion in right lung", where "in"
        joins them to the region after them. It does not join "clear" to it: "left lung clear in contrast".
        """
        words = [token.word for token in mention.tokens]
        first = next((place for place, word in enumerate(words) if word in self._single_regions), 0)
        claims = [
            place
            for place, word in enumerate(words[:first])
            if (word in self._negations and not before.negated)
            or (word in self._terms and not (before.terms or before.negated))
        ]
        if not claims:
            return False
        between = words[claims[0] : first]
        # "left lung not infected (opacity in the right lung)"
        twice = not before.terms and sum(word in self._objects for word in between) > 1
        return twice or bool(self._clean & set(between)) or not OF & set(between)

    @staticmethod
    def _continues(before: Mention, mention: Mention) -> bool:
        """Return whether a mention names the region of the terms before it, with "of"."""
        plain = before.plain and not before.regions
        new = bool(mention.regions) and not (mention.terms or mention.negated or mention.within_negation)
        return plain and new and bool(before.terms) and mention.tokens[0].word in OF

    def open_negation(self, mention: Mention) -> str:
        """Return why it is open what a mention negates; empty if it is clear or nothing is negated."""
        words = {token.piece: token.word for token in mention.tokens if token.word in self._negations}
        negations = [word for word in words.values() if word not in self._clean]
        if negations and len(words) > 1:
            return "negates twice, so the meaning is open"
        named = mention.elliptic or self._reach.names_denied(mention.tokens)
        if negations and not named:
            return "does not say what is negated"
        return ""

    def denies_everything(self, mention: Mention) -> bool:
        """Return whether a mention is "no lesion" without a region and without other words with meaning."""
        allowed = self._negations | self._objects | self._lexicon.fillers | self._nouns
        if mention.regions and self.denies_the_rest(mention) and set(mention.regions) == self._factors:
            # "both lungs are otherwise clear"
            return mention.negated and not (mention.terms or self.open_negation(mention))
        return (
            mention.negated
            and not mention.regions
            and not self.open_negation(mention)
            and not self._denies_rest_of_one(mention)
            and all(token.word in allowed for token in mention.tokens)
            and any(token.word in self._lesions | self._nouns for token in mention.tokens)
        )

    def _denies_rest_of_one(self, mention: Mention) -> bool:
        """Return whether a denial may speak of what is left of one region: "the rest of the lung is clear".

        The other regions are meant in "the rest of the lungs", "the other lobes" and "the other lung".
        """
        if not (self._single_regions and self.denies_the_rest(mention)):
            return False
        other_one = self._lexicon.language.other_one
        skipped = self._lexicon.fillers
        before = ""
        for token in mention.tokens:
            if token.word in self._nouns:
                other = before in other_one and self.names_noun_itself(mention)
                return not (other or self._lexicon.is_plural(token))
            if token.word not in skipped or token.cue == "elsewhere":
                before = token.found.lower()
        return False

    def denies_all(self, mention: Mention) -> bool:
        """Return whether "not all" may leave a part: "not all left lung is infected"."""
        words = {token.word for token in mention.tokens}
        return bool(words & self._expand and words & (self._negations - self._clean))

    def names_noun_itself(self, mention: Mention) -> bool:
        """Return whether the noun is written as itself ("lung"): a synonym may name a part ("zone")."""
        nouns = [token for token in mention.tokens if token.word in self._nouns]
        return bool(nouns) and all((token.meant or token.found).lower() in self._nouns for token in nouns)

    def denies_the_rest(self, mention: Mention) -> bool:
        """Return whether a denial speaks of what the report has not named ("no lesion elsewhere")."""
        return any(token.cue == "elsewhere" for token in mention.tokens)
