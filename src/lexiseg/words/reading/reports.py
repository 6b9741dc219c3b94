"""The report parser: one phrase per factor, with all repairs and problems reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lexiseg.printable import counted
from lexiseg.words.description import UNKNOWN, Description, Reading, Repair, Side
from lexiseg.words.factor import Factor
from lexiseg.words.grammar import ChoiceRule, CountRule, SentenceRule, SubsetRule
from lexiseg.words.reading.clause_boundaries import ClauseBoundaries
from lexiseg.words.reading.counted_nouns import counts_another, other_nouns
from lexiseg.words.reading.lexicon import Lexicon, Token, repairs_of, text_of
from lexiseg.words.reading.line_breaks import BreakReader, Layout
from lexiseg.words.reading.other_things import OtherThings
from lexiseg.words.reading.phrase_matches import PhraseMatch, match_choice, match_count, match_sentence
from lexiseg.words.reading.region_reader import RegionReader
from lexiseg.words.reading.statements import Clause, StatementReader, negated_places
from lexiseg.words.vocabulary import Vocabulary

# Repairs that are listed for people.
_MOST_REPAIRS = 10


@dataclass(frozen=True, kw_only=True)
class ParsedSheet:
    """A parsed sheet of report sentences.

    Attributes:
        descriptions: Description by key, in the order of the sheet.
    """

    descriptions: dict[str, Description]

    @property
    def unreadable(self) -> dict[str, Description]:
        """Rows with at least one factor that could not be read.

        "No lesion in left lung and right lung" is read in full, although it has no laterality.
        """
        return {key: d for key, d in self.descriptions.items() if UNKNOWN in d.indices and d.problems}

    @property
    def doubtful(self) -> dict[str, Description]:
        """Rows that were read in full but have a problem, such as a contradiction."""
        return {key: d for key, d in self.descriptions.items() if d.problems and UNKNOWN not in d.indices}

    @property
    def repaired(self) -> dict[str, Description]:
        """Rows in which at least one word was repaired."""
        return {key: d for key, d in self.descriptions.items() if any(r.repairs for r in d.readings)}

    @property
    def repairs(self) -> dict[Repair, int]:
        """In how many rows each repair was made, the most frequent one first."""
        rows = ({repair for r in d.readings for repair in r.repairs} for d in self.descriptions.values())
        counts = Counter(repair for repairs in rows for repair in repairs)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0].found)))

    def list_repairs(self) -> str:
        """Return the most frequent repairs in words, such as "lowoer -> lower (3 reports)"."""
        repairs = self.repairs
        shown = [
            f"{repair.found} -> {repair.meant} ({counted(rows, 'report')})"
            for repair, rows in list(repairs.items())[:_MOST_REPAIRS]
        ]
        return ", ".join(
            [*shown, f"and {len(repairs) - _MOST_REPAIRS} more"] if len(repairs) > _MOST_REPAIRS else shown
        )

    @property
    def coverage(self) -> float:
        """Share of rows that were read in full, 0..1; 1 for an empty sheet."""
        rows = len(self.descriptions)
        return 1 - len(self.unreadable) / rows if rows else 1.0


def parse_report(sentence: str, vocabulary: Vocabulary, *, side: Side | None = None) -> Description:
    """Read one report sentence.

    Words are matched to the closed set of the vocabulary's grammar; `lexiseg.words.reading.lexicon` defines
    the repairs of typing errors. A word that is equally close to two meanings is not repaired, nor is a word
    of the language. A clause that is uncertain, speaks of the past, or has a word of the language that the
    grammar does not know, states nothing, and the factors that it speaks of are unknown.

    Args:
        sentence: The sentence.
        vocabulary: The vocabulary.
        side: Side convention of the sentence; default: the vocabulary's. Words are not swapped.

    Returns:
        The description, with the sentence as written, except white space. Factors that cannot be read are
        `UNKNOWN`, and `problems` gives the reasons with the words. Factors that contradict each other are
        unknown, with one exception: "one infected area" in two regions keeps its indices and gets a problem.
        "No lesion" leaves factors about lesions unknown, without a problem.
    """
    return _ReportReader(vocabulary).read(sentence, side or vocabulary.side)


def parse_sheet(rows: Mapping[str, str], vocabulary: Vocabulary, *, side: Side | None = None) -> ParsedSheet:
    """Read a sheet of report sentences by key (the mask's file name); see `parse_report`."""
    reader = _ReportReader(vocabulary)
    distinct = {sentence: reader.read(sentence, side or vocabulary.side) for sentence in set(rows.values())}
    return ParsedSheet(descriptions={key: distinct[sentence] for key, sentence in rows.items()})


@dataclass(frozen=True, kw_only=True)
class _Statements:
    """What a sentence states.

    Attributes:
        matches: The phrase of every factor.
        lost: Why words were not read, and why clauses state nothing.
        problems: Other problems of no single factor.
    """

    matches: dict[str, PhraseMatch]
    lost: list[str]
    problems: list[str]


class _ReportReader:
    """Reads many sentences with one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lexicon = Lexicon(vocabulary)
        self._regions = RegionReader(vocabulary, self._lexicon)
        self._ends = ClauseBoundaries(vocabulary.grammar, self._lexicon)
        self._statements = StatementReader(vocabulary, self._lexicon)
        self._other_things = OtherThings(vocabulary, self._lexicon)
        self._breaks = BreakReader(
            vocabulary.grammar, self._lexicon, self._regions.region_words, self._regions.places
        )

    def read(self, sentence: str, side: Side) -> Description:
        """Read one sentence."""
        text = " ".join(sentence.split())
        reads_words = any(f.read is None or f.read.reads_words for f in self._vocabulary.factors)
        layout = self._breaks.layout(sentence) if reads_words else Layout(texts=(text,))
        first, *others = (self._state(text, way, reads_words=reads_words) for way in layout.texts)
        matches = {
            name: match if all(other.matches[name].index == match.index for other in others)
            else PhraseMatch(tokens=match.tokens, problem=layout.reason)
            for name, match in first.matches.items()
        }  # fmt: skip
        problems = [*first.lost, *self._unknown_factors(matches), *first.problems]
        return Description(
            source="reports",
            side=side,
            readings=tuple(_reading(factor, matches[factor.name]) for factor in self._vocabulary.factors),
            sentence=text,
            problems=tuple(problems if text else ["the report is empty"]),
        )

    def _state(self, text: str, way: str, *, reads_words: bool) -> _Statements:
        """Return what a sentence states.

        Args:
            text: The sentence.
            way: The same with a line feed where a statement ends.
            reads_words: Whether any rule reads single words.
        """
        tokens = self._ends.set(self._lexicon.tokens(way)) if reads_words else []
        clauses = self._statements.clauses(tokens)
        self._other_things.withdraw(clauses)
        tokens = [token for clause in clauses for token in clause.tokens]
        certain = [token for clause in clauses if not clause.reason for token in clause.tokens]
        withdrawn = [clause for clause in clauses if clause.reason]
        about = [self._match(text, clause.tokens, complete=False)[0] for clause in withdrawn]
        complete = not any(self._regions.mentioned(matches) for matches in about)
        matches, problems = self._match(text, certain, complete=complete)
        self._withdraw(matches, withdrawn, about, certain)
        self._doubt_counts(matches, clauses)
        unread = {token.found: token for token in tokens if token.word is None}
        reasons = dict.fromkeys(clause.reason for clause in withdrawn)
        lost = [*(_why_unread(token) for token in unread.values()), *reasons]
        return _Statements(matches=matches, lost=lost, problems=problems)

    def _match(
        self, text: str, tokens: Sequence[Token], *, complete: bool
    ) -> tuple[dict[str, PhraseMatch], list[str]]:
        """Return the phrase of every factor that the words state, and problems of no single factor."""
        matches = {f.name: self._find(f, text, tokens) for f in self._vocabulary.factors}
        by_region, problems = self._regions.find(tokens, matches, complete=complete)
        matches |= by_region
        denial = self._denial(tokens)
        if denial:
            for name, match in matches.items():
                matches[name] = PhraseMatch(tokens=match.tokens, problem=match.problem or denial)
        return matches, problems

    def _denial(self, tokens: Sequence[Token]) -> str:
        """Return why no factor describes a lesion, where words for "no lesion" have no phrase: "no polyp"."""
        grammar = self._vocabulary.grammar
        if any(f.read is not None and f.read.has_empty_set for f in self._vocabulary.factors):
            return ""
        negated = [tokens[place] for place in sorted(negated_places(tokens, grammar, self._lexicon))]
        if any(token.word in grammar.lesions for token in negated) and not any(
            token.cue == "elsewhere" for token in negated
        ):
            return f"'{text_of(negated)}' denies what is described"
        return ""

    def _withdraw(
        self,
        matches: dict[str, PhraseMatch],
        clauses: Sequence[Clause],
        about: Sequence[Mapping[str, PhraseMatch]],
        certain: Sequence[Token],
    ) -> None:
        """Make the factors unknown that a clause without a certain statement also speaks of."""
        for clause, spoken_of in zip(clauses, about, strict=True):
            lesion = any(token.word in self._lexicon.nouns for token in clause.words)
            lesion = lesion and not self._says_where(clause, spoken_of)
            for name, match in matches.items():
                spoken = bool(spoken_of[name].tokens) or (lesion and self._regions.is_empty(name, match))
                spoken = spoken or self._names_uncounted(name, clause, match, certain)
                if match.index != UNKNOWN and spoken:
                    matches[name] = PhraseMatch(tokens=match.tokens, problem=clause.reason)

    def _doubt_counts(self, matches: dict[str, PhraseMatch], clauses: Sequence[Clause]) -> None:
        """Make a number unknown beside a lesion that it does not count: "one opacity left, another right"."""
        for name, match in matches.items():
            rule = self._vocabulary.factor(name).read
            if not isinstance(rule, CountRule) or match.index in (UNKNOWN, len(rule.at_least) - 1):
                continue
            for clause in clauses:
                if counts_another(
                    rule, clause.words, self._vocabulary.grammar, self._lexicon, counted=match.tokens
                ):
                    why = f"'{text_of(clause.words)}' may speak of another one"
                    matches[name] = PhraseMatch(tokens=match.tokens, problem=why)

    def _says_where(self, clause: Clause, spoken_of: Mapping[str, PhraseMatch]) -> bool:
        """Return whether a clause speaks of the regions that it names and of no other."""
        unread = any(token.foreign or token.word is None for token in clause.words)
        elsewhere = any(token.cue == "elsewhere" for token in clause.words)
        return self._regions.mentioned(spoken_of) and not (unread or elsewhere)

    def _names_uncounted(
        self, name: str, clause: Clause, match: PhraseMatch, certain: Sequence[Token]
    ) -> bool:
        """Return whether a clause names a lesion that a stated number may not count."""
        rule = self._vocabulary.factor(name).read
        if not isinstance(rule, CountRule) or match.index == len(rule.at_least) - 1:
            return False
        if any(token.found.lower() in self._lexicon.language.requests for token in clause.words):
            return False
        grammar = self._vocabulary.grammar
        return bool(
            other_nouns(rule, clause.tokens, grammar, self._lexicon, counted=match.tokens, said=certain)
        )

    def _unknown_factors(self, matches: Mapping[str, PhraseMatch]) -> Iterator[str]:
        """Yield why factors are unknown; without lesions, count and laterality need no reason."""
        spared = self._regions.speak_of_lesions if self._regions.all_empty(matches) else frozenset()
        for factor in self._vocabulary.factors:
            match = matches[factor.name]
            if match.problem and (match.tokens or factor.name not in spared):
                yield f"{factor.title}: {match.problem}"

    def _find(self, factor: Factor, text: str, tokens: Sequence[Token]) -> PhraseMatch:
        """Read one factor; `subset` factors are read together, later."""
        grammar = self._vocabulary.grammar
        match factor.read:
            case ChoiceRule():
                return match_choice(factor.read, tokens, grammar, self._lexicon)
            case CountRule():
                return match_count(factor.read, tokens, grammar, self._lexicon)
            case SentenceRule():
                index = match_sentence(factor.read, text)
                problem = "" if index != UNKNOWN else f"'{text}' is not a sentence of this vocabulary"
                return PhraseMatch(
                    index=index, tokens=[Token(found=text, word=text, piece=0)], problem=problem
                )
            case SubsetRule():
                return PhraseMatch()
            case None:
                return PhraseMatch(problem="the vocabulary has no rule to read it in reports")


def _reading(factor: Factor, match: PhraseMatch) -> Reading:
    known = match.index != UNKNOWN
    return Reading(
        factor=factor.name,
        index=match.index,
        phrase=factor.phrases[match.index] if known else None,
        read=text_of(match.tokens),
        repairs=repairs_of(match.tokens),
    )


def _why_unread(token: Token) -> str:
    if token.choices:
        choices = " or ".join(f"'{choice}'" for choice in token.choices)
        return f"'{token.found}' could be a typing error for {choices}"
    return f"cannot read the word '{token.found}'"
