"""The report parser: one phrase per factor, with all repairs and problems reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lexiseg.words.description import UNKNOWN, Description, Reading, Side
from lexiseg.words.factor import Factor
from lexiseg.words.grammar import ChoiceRule, CountRule, SentenceRule, SubsetRule
from lexiseg.words.reading.lexicon import Lexicon, Token, repairs_of, text_of
from lexiseg.words.reading.phrase_matches import PhraseMatch, match_choice, match_count, match_sentence
from lexiseg.words.reading.region_reader import RegionReader
from lexiseg.words.vocabulary import Vocabulary


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
    def coverage(self) -> float:
        """Share of rows that were read in full, 0..1; 1 for an empty sheet."""
        rows = len(self.descriptions)
        return 1 - len(self.unreadable) / rows if rows else 1.0


def parse_report(sentence: str, vocabulary: Vocabulary, *, side: Side | None = None) -> Description:
    """Read one report sentence.

    Words are matched to the closed set of the vocabulary's grammar; `lexiseg.words.reading.lexicon` defines
    the repairs of typing errors. A word that is equally close to two meanings is not repaired.

    Args:
        sentence: The sentence.
        vocabulary: The vocabulary.
        side: Side convention of the sentence; default: the vocabulary's. Words are not swapped.

    Returns:
        The description, with the sentence as written, except white space. Factors that cannot be read are
        `UNKNOWN`, and `problems` gives the reasons with the words; contradictory sentences keep their indices
        and get a problem. "No lesion" leaves factors about lesions unknown, without a problem.
    """
    return _ReportReader(vocabulary).read(sentence, side or vocabulary.side)


def parse_sheet(rows: Mapping[str, str], vocabulary: Vocabulary, *, side: Side | None = None) -> ParsedSheet:
    """Read a sheet of report sentences by key (the mask's file name); see `parse_report`."""
    reader = _ReportReader(vocabulary)
    distinct = {sentence: reader.read(sentence, side or vocabulary.side) for sentence in set(rows.values())}
    return ParsedSheet(descriptions={key: distinct[sentence] for key, sentence in rows.items()})


class _ReportReader:
    """Reads many sentences with one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lexicon = Lexicon(vocabulary)
        self._regions = RegionReader(vocabulary, self._lexicon)

    def read(self, sentence: str, side: Side) -> Description:
        """Read one sentence."""
        text = " ".join(sentence.split())
        reads_words = any(f.read is None or f.read.reads_words for f in self._vocabulary.factors)
        tokens = self._lexicon.tokens(text) if reads_words else ()
        matches = {f.name: self._find(f, text, tokens) for f in self._vocabulary.factors}
        by_region, problems = self._regions.find(tokens, matches)
        matches |= by_region
        unread = {token.found: token for token in tokens if token.word is None}
        if text:
            problems = [
                *(_why_unread(token) for token in unread.values()),
                *self._unknown_factors(matches),
                *problems,
            ]
        else:
            problems = ["the report is empty"]
        return Description(
            source="reports",
            side=side,
            readings=tuple(_reading(factor, matches[factor.name]) for factor in self._vocabulary.factors),
            sentence=text,
            problems=tuple(problems),
        )

    def _unknown_factors(self, matches: Mapping[str, PhraseMatch]) -> Iterator[str]:
        """Yield why factors are unknown; without lesions, count and laterality need no reason."""
        spared = self._regions.speak_of_lesions if self._regions.all_empty(matches) else frozenset()
        for factor in self._vocabulary.factors:
            match = matches[factor.name]
            if match.problem and (match.tokens or factor.name not in spared):
                yield f"{factor.title}: {match.problem}"

    def _find(self, factor: Factor, text: str, tokens: tuple[Token, ...]) -> PhraseMatch:
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
