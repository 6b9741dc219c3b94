"""Factor vocabularies: the closed lists of phrases that descriptions are made of, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from lexiseg.errors import DataError, UsageError
from lexiseg.json_records import PartlyWritten
from lexiseg.printable import brief, counted
from lexiseg.structured_text import MAX_YAML_BYTES, UnusableTextError, parse_yaml, read_bytes
from lexiseg.validation import locate
from lexiseg.words.codes import Codes
from lexiseg.words.description import UNKNOWN, Description, Reading, ShownSide, Side, Source
from lexiseg.words.factor import Factor
from lexiseg.words.flip_tables import AXES, Axis, FlipTable, check_grids, flip_table, names_with_mirrored
from lexiseg.words.grammar import Grammar, Keyword, Opposites, SentenceRule, Template, VocabularyData
from lexiseg.words.grammar_words import STRICT
from lexiseg.words.text import split_words

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Vocabulary(PartlyWritten, VocabularyData):
    """Factors in order, coarse to fine, with the grammar of reports and the template of sentences.

    Attributes:
        name: Short name.
        title: Name shown to readers.
        side: Side convention of its report sheets unless a data set states another one.
        keyword: What is segmented.
        opposites: Words that swap when an image is mirrored.
        sentence: How a description becomes a sentence.
        grammar: The words that reports may contain.
        factors: The factors.
        flip_holes: Whether phrases may lack a mirrored counterpart; only for vocabularies made from a sheet.
        codes: Codes of terminologies, for structured reports; written only where there are any.
        side_stated: Whether a data set states `side`. It matters for sentences of a sheet, which no grammar
            reads; written only where it is true.
    """

    LEFT_OUT = frozenset({"codes", "side_stated"})

    name: str
    title: str
    side: Side = "image"
    keyword: Keyword
    opposites: Opposites = Opposites()
    sentence: Template
    grammar: Grammar = Grammar()
    factors: tuple[Factor, ...] = Field(min_length=1)
    flip_holes: bool = False
    codes: Codes = Codes()
    side_stated: bool = False

    _flip_tables: dict[Axis, FlipTable] = PrivateAttr(default_factory=dict)

    def __repr__(self) -> str:
        return brief(
            self,
            self.name,
            counted(len(self.factors), "factor"),
            counted(sum(len(factor.phrases) for factor in self.factors), "phrase"),
            "left and right not known"
            if self.shown_side(self.side) == "unknown"
            else f"left and right of the {self.side}",
        )

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        _check_names(self)
        _check_codes(self)
        _check_opposites(self.opposites)
        for axis in AXES:
            self._flip_tables[axis] = flip_table(
                self.factors, self.opposites, axis, allow_holes=self.flip_holes
            )
        if info.context == STRICT:
            check_grids(self.factors, self._flip_tables)
        return self

    @property
    def flip_tables(self) -> dict[Axis, FlipTable]:
        """What each phrase becomes when the image is mirrored; see `lexiseg.words.flip_tables.flip_table`."""
        return self._flip_tables

    @property
    def quotes_sentences(self) -> bool:
        """Whether phrases are sentences of a sheet that no grammar reads: nothing checks their sides."""
        return any(isinstance(factor.read, SentenceRule) for factor in self.factors)

    def shown_side(self, side: Side) -> ShownSide:
        """Return whose left its words mean; "unknown" for sentences of a sheet whose side nothing states.

        Args:
            side: Side convention of the words. The image's is also what is taken without a statement.
        """
        unstated = self.quotes_sentences and side == "image" and not self.side_stated
        return "unknown" if unstated else side

    def with_stated_side(self) -> Vocabulary:
        """Return the vocabulary of a data set that states the side of its words."""
        return Vocabulary.from_dict({**self.to_dict(), "side_stated": True})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors, in order."""
        return tuple(factor.name for factor in self.factors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of phrases per factor, in order."""
        return tuple(len(factor.phrases) for factor in self.factors)

    def only(self, names: Sequence[str]) -> Vocabulary:
        """Return the vocabulary with some of its factors; the sentence leaves the others out.

        Args:
            names: The factors; the factors they become in a mirrored image are kept too ("right" with
                "left").
        """
        names = names_with_mirrored(self.names, self._flip_tables, names, AXES)
        value = self.to_dict()
        value["factors"] = [factor for factor in value["factors"] if factor["name"] in names]
        filled = {*names, "keyword"}
        clauses = [
            {**clause, "parts": [part for part in clause["parts"] if _placeholders(part) <= filled]}
            for clause in value["sentence"]["clauses"]
        ]
        value["sentence"] = {**value["sentence"], "clauses": [c for c in clauses if c["parts"]]}
        if self.keyword.counted_by not in names:
            value["keyword"] = {**value["keyword"], "counted_by": None}
        value["grammar"] = {
            **value["grammar"],
            "regions": _region_limits_of(value["grammar"]["regions"], names),
        }
        value["codes"] = _codes_of(self.codes, value["factors"])
        return Vocabulary.from_dict(value)

    def factor(self, name: str) -> Factor:
        """Return the factor called `name`.

        Raises:
            KeyError: There is none.
        """
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise KeyError(name)

    def describe(
        self,
        indices: Sequence[int],
        *,
        source: Source,
        side: Side | None = None,
        problems: Sequence[str] = (),
    ) -> Description:
        """Return the description with one phrase per factor and the sentence that the template makes of them.

        Args:
            indices: One index per factor; `UNKNOWN` for unknown factors.
            source: Where the description comes from.
            side: Side convention of the indices; default: the vocabulary's.
            problems: What could not be read or measured.
        """
        readings = tuple(
            Reading(factor=f.name, index=i, phrase=None if i == UNKNOWN else f.phrases[i])
            for f, i in zip(self.factors, indices, strict=True)
        )
        return Description(
            source=source,
            side=side or self.side,
            readings=readings,
            sentence=self.sentence_for(indices),
            problems=tuple(problems),
        )

    def sentence_for(self, indices: Sequence[int]) -> str:
        """Return the sentence that the template makes of the known factors; empty if none is known."""
        known = {
            factor.name: (factor.phrases[index], index)
            for factor, index in zip(self.factors, indices, strict=True)
            if index != UNKNOWN
        }
        if not known:
            return ""
        counted = known.get(self.keyword.counted_by or "", ("", 0))[1]
        values = {name: phrase for name, (phrase, _) in known.items()}
        values["keyword"] = self.keyword.plural if counted > 0 else self.keyword.singular
        clauses = []
        for clause in self.sentence.clauses:
            pieces = [_filled(part, values) for part in clause.parts if _placeholders(part) <= values.keys()]
            if pieces:
                clauses.append(clause.joiner.join(pieces))
        text = ", ".join(clauses).rstrip(".")
        return f"{text[:1].upper()}{text[1:]}." if text else ""

    def to_dict(self) -> dict[str, Any]:
        """Return values for JSON; `from_dict` is the inverse."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, value: dict[str, Any], *, origin: str = "vocabulary", strict: bool = False) -> Self:
        """Build a vocabulary from the values of `to_dict` or of a YAML file.

        Args:
            value: The values.
            origin: Where they come from, for messages.
            strict: Whether words that no report can match are refused.

        Raises:
            DataError: A field is unknown or missing, or has an impossible value; the message names file,
                factor and phrase.
        """
        try:
            return cls.model_validate(value, context=STRICT if strict else None)
        except ValidationError as error:
            raise DataError(f"{origin}: {_explain(error, value)}.", code="LEX-DATA-003") from error


def shipped_vocabularies() -> tuple[str, ...]:
    """Return the names of the vocabularies that come with the package, sorted."""
    folder = resources.files("lexiseg.words") / "vocabularies"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_vocabulary(name_or_path: str | Path) -> Vocabulary:
    """Return a shipped vocabulary by name, or a user's own from a YAML file.

    Args:
        name_or_path: A shipped name such as "chest", or the path of a file ending in .yaml or .yml.

    Raises:
        UsageError: Neither a shipped name nor an existing file; the message lists the shipped names.
        DataError: The file is not a vocabulary; the message names file, factor and phrase.
    """
    if str(name_or_path) in shipped_vocabularies():
        return _load_shipped(str(name_or_path))
    path = Path(name_or_path)
    if path.suffix.lower() not in {".yaml", ".yml"} or not path.is_file():
        raise UsageError(
            f"No vocabulary '{name_or_path}': expected one of the shipped names "
            f"({', '.join(shipped_vocabularies())}) or the path of an existing YAML file.",
            code="LEX-USE-003",
        )
    try:
        return _parse(read_bytes(path, MAX_YAML_BYTES), str(path))
    except (OSError, UnusableTextError) as error:
        raise DataError(f"{path} cannot be read: {error}.", code="LEX-DATA-770") from error


@cache
def _load_shipped(name: str) -> Vocabulary:
    file = resources.files("lexiseg.words") / "vocabularies" / f"{name}.yaml"
    return _parse(file.read_bytes(), f"vocabularies/{name}.yaml")


class _WordLoader(yaml.SafeLoader):
    """Reads YAML with `no`, `on` and `off` as words, as in a list of negations, not as truth values."""


_WordLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool") or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parse(content: bytes, origin: str) -> Vocabulary:
    try:
        value = parse_yaml(content, loader=_WordLoader)
    except UnusableTextError as error:
        raise DataError(
            f"{origin} is not valid YAML: {' '.join(str(error).split())}", code="LEX-DATA-004"
        ) from error
    if not isinstance(value, dict):
        raise DataError(
            f"{origin}: expected a vocabulary (a mapping with name, title, factors, ...), "
            f"got {type(value).__name__}.",
            code="LEX-DATA-005",
        )
    return Vocabulary.from_dict(value, origin=origin, strict=True)


def _filled(part: str, values: Mapping[str, str]) -> str:
    """Return a part of a template with its phrases.

    `str.format` is not used: it would let a vocabulary file read attributes and make texts of any length.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], part)


def _placeholders(part: str) -> set[str]:
    return set(_PLACEHOLDER.findall(part))


def _region_limits_of(regions: dict[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Return what `grammar.regions` says of the factors `names`; None if it also needs other factors."""
    if regions is None or not set(regions["factors"]) <= set(names):
        return None
    limits = {key: regions[key] for key in ("exactly", "at_most")}
    kept = {key: limit if limit and limit["factor"] in names else None for key, limit in limits.items()}
    return {**regions, **kept}


def _codes_of(codes: Codes, factors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the codes of some factors and of their phrases."""
    names = {factor["name"] for factor in factors}
    phrases = {phrase for factor in factors for phrase in factor["phrases"]}
    kept = codes.model_copy(
        update={
            "factors": {name: code for name, code in codes.factors.items() if name in names},
            "phrases": {phrase: code for phrase, code in codes.phrases.items() if phrase in phrases},
        }
    )
    return kept.model_dump(mode="json")


def _check_codes(vocabulary: Vocabulary) -> None:
    """Check that every code belongs to a factor or phrase of the vocabulary."""
    phrases = {phrase for factor in vocabulary.factors for phrase in factor.phrases}
    for name in vocabulary.codes.factors:
        if name not in vocabulary.names:
            raise ValueError(f"codes.factors names the factor '{name}', but there is none of that name")
    for phrase in vocabulary.codes.phrases:
        if phrase not in phrases:
            raise ValueError(f"codes.phrases names the phrase '{phrase}', which no factor has")


def _check_names(vocabulary: Vocabulary) -> None:
    """Check that factor names are unique and that every name used elsewhere is one of them."""
    names = vocabulary.names
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"factor '{name}' is defined twice")
    if "keyword" in names:
        raise ValueError("a factor cannot be called 'keyword', which the sentence template uses")
    parts = [part for clause in vocabulary.sentence.clauses for part in clause.parts]
    used = {name: "sentence" for part in parts for name in _placeholders(part) - {"keyword"}}
    if vocabulary.keyword.counted_by is not None:
        used[vocabulary.keyword.counted_by] = "keyword.counted_by"
    regions = vocabulary.grammar.regions
    if regions is not None:
        used |= dict.fromkeys(regions.factors, "grammar.regions.factors")
        for limit in (regions.exactly, regions.at_most):
            if limit is not None:
                used[limit.factor] = "grammar.regions"
    for part in parts:
        if set("{}") & set(_PLACEHOLDER.sub("", part)):
            raise ValueError(f"sentence: expected braces around factor names only, got '{part}'")
    for name, where in used.items():
        if name not in names:
            raise ValueError(f"{where} names the factor '{name}', but the factors are {', '.join(names)}")
    if regions is not None:
        for limit in (regions.exactly, regions.at_most):
            if limit is not None and len(limit.regions) != len(vocabulary.factor(limit.factor).phrases):
                raise ValueError(
                    f"grammar.regions: expected one number per phrase of factor '{limit.factor}' "
                    f"({len(vocabulary.factor(limit.factor).phrases)}), got {len(limit.regions)}"
                )
        for name in regions.factors:
            rule = vocabulary.factor(name).read
            if rule is None or not rule.has_empty_set:
                raise ValueError(
                    f"grammar.regions: factor '{name}' must be read by a 'subset' rule with one empty set "
                    f"(no lesion)"
                )


def _check_opposites(opposites: Opposites) -> None:
    """Check that each word has one opposite per axis."""
    for axis in AXES:
        words = [word for pair in getattr(opposites, axis) for word in pair]
        for word in words:
            if words.count(word) > 1:
                raise ValueError(f"opposites.{axis}: the word '{word}' stands in two pairs")
            if split_words(word) != (word,):
                raise ValueError(f"opposites.{axis}: expected single lower-case words, got '{word}'")


def _explain(error: ValidationError, value: dict[str, Any]) -> str:
    """Return all problems of a vocabulary, each with its factor and field."""
    lines = []
    for found in error.errors():
        place, said = locate(Vocabulary, found)
        where: list[str] = []
        if place[:1] == ("factors",) and len(place) > 1 and isinstance(place[1], int):
            factor = value["factors"][place[1]]
            name = factor.get("name") if isinstance(factor, dict) else None
            where.append(f"factor '{name}'" if name else f"factor number {place[1] + 1}")
            place = place[2:]
        if place:
            where.append(".".join(map(str, place)))
        lines.append(": ".join([*where, said]))
    return "; ".join(dict.fromkeys(lines))
