"""Reading what a sentence states about the regions of an image: the lungs, or the cells of a grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lexiseg.words.description import UNKNOWN
from lexiseg.words.grammar import RegionCount, SubsetRule
from lexiseg.words.reading.lexicon import Lexicon, Token, text_of
from lexiseg.words.reading.mention import Mention
from lexiseg.words.reading.mentions import MentionScanner
from lexiseg.words.reading.phrase_matches import PhraseMatch
from lexiseg.words.reading.region_state import NO_TERMS, RegionState, Terms
from lexiseg.words.reading.unplaced_lesions import UnplacedLesions
from lexiseg.words.vocabulary import Vocabulary


class RegionReader:
    """Reads all `subset` factors of a vocabulary.

    Args:
        vocabulary: The vocabulary.
        lexicon: Its words.
    """

    def __init__(self, vocabulary: Vocabulary, lexicon: Lexicon) -> None:
        self._vocabulary = vocabulary
        self._rules = {f.name: f.read for f in vocabulary.factors if isinstance(f.read, SubsetRule)}
        #: The terms of each region that can be free of lesions.
        self._parts = {
            name: frozenset(word for sets in rule.sets for entry in sets for word in entry)
            for name, rule in self._rules.items()
            if rule.has_empty_set
        }
        by_nouns: dict[tuple[str, ...], dict[str, SubsetRule]] = {}
        for name, rule in self._rules.items():
            by_nouns.setdefault(rule.nouns, {})[name] = rule
        self._scanners = [
            (tuple(rules), MentionScanner(rules, vocabulary.grammar, lexicon)) for rules in by_nouns.values()
        ]
        words = self.region_words | set(vocabulary.grammar.every_region)
        self._unplaced = UnplacedLesions(vocabulary.grammar, lexicon, regions=words)

    @property
    def region_words(self) -> frozenset[str]:
        """Words that name one region: "left"."""
        return frozenset(word for rule in self._rules.values() for word in rule.region)

    @property
    def places(self) -> frozenset[str]:
        """Words that stand before the noun of a region: "left", "lower"."""
        words = (rule.keywords_read for rule in self._rules.values())
        return frozenset[str]().union(*words, self._vocabulary.grammar.expand)

    @property
    def speak_of_lesions(self) -> frozenset[str]:
        """Names of the factors about lesions in regions, which are unknown without lesions."""
        regions = self._vocabulary.grammar.regions
        limits = () if regions is None else (regions.exactly, regions.at_most)
        return frozenset(limit.factor for limit in limits if limit is not None)

    def all_empty(self, matches: Mapping[str, PhraseMatch]) -> bool:
        """Return whether every region was read as free of lesions."""
        regions = self._vocabulary.grammar.regions
        return regions is not None and all(
            matches[name].index == self._empty(name) for name in regions.factors
        )

    def mentioned(self, matches: Mapping[str, PhraseMatch]) -> bool:
        """Return whether any region was named."""
        return any(matches[name].tokens for name in self._rules)

    def is_empty(self, name: str, match: PhraseMatch) -> bool:
        """Return whether a factor was read as "no lesion"."""
        rule = self._rules.get(name)
        return rule is not None and rule.has_empty_set and match.index == self._empty(name)

    def _empty(self, name: str) -> int:
        """Return the index of a region's "no lesion" phrase."""
        return self._rules[name].sets.index(((),))

    def find(
        self, tokens: Sequence[Token], coarse: Mapping[str, PhraseMatch], *, complete: bool = True
    ) -> tuple[dict[str, PhraseMatch], list[str]]:
        """Read the regions of a sentence.

        Args:
            tokens: The words of the sentence.
            coarse: The phrases of the other factors; some of them state a number of regions.
            complete: Whether no other words of the sentence speak of regions.

        Returns:
            The phrase of each `subset` factor, and of a coarse factor that contradicts them (unknown), and
            problems of no single factor: words without a region, and contradictions.
        """
        matches: dict[str, PhraseMatch] = {}
        problems: list[str] = []
        for names, scanner in self._scanners:
            states = {name: RegionState(parts=self._parts.get(name, NO_TERMS)) for name in names}
            stated = self._stated(names, coarse)
            mentions = scanner.scan(tokens)
            lost = list(self._collect(mentions, scanner, states, stated))
            problems += lost
            everything = all(state.is_empty for state in states.values())
            for mention in () if everything else self._unplaced.contradicted(mentions, tokens):
                denied = (states[name] for name in mention.regions)
                _doubt(denied, f"the words after '{text_of(mention.tokens)}' may contradict it")
            self._settle(states, stated, complete=complete and not lost)
            matches |= {name: self._match(name, state) for name, state in states.items()}
            self._imply(matches, states, stated, coarse, complete=complete and not lost)
        problems += self._contradictions(matches, coarse)
        problems += self._denied_lesions(matches, tokens)
        return matches, problems

    def _collect(
        self,
        mentions: Sequence[Mention],
        scanner: MentionScanner,
        states: Mapping[str, RegionState],
        stated: int | None,
    ) -> Iterator[str]:
        """Sort mentions by region; yield a problem for each that names none."""
        denied: list[Mention] = []
        open_mentions: list[Mention] = []
        for mention in mentions:
            if mention.unclear:
                yield f"'{text_of(mention.tokens)}' {mention.unclear}"
                open_mentions.append(mention)
            elif scanner.denies_everything(mention):
                denied.append(mention)
            elif mention.regions:
                for name in mention.regions:
                    self._take(states[name], mention, self._rules[name], scanner)
            elif mention.terms or mention.negated or mention.unread:
                yield f"'{text_of(mention.tokens)}' does not say which region is meant"
                open_mentions.append(mention)
        self._doubt_open(open_mentions, scanner, states, stated)
        for mention in denied:
            if not scanner.denies_the_rest(mention) and any(
                state.has_lesion and not state.excepted for state in states.values()
            ):
                _doubt(states.values(), f"'{text_of(mention.tokens)}' contradicts the rest")
            if scanner.denies_the_rest(mention) and not any(state.mentioned for state in states.values()):
                # "One infected area, no lesion elsewhere"
                _doubt(states.values(), f"'{text_of(mention.tokens)}' does not say which region is meant")
            for state in states.values():
                if not state.mentioned:
                    state.tokens, state.said, state.denied = list(mention.tokens), [NO_TERMS], True

    def _doubt_open(
        self,
        mentions: Sequence[Mention],
        scanner: MentionScanner,
        states: Mapping[str, RegionState],
        stated: int | None,
    ) -> None:
        """Give the regions a problem that a mention without a clear region may speak of."""
        named = sum(state.has_lesion for state in states.values())
        for mention in mentions:
            problem = f"'{text_of(mention.tokens)}' may speak of it"
            if mention.unclear:
                _doubt(states.values(), f"'{text_of(mention.tokens)}' {mention.unclear}")
            elif mention.negated:
                _doubt([state for state in states.values() if not state.has_lesion], problem)
            elif mention.terms and not mention.noun:
                _doubt(states.values(), problem)
            elif mention.terms:
                # "Bilateral ..., lower left and upper lung": the word for the other side is missing.
                missing = stated == named + len(mentions) and scanner.names_noun_itself(mention)
                terms = self._expanded(mention.terms)
                # "Left lung clear, right upper zone, ..., lower zone": the left lung stays clear.
                asked = [state for state in states.values() if not (named and state.denied)]
                _doubt([state for state in asked if not (missing or state.says(terms))], problem)

    def _take(self, state: RegionState, mention: Mention, rule: SubsetRule, scanner: MentionScanner) -> None:
        """Add one mention of one region."""
        open_negation = scanner.open_negation(mention)
        text = text_of(mention.tokens)
        state.tokens += mention.tokens
        state.joined = text if mention.joined else state.joined
        if mention.negated and scanner.denies_the_rest(mention):
            state.rest = text
            return
        no_lesion = mention.negated or (mention.within_negation and not (mention.terms or mention.affirmed))
        state.denied |= no_lesion and not (mention.negated and mention.terms)
        if mention.unread:
            unread = ", ".join(f"'{token.found}'" for token in mention.unread)
            state.problem = f"cannot read {unread} in '{text}'"
        elif open_negation:
            state.problem = f"'{text}' {open_negation}"
        elif mention.negated and mention.terms:
            state.deny_part(mention, None if scanner.denies_all(mention) else self._expanded(mention.terms))
        elif no_lesion:
            state.said.append(NO_TERMS)
        elif not mention.terms:
            state.bare = True
            state.infected |= mention.infected
        else:
            terms = self._expanded(mention.terms)
            if terms is None or not any(terms == frozenset(entry) for sets in rule.sets for entry in sets):
                state.problem = f"'{text}' fits no phrase"
                return
            state.said.append(terms)
            state.doubtful_part |= not mention.infected
            if mention.exception:
                state.except_from_denial()
            if mention.within_negation:
                state.unsure = f"'{text}' may belong to the negation before it"

    def _expanded(self, terms: Sequence[str]) -> Terms | None:
        """Return the terms with "all" expanded; None if others contradict it ("all lower left lung")."""
        expand = self._vocabulary.grammar.expand
        plain = frozenset(term for term in terms if term not in expand)
        whole = {frozenset(expand[term]) for term in terms if term in expand}
        if not whole:
            return plain
        return next(iter(whole)) if len(whole) == 1 and (not plain or {plain} == whole) else None

    def _stated(self, names: Sequence[str], coarse: Mapping[str, PhraseMatch]) -> int | None:
        """Return how many of these regions have a lesion by the coarse factors; None if not stated."""
        regions = self._vocabulary.grammar.regions
        if regions is None or regions.exactly is None or not set(regions.factors) <= set(names):
            return None
        return _allowed(regions.exactly, coarse)

    def _settle(self, states: Mapping[str, RegionState], stated: int | None, *, complete: bool) -> None:
        """Keep ambiguous readings only if the stated number of regions confirms them."""
        for state in states.values():
            state.settle_denials()
            state.settle_parts()
        named = sum(state.has_lesion for state in states.values())
        confirmed = complete and stated == named
        for state in states.values():
            said = set(state.said)
            if state.joined and stated is not None and stated > named:
                state.problem = state.problem or f"'{state.joined}' may speak of another region too"
            if len(said) > 1:
                listed = " and ".join(sorted(" ".join(sorted(terms)) or "no lesion" for terms in said))
                if NO_TERMS in said or not confirmed:
                    state.problem = state.problem or f"named several times with different parts: {listed}"
                state.said = [frozenset().union(*said)]
            elif said and state.unsure and not confirmed:
                state.problem = state.problem or state.unsure

    def _match(self, name: str, state: RegionState) -> PhraseMatch:
        """Return the phrase of a region."""
        if not state.problem and not state.said:
            text = text_of(state.tokens)
            state.problem = f"'{text}' does not say which part" if state.bare else "not stated"
        if state.problem:
            return PhraseMatch(tokens=state.tokens, problem=state.problem)
        terms = state.said[0]
        for index, sets in enumerate(self._rules[name].sets):
            if any(frozenset(entry) == terms for entry in sets):
                return PhraseMatch(index=index, tokens=state.tokens)
        return PhraseMatch(tokens=state.tokens, problem=f"'{text_of(state.tokens)}' fits no phrase")

    def _imply(
        self,
        matches: dict[str, PhraseMatch],
        states: Mapping[str, RegionState],
        stated: int | None,
        coarse: Mapping[str, PhraseMatch],
        *,
        complete: bool,
    ) -> None:
        """Set "no lesion" for unnamed regions if as many as stated are named: "unilateral, left lung"."""
        regions = self._vocabulary.grammar.regions
        if stated is None or regions is None or regions.exactly is None or not complete:
            return
        if sum(state.has_lesion for state in states.values()) != stated:
            return
        for name, state in states.items():
            if not state.mentioned:
                read_from = coarse[regions.exactly.factor].tokens
                matches[name] = PhraseMatch(index=self._empty(name), tokens=read_from)

    def _contradictions(
        self, matches: dict[str, PhraseMatch], coarse: Mapping[str, PhraseMatch]
    ) -> Iterator[str]:
        """Yield contradictions between coarse and fine factors, which make these factors unknown.

        "One infected area" in two regions stays: sheets count an infection of both lungs as one area.
        """
        regions = self._vocabulary.grammar.regions
        if regions is None:
            return
        indices = {name: matches[name].index for name in regions.factors}
        named = [name for name, index in indices.items() if index not in (UNKNOWN, self._empty(name))]
        titles = ", ".join(self._vocabulary.factor(name).title.lower() for name in named) or "no region"
        if regions.exactly is not None:
            exactly = _allowed(regions.exactly, coarse)
            possible = [name for name, index in indices.items() if index != self._empty(name)]
            if exactly is not None and not len(named) <= exactly <= len(possible):
                problem = self._contradiction(coarse[regions.exactly.factor], titles)
                yield problem
                for name in regions.factors:
                    matches[name] = PhraseMatch(tokens=matches[name].tokens, problem=problem)
                matches[regions.exactly.factor] = PhraseMatch(
                    tokens=coarse[regions.exactly.factor].tokens, problem=problem
                )
        if regions.at_most is not None:
            at_most = _allowed(regions.at_most, coarse)
            if at_most is not None and len(named) > at_most:
                yield self._contradiction(coarse[regions.at_most.factor], titles)

    def _denied_lesions(self, matches: dict[str, PhraseMatch], tokens: Sequence[Token]) -> Iterator[str]:
        """Yield why all regions are unknown: "lungs clear, one infected area" denies a lesion and states one.

        The number of lesions is unknown then, too.
        """
        regions = self._vocabulary.grammar.regions
        if regions is None or not self.all_empty(matches):
            return
        clause = next(self._unplaced.clauses(tokens), None)
        if clause is None:
            return
        problem = f"'{text_of(clause.words)}' contradicts that no region has a lesion"
        yield problem
        counted = () if regions.at_most is None else (regions.at_most.factor,)
        for name in (*regions.factors, *counted):
            found = matches[name].tokens if name in matches else clause.words
            matches[name] = PhraseMatch(tokens=found, problem=problem)

    @staticmethod
    def _contradiction(match: PhraseMatch, titles: str) -> str:
        return f"contradictory: '{text_of(match.tokens)}', but a lesion is named in {titles}"


def _doubt(states: Iterable[RegionState], problem: str) -> None:
    """Give states a problem that have none."""
    for state in states:
        state.problem = state.problem or problem


def _allowed(limit: RegionCount, coarse: Mapping[str, PhraseMatch]) -> int | None:
    """Return the number of regions that the phrase allows; None if unknown or unlimited."""
    index = coarse[limit.factor].index
    return None if index == UNKNOWN else limit.regions[index]
