"""Statements and clauses of a sentence, and the reasons why a clause states nothing for certain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

from lexiseg.words.grammar import CountRule, Grammar, SubsetRule
from lexiseg.words.reading.lexicon import Lexicon, Token, text_of
from lexiseg.words.vocabulary import Vocabulary

#: Words between "free" and what a region is free of.
FREE_OF = frozenset(("of", "from"))

_WHY = {
    "uncertain": "leaves it uncertain",
    "historical": "speaks of another time",
    "scope": "limits it in a way that is not read",
    "exception": "limits it in a way that is not read",
}


@dataclass(kw_only=True)
class Clause:
    """Words up to a comma, a full stop, or a word such as "but".

    Attributes:
        tokens: Its words, the end included.
        statement: Number of its statement; a statement ends with a full stop or semicolon.
        reason: Why it states nothing for certain; empty if it does.
    """

    tokens: list[Token] = field(default_factory=list)
    statement: int = 0
    reason: str = ""

    @property
    def words(self) -> list[Token]:
        """Its words without the end."""
        return [token for token in self.tokens if not token.ends_clause]


class StatementReader:
    """Finds the clauses that state something for certain.

    Args:
        vocabulary: The vocabulary.
        lexicon: Its words.
    """

    def __init__(self, vocabulary: Vocabulary, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._grammar = vocabulary.grammar
        rules = [factor.read for factor in vocabulary.factors]
        self._counted = frozenset(
            noun for rule in rules if isinstance(rule, CountRule) for noun in rule.nouns
        )
        self._negations = frozenset(vocabulary.grammar.negations)
        self._clean = self._negations & set(lexicon.language.clean)
        self._joins = frozenset((*vocabulary.grammar.words, *lexicon.language.function_words))
        self._terms_of_medicine = frozenset(lexicon.language.terms)
        self._terms = frozenset(
            word
            for rule in rules
            if isinstance(rule, SubsetRule)
            for word in rule.keywords_read - set(rule.region)
        )
        self._before_places = frozenset((*lexicon.language.in_places, *lexicon.language.definite))
        self._others = frozenset(vocabulary.grammar.others)
        self._places = frozenset(vocabulary.grammar.places)
        self._ends_denial = self._negations | lexicon.fillers
        self._meaningless = self._ends_denial | {",", None}

    def clauses(self, tokens: Sequence[Token]) -> list[Clause]:
        """Return the clauses of a sentence in order, each with the reason that withdraws it."""
        clauses = list(divide(list(self._with_exceptions(tokens))))
        for before, clause in pairwise((Clause(statement=-1), *clauses)):
            clause.reason = self._reason(clause, denied=self._lists_denied(before, clause))
        for number in dict.fromkeys(clause.statement for clause in clauses):
            own = [clause for clause in clauses if clause.statement == number]
            self._withdraw_listed(own)
            self._withdraw_bare(own)
            reason = self._statement_reason(own)
            # "Left lower lobe pneumonia. Cannot be excluded." speaks of the statement before.
            alone = not any(self.has_meaning(clause.tokens) for clause in own)
            for clause in clauses:
                if clause.statement == number or (alone and clause.statement == number - 1):
                    clause.reason = clause.reason or reason
        return clauses

    def _with_exceptions(self, tokens: Sequence[Token]) -> Iterator[Token]:
        """Yield the tokens; a word such as "except" ends a clause where it is read as an exception."""
        if not any(token.cue == "exception" for token in tokens):
            yield from tokens
            return
        for statement in _statements(tokens):
            cues = [place for place, token in enumerate(statement) if token.cue == "exception"]
            exception = len(cues) == 1 and self._is_exception(statement[: cues[0]], statement[cues[0] + 1 :])
            for token in statement:
                ends = exception and token.cue == "exception"
                yield replace(token, word=",") if ends else token

    def _is_exception(self, before: Sequence[Token], after: Sequence[Token]) -> bool:
        """Return whether a part of a region is excepted from a denial: "lungs clear" and "lower left"."""
        denials = [token for token in before if token.word in self._grammar.negations]
        plain = all(
            token.cue in (None, "qualifier") and token.word is not None for token in (*before, *after)
        )
        parts = any(token.word in self._terms for token in before)
        denied = any(token.word in self._grammar.negations for token in after)
        named = any(token.word in self._terms for token in after)
        return len(denials) == 1 and plain and named and not (parts or denied)

    def has_meaning(self, tokens: Sequence[Token]) -> bool:
        """Return whether any word carries the meaning of a factor, or names a lesion or a region."""
        return any(token.word not in self._meaningless for token in tokens)

    def _statement_reason(self, clauses: Sequence[Clause]) -> str:
        """Return why no clause of a statement states anything for certain; empty if one may."""
        for clause in clauses:
            for token in clause.tokens:
                if token.cue in _WHY and not (token.ends_clause and token.cue == "exception"):
                    text = text_of([token for clause in clauses for token in clause.words])
                    return f"'{token.found}' in '{text}' {_WHY[token.cue]}"
        for clause in clauses:
            words = clause.words
            apart = any(token.found.lower() in self._others for token in words) or (
                words and (words[0].word in self._places or self._denies_other_things(words))
            )
            if any(token.foreign for token in words) and not apart and not self.has_meaning(words):
                return clause.reason
        return ""

    def _denies_other_things(self, words: Sequence[Token]) -> bool:
        """Return whether words deny things of medicine that the grammar does not know: "no ulcer"."""
        foreign = [token.found.lower() for token in words if token.foreign]
        return is_negation(words[0], self._grammar, self._lexicon) and set(foreign) <= self._terms_of_medicine

    def _lists_denied(self, before: Clause, clause: Clause) -> bool:
        """Return whether a clause goes on with a list of denied lesions: "no opacity, ... or infection"."""
        if before.statement != clause.statement or not _ends_with_comma(before):
            return False
        if before.reason or not self._has_negation(before.words):
            return False  # "no nodule, opacity or infection in the left lung"
        named = list(takewhile(lambda token: token.word not in self._lexicon.places, clause.words))
        return all(
            token.word in self._grammar.lesions or token.found.lower() in self._joins for token in named
        )

    def _withdraw_listed(self, clauses: Sequence[Clause]) -> None:
        """Withdraw what a list of denied things leaves open.

        "No effusion, opacity in the left lung, or ..." may deny the opacity, and "no effusion, opacity, or
        infection in the left lung" may deny effusion only there.
        """
        start: int | None = None
        for place, clause in enumerate(clauses):
            if self._has_negation(clause.words):
                start = place
            elif start is not None and clause.words and clause.words[0].cue == "alternative":
                names_place = self._names_place(clause) and not self._names_place(clauses[start])
                open_ = [listed for listed in clauses[start + 1 : place] if self._names_place(listed)]
                for listed in (*open_, *([clauses[start]] if names_place else ())):
                    text = text_of([*listed.words, *clause.words])
                    why = f"'{clause.words[0].found}' in '{text}' leaves open what is denied"
                    listed.reason = listed.reason or why

    def _withdraw_bare(self, clauses: Sequence[Clause]) -> None:
        """Withdraw a lesion with a place that may go on with a list of denied things.

        "No effusion, consolidation in the left lower lobe" may deny the consolidation. An article, a number
        or a verb begins a statement: "no effusion, a consolidation in the left lower lobe". A verb or a
        negation ends a denial: "no effusion is seen", "effusion absent".
        """
        denial: Clause | None = None
        for before, clause in pairwise((Clause(), *clauses)):
            if self._has_negation(clause.words):
                # What a denial that is read reaches, `NegationScope` says.
                ends = clause.words[-1].word in self._ends_denial
                denial = clause if clause.reason and not (ends or self._names_place(clause)) else None
            elif any(token.word in self._clean for token in clause.words) or not _ends_with_comma(before):
                denial = None
            elif denial is not None and self._is_bare(clause):
                text = text_of([*denial.words, *clause.words])
                clause.reason = clause.reason or f"'{text}' leaves open what is denied"

    def _is_bare(self, clause: Clause) -> bool:
        """Return whether a clause is a lesion and its place, without article, number or verb."""
        named = list(takewhile(lambda token: not self._is_place(token), clause.words))
        first = next((token for token in named if token.cue != "qualifier"), None)
        if first is None or first.word not in self._grammar.lesions or len(named) == len(clause.words):
            return False
        return all(
            token.word in self._grammar.lesions
            or token.cue == "qualifier"
            or token.found.lower() in self._before_places
            for token in named
        )

    def _names_place(self, clause: Clause) -> bool:
        return any(map(self._is_place, clause.words))

    def _has_negation(self, words: Sequence[Token]) -> bool:
        return any(is_negation(token, self._grammar, self._lexicon) for token in words)

    def _reason(self, clause: Clause, *, denied: bool) -> str:
        """Return why a clause by itself states nothing for certain; empty if it does.

        Args:
            clause: The clause.
            denied: Whether the negation of the clause before it holds for it too.
        """
        words = clause.words
        text = f"'{text_of(words)}'"
        foreign = next((token.found for token in words if token.foreign), None)
        if foreign is not None:
            return f"{text} has the word '{foreign}', which the grammar does not know"
        negated = denied or self._negates(words)
        for token in words:
            if token.cue == "qualifier" and negated:
                return f"'{token.found}' narrows the negation in {text}"
            if token.cue == "alternative" and not negated:
                return f"'{token.found}' in {text} leaves open what is meant"
        subject = self._other_subject(words)
        if subject is not None:
            return f"'{subject.found}' may be what {text} speaks of"
        numbers = [place for place, token in enumerate(words) if is_number(token, self._grammar)]
        if numbers and self._counted and not any(t.word in self._counted for t in words[numbers[-1] :]):
            return f"'{words[numbers[-1]].found}' in {text} counts nothing that is named"
        return ""

    def _other_subject(self, words: Sequence[Token]) -> Token | None:
        """Return what a denial may speak of instead of a whole region; None if there is nothing.

        It is the size in "left lung size normal", a part in "part of the left lung is clear", and the lesion
        in "the lesion is clear in the left lung".
        """
        if not any(token.word in self._negations for token in words):
            return None
        language = self._lexicon.language
        clean = [place for place, token in enumerate(words) if token.word in self._clean]
        denies = bool(clean) or self._has_negation(words)
        for before, token in pairwise((None, *words)):
            if token is None:
                continue
            found = token.found.lower()
            if clean and found.rpartition(" ")[2] in language.properties:
                return token
            # "the lower part of the left lung is clear", "no part of the left lung is infected"
            named = before is not None and (self._is_place(before) or before.word in self._grammar.negations)
            if denies and found in language.partitives and not named:
                return token
        for place in clean:
            before = next((t for t in reversed(words[:place]) if t.word not in self._lexicon.fillers), None)
            placed = any(token.found.lower() in language.in_places for token in words[place + 1 : place + 2])
            if placed and before is not None and before.word in self._grammar.lesions:
                return before
        return None

    def _is_place(self, token: Token) -> bool:
        return token.word in self._lexicon.places

    def _negates(self, words: Sequence[Token]) -> bool:
        """Return whether a clause denies what its words name: with "no", or with "free of"."""
        clean = self._lexicon.language.clean
        return self._has_negation(words) or any(
            token.word in clean and after.word in FREE_OF for token, after in pairwise(words)
        )


def _ends_with_comma(clause: Clause) -> bool:
    return bool(clause.tokens) and clause.tokens[-1].found == ","


def _statements(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the statements of a sentence, their ends included."""
    statement: list[Token] = []
    for token in tokens:
        statement.append(token)
        if token.ends_statement:
            yield statement
            statement = []
    yield statement


