"""The expected reply for a vocabulary, and the parsing of replies; they are read as data, never executed."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from lexiseg.words.factor import Factor
from lexiseg.words.vocabulary import Vocabulary

#: Corners (x0, y0, x1, y1) as shares of width and height, from the upper left.
Box = tuple[float, float, float, float]

#: Value of one factor in a reply: a phrase, a number of regions, or a box.
Value = str | int | Box

#: Longer replies are refused.
MAX_REPLY = 8_000

_SHOWN = 80

_Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class InvalidReplyError(Exception):
    """A reply cannot be used; the message says why and is sent to the model."""


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplySchema:
    """The expected reply for one vocabulary.

    Args:
        vocabulary: The vocabulary. The reply has one key per factor: a whole number from 1 if regions are
            counted, a phrase or a box for a place in a 3 x 3 grid, otherwise one of the phrases.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._expected = {factor.name: _expectation(factor) for factor in vocabulary.factors}
        fields: dict[str, Any] = {factor.name: (_type(factor), ...) for factor in vocabulary.factors}
        self._model: type[BaseModel] = create_model("Reply", __base__=_Reply, **fields)

    @property
    def expected(self) -> dict[str, str]:
        """The expected value of each key, in words."""
        return dict(self._expected)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of a reply, for servers that support structured output."""
        return self._model.model_json_schema()

    def parse(self, reply: str) -> dict[str, Value]:
        """Parse a reply; text around the JSON object, such as a code fence, is ignored.

        Args:
            reply: The model's text.

        Returns:
            Value per factor.

        Raises:
            InvalidReplyError: There is no JSON object, or several, or it does not fit the schema.
        """
        value = _only_object(reply)
        try:
            return dict(self._model.model_validate(value))
        except ValidationError as error:
            keys = dict.fromkeys(str(e["loc"][0]) for e in error.errors())
            raise InvalidReplyError("; ".join(self._why(key, value) for key in keys)) from error

    def _why(self, key: str, value: dict[str, Any]) -> str:
        """Return what is wrong with one key."""
        if key not in self._expected:
            return f"the key '{key[:_SHOWN]}' is not asked for"
        if key not in value:
            return f"the key '{key}' is missing: expected {self._expected[key]}"
        return f"'{key}' must be {self._expected[key]}, not {shown(value[key])}"


def shown(value: object) -> str:
    """Return a value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _type(factor: Factor) -> Any:
    if factor.counts_regions:
        return Annotated[int, Field(ge=1, strict=True)]
    by_spelling = {phrase.casefold(): phrase for phrase in factor.phrases}

    def spelled(value: object) -> object:
        return by_spelling.get(value.strip().casefold(), value) if isinstance(value, str) else value

    # The phrases are known only at run time, so type checkers cannot read this type.
    phrase: Any = Annotated[Literal.__getitem__(factor.phrases), BeforeValidator(spelled)]
    if factor.measure is not None and factor.measure.names_grid_cells:
        return phrase | Annotated[tuple[_Share, _Share, _Share, _Share], AfterValidator(_ordered)]
    return phrase


def _expectation(factor: Factor) -> str:
    if factor.counts_regions:
        return "a whole number from 1"
    listed = "one of " + ", ".join(f'"{phrase}"' for phrase in factor.phrases)
    if factor.measure is not None and factor.measure.names_grid_cells:
        return f"{listed}, or a box [x0, y0, x1, y1] with 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1"
    return listed


def _ordered(box: Box) -> Box:
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise ValueError("corners in the wrong order")
    return box


def _only_object(reply: str) -> dict[str, Any]:
    """Return the only JSON object in a reply."""
    if len(reply) > MAX_REPLY:
        raise InvalidReplyError(f"the reply is longer than {MAX_REPLY} characters")
    decoder = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    found: list[dict[str, Any]] = []
    problem = ""
    position = reply.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(reply, position)
        except RecursionError as error:
            raise InvalidReplyError("the reply is nested too deeply") from error
        except ValueError as error:
            problem = problem or str(error)
            end = position + 1
        else:
            found.append(value)
        position = reply.find("{", end)
    if len(found) > 1:
        raise InvalidReplyError(f"the reply holds {len(found)} JSON objects instead of one")
    if not found:
        raise InvalidReplyError(f"the reply holds no valid JSON object{f' ({problem})' if problem else ''}")
    try:
        json.dumps(found[0], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # a single surrogate such as \ud83d cannot be encoded
        raise InvalidReplyError("the reply holds half of a character (a lone surrogate)") from error
    return found[0]


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
