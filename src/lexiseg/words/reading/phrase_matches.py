"""The read rules for keywords, numbers and whole sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lexiseg.words.description import UNKNOWN
from lexiseg.words.grammar import ChoiceRule, CountRule, Grammar, SentenceRule
from lexiseg.words.reading.counted_nouns import other_nouns
from lexiseg.words.reading.lexicon import Lexicon, Token, text_of
from lexiseg.words.reading.statements import is_number, negated_places
from lexiseg.words.text import split_words


@dataclass(kw_only=True)
class PhraseMatch:
    """The phrase of one factor that a sentence states.

    Attributes:
        index: Index of the phrase; `UNKNOWN` if it could not be read.
        tokens: The words it was read from.
        problem: Why it could not be read; empty otherwise.
    """

    index: int = UNKNOWN
    tokens: list[Token] = field(default_factory=list)
    problem: str = ""


def match_choice(
    rule: ChoiceRule, tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon
) -> PhraseMatch:
    """Return the phrase whose keyword is in the sentence; unknown for no, several or negated keywords."""
    matches = list(_keyword_matches(rule, tokens, lexicon))
    if not matches:
        return PhraseMatch(problem="not stated")
    spans = [_with_noun(tokens, start, end, grammar, lexicon) for _, start, end in matches]
    negated = negated_places(tokens, grammar, lexicon)
    for (_, start, _), span in zip(matches, spans, strict=True):
        if start in negated:
            problem = f"'{text_of(span)}' is negated, so the meaning is open"
            return PhraseMatch(tokens=span, problem=problem)
    if len({index for index, _, _ in matches}) > 1:
        several = [token for span in spans for token in span]
        said = " and ".join(f"'{text_of(span)}'" for span in spans)
        return PhraseMatch(tokens=several, problem=f"contradictory: {said}")
    return PhraseMatch(index=matches[0][0], tokens=spans[0])


def match_count(rule: CountRule, tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon) -> PhraseMatch:
    """Return the phrase for the number in front of the noun; unknown without a number or for several.

    Two numbers may count the same lesions or different ones, so "one polyp here, one polyp there" is unknown,
    and so is "one polyp and a lesion".
    """
    spans = list(_counted_spans(rule, tokens, grammar, lexicon))
    matches = [_count(rule, span, grammar) for span in spans]
    negated = [tokens[place] for place in negated_places(tokens, grammar, lexicon)]
    for match in matches:
        if any(token is other for token in match.tokens for other in negated):
            problem = f"'{text_of(match.tokens)}' is negated, so the meaning is open"
            return PhraseMatch(tokens=match.tokens, problem=problem)
    if not matches:
        return PhraseMatch(problem=f"no number in front of {_any_of(rule.nouns)} was read")
    failed = next((match for match in matches if match.problem), None)
    if failed is not None:
        return failed
    said = " and ".join(f"'{text_of(match.tokens)}'" for match in matches)
    several = [token for match in matches for token in match.tokens]
    if len({match.index for match in matches}) > 1:
        return PhraseMatch(tokens=several, problem=f"contradictory: {said}")
    # Only the phrase without an upper limit is true for the sum too: "two here, two there" is multiple.
    if matches[0].index == len(rule.at_least) - 1:
        return matches[0]
    if len(matches) > 1:
        return PhraseMatch(tokens=several, problem=f"{said} may count the same or different ones")
    others = other_nouns(rule, tokens, grammar, lexicon, counted=spans[0], said=tokens)
    if others:
        problem = f"'{text_of(others)}' may not be counted in {said}"
        return PhraseMatch(tokens=[*several, *others], problem=problem)
    return matches[0]


def match_sentence(rule: SentenceRule, sentence: str) -> int:
    """Return the index of the phrase of a sentence, compared word by word; `UNKNOWN` if there is none."""
    words = split_words(sentence)
    for index, sentences in enumerate(rule.sentences):
        if any(split_words(known) == words for known in sentences):
            return index
    return UNKNOWN


def _any_of(nouns: Sequence[str]) -> str:
    return " or ".join(f"'{noun}'" for noun in nouns)


def _keyword_matches(
    rule: ChoiceRule, tokens: Sequence[Token], lexicon: Lexicon
) -> Iterator[tuple[int, int, int]]:
    """Yield (phrase, start, end) of every keyword in the sentence."""
    words = [token.word for token in tokens]
    for index, entries in enumerate(rule.keywords):
        for entry in entries:
            wanted = [lexicon.word(spelling) for spelling in entry.split()]
            for start in range(len(words) - len(wanted) + 1):
                if words[start : start + len(wanted)] == wanted:
                    yield index, start, start + len(wanted)


def _with_noun(
    tokens: Sequence[Token], start: int, end: int, grammar: Grammar, lexicon: Lexicon
) -> list[Token]:
    """Return a keyword with the filler words and the noun that follow it ("pulmonary infection")."""
    stop = end
    while stop < len(tokens) and tokens[stop].word in grammar.words and tokens[stop].word != "and":
        stop += 1
    if stop < len(tokens) and tokens[stop].word in lexicon.nouns:
        end = stop + 1
    return list(tokens[start:end])


def _counted_spans(
    rule: CountRule, tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon
) -> Iterator[list[Token]]:
    """Yield the words from a number to its noun, with an unreadable word before the number."""
    span: list[Token] = []
    before: Token | None = None
    for token in tokens:
        counted = span and token.word in rule.nouns
        if counted:
            yield [*span, token]
        if counted or token.ends_clause or token.word in lexicon.nouns:
            span, before = [], None
            continue
        if is_number(token, grammar) and not span and before is not None and before.word is None:
            span.append(before)
        if is_number(token, grammar) or span:
            span.append(token)
        before = token


def _count(rule: CountRule, span: list[Token], grammar: Grammar) -> PhraseMatch:
    """Return the phrase for one counted span."""
    said = f"'{text_of(span)}'"
    # "1\u00bd" is not 1, and a raised 2 may be a square or a footnote.
    odd = any(token.found.isnumeric() and not token.found.isdecimal() for token in span)
    if span[0].word is None or odd:
        return PhraseMatch(tokens=span, problem=f"the number in {said} is unclear")
    possible = {_phrases_for(rule, token, grammar) for token in span if is_number(token, grammar)}
    if len(possible) > 1:
        return PhraseMatch(tokens=span, problem=f"contradictory numbers in {said}")
    phrases = possible.pop()
    if len(phrases) != 1:
        why = "matches several phrases" if phrases else f"is not a number from 1 to {rule.maximum}"
        return PhraseMatch(tokens=span, problem=f"{said} {why}")
    return PhraseMatch(index=phrases[0], tokens=span)


def _phrases_for(rule: CountRule, token: Token, grammar: Grammar) -> tuple[int, ...]:
    """Return the indices of the phrases a number word may stand for."""
    word = token.word or ""
    last = len(rule.at_least) - 1
    if word in grammar.many:
        return tuple(i for i in range(last + 1) if i == last or rule.at_least[i + 1] > 2)
    number = grammar.numbers[word] if word in grammar.numbers else float(word)
    # The range first: hundreds of digits are an infinite number, which has no whole part.
    if not 1 <= number <= rule.maximum or number != int(number):
        return ()
    return (max(i for i in range(last + 1) if rule.at_least[i] <= number),)