def is_number(token: Token, grammar: Grammar) -> bool:
    """Return whether a word is a number, in digits or letters, or a word for "more than one"."""
    word = token.word or ""
    return word[:1].isdecimal() or word in grammar.numbers or word in grammar.many


def is_negation(token: Token, grammar: Grammar, lexicon: Lexicon) -> bool:
    """Return whether a word negates another word: "no" does, "clear" does not."""
    return token.word in grammar.negations and token.word not in lexicon.language.clean


def negated_places(tokens: Sequence[Token], grammar: Grammar, lexicon: Lexicon) -> set[int]:
    """Return the places of the words that stand in one clause with a negation.

    "And" ends the clause if a negation follows. A list goes on after its commas until its noun ("no large,
    red polyp").
    """
    places: set[int] = set()
    negations = frozenset(grammar.negations)
    if not any(token.word in negations for token in tokens):
        return places
    span: list[int] = []
    carried = negated = False
    for place, token in enumerate((*tokens, Token(found="", word=",", piece=-1))):
        follows = place + 1 < len(tokens) and is_negation(tokens[place + 1], grammar, lexicon)
        if not (token.ends_clause or (token.word == "and" and follows)):
            span.append(place)
            if token.word in negations:
                negated, carried = True, carried or is_negation(token, grammar, lexicon)
            elif token.word in lexicon.nouns:
                carried = False
            continue
        places.update(span if negated else ())
        negated, span = carried, []
        if token.ends_statement:
            negated = carried = False
    return places


def divide(tokens: Sequence[Token]) -> Iterator[Clause]:
    """Yield the clauses of a sentence."""
    clause = Clause()
    for token in tokens:
        clause.tokens.append(token)
        if token.ends_clause:
            yield clause
            clause = Clause(statement=clause.statement + token.ends_statement)
    if clause.tokens:
        yield clause
