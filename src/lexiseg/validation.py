"""Messages for refused values and options: the place, what was expected, and what came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lexiseg.errors import UsageError
from lexiseg.printable import counted

#: Longer values are cut in messages.
_LONGEST_VALUE = 80

_PLAIN_TYPES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}
_PLURALS = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts", "a path": "paths"}
_BOUNDS = {
    "gt": "above",
    "ge": "of at least",
    "lt": "below",
    "le": "at most",
    "multiple_of": "a multiple of",
}

# What a YAML or JSON file holds where fields are expected.
_CONTENTS: dict[type, str] = {NoneType: "nothing", str: "a text", list: "a list", bool: "true or false"}

#: A place in the validated values, as pydantic gives it: field names, keys and positions.
Place = tuple[int | str, ...]


def content_of(value: object) -> str:
    """Return what a YAML or JSON file holds instead of fields: "a list"."""
    return _CONTENTS.get(type(value), "a number")


def check_keywords(given: Mapping[str, object], options: type) -> None:
    """Refuse keyword arguments that are no options of a function.

    Args:
        given: The keyword arguments.
        options: The class, a `TypedDict`, whose fields are the options.

    Raises:
        UsageError: One of them is no option.
    """
    known = options.__annotations__
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: there is no such option. The options are: {', '.join(known)}.",
            code="LEX-USE-2110",
        )


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Return all problems of a validation as one sentence part, separated by semicolons.

    Args:
        model: The model that was validated.
        error: What pydantic raised.
    """
    found = error.errors()
    # pydantic counts an entry that it refuses as missing, so a list of one wrong entry is also too short.
    wrong = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    said = [one for one in found if one["type"] != "too_short" or one["loc"] not in wrong]
    return "; ".join(dict.fromkeys(problem(model, one) for one in said))


def problem(model: type[BaseModel], error: ErrorDetails) -> str:
    """Return one problem as a sentence part, such as "masks: expected a number above 0; got -2".

    Args:
        model: The model that was validated.
        error: One of the errors of its validation.
    """
    place, said = locate(model, error)
    name = ".".join(map(str, place))
    return f"{name}: {said}" if name else said


def locate(model: type[BaseModel], error: ErrorDetails) -> tuple[Place, str]:
    """Return the place of a problem, and what is wrong there.

    Args:
        model: The model that was validated.
        error: One of the errors of its validation.

    Returns:
        The place as field names, keys and positions (without pydantic's own marks for the members of a
        union), and a sentence part such as "expected a number above 0; got -2".
    """
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        home = _follow(model, loc[:-1])
        fields = ", ".join(_names(home.annotation)) if _is_model(home.annotation) else ""
        of = f" of {'.'.join(map(str, home.place))}" if home.place else ""
        return (*home.place, loc[-1]), f"there is no such field. The fields{of} are: {fields}"
    if kind == "invalid_key" or (loc and loc[-1] == "[key]"):
        at = loc[:-1] if loc[-1] == "[key]" else loc
        return at, f"expected a name; got {shown(error['input'])}"
    found = _follow(model, loc)
    if kind == "value_error":  # raised by a validator of our own, which says what it expected
        return found.place, error["msg"].removeprefix("Value error, ")
    expected = _expected(found.annotation) or _from_pydantic(error["msg"])
    if kind == "missing":
        return found.place, f"this field is missing: expected {expected}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = error["ctx"]["discriminator"].strip("'")
        tags = ", ".join(dict.fromkeys(_tags(found.annotation, key)))
        came = shown(error["input"].get(key)) if isinstance(error["input"], dict) else shown(error["input"])
        return (*found.place, key), f"expected one of {tags}; got {came}"
    return found.place, f"expected {expected}; got {shown(error['input'])}"


def shown(value: object) -> str:
    """Return a value as it is written in messages: cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


@dataclass(frozen=True)
class _Found:
    """A value's place, and the annotation it was validated by."""

    place: Place
    annotation: Any


def _follow(model: type[BaseModel], loc: Sequence[int | str]) -> _Found:
    """Follow a place from a model to the annotation there; stop at a union without tags."""
    place: list[int | str] = []
    annotation: Any = model
    for part in loc:
        bare, options = _bare(annotation), _members(annotation)
        if len(options) > 1:
            tagged = [option for option in options if part in _all_tags(option)]
            if len(tagged) != 1:
                break  # one of several types: the message names them all
            annotation = tagged[0]
            continue
        if _is_model(bare):
            field = next((f for name, f in bare.model_fields.items() if part in (name, f.alias)), None)
            if field is None:
                break
            annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        else:
            inner = [entry for entry in get_args(bare) if entry is not Ellipsis]
            if not inner:
                break
            fixed = get_origin(bare) is tuple and Ellipsis not in get_args(bare)
            annotation = inner[part] if fixed and isinstance(part, int) else inner[-1]
        place.append(part)
    return _Found(tuple(place), annotation)


def _bare(annotation: Any) -> Any:
    """Return an annotation without its metadata and without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = [part for part in get_args(annotation) if part is not NoneType]
    if _is_union(annotation) and len(kinds) == 1:
        return _bare(kinds[0])
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _members(annotation: Any) -> list[Any]:
    """Return the types of a union, None excluded; of anything else the type itself."""
    bare = _bare(annotation)
    if not _is_union(bare):
        return [bare]
    return [member for part in get_args(bare) if part is not NoneType for member in _members(part)]


def _tags(annotation: Any, key: str) -> Iterable[str]:
    """Yield the values of a discriminator, over the models of a union."""
    for member in _members(annotation):
        if _is_model(member) and key in member.model_fields:
            yield from get_args(member.model_fields[key].annotation)


def _all_tags(member: Any) -> set[object]:
    """Return all literal values that distinguish a model from others."""
    fields = member.model_fields.values() if _is_model(member) else ()
    return {value for f in fields if get_origin(f.annotation) is Literal for value in get_args(f.annotation)}


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _expected(annotation: Any) -> str:
    """Return what a field takes, in words; empty where this module has no words for its type."""
    bounds = _constraints(annotation)
    options = _members(annotation)
    if len(options) > 1:
        said = [_expected(option) for option in options]
        return " or ".join(dict.fromkeys(said)) if all(said) else ""
    (kind,) = options
    inner = [entry for entry in get_args(kind) if entry is not Ellipsis]
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is dict:
        return f"names, each with {_expected(inner[-1])}"
    if get_origin(kind) in (tuple, list):
        return _expected_list(kind, inner, bounds)
    if _is_model(kind):
        return _expected_model(kind)
    if kind not in _PLAIN_TYPES:
        return ""
    words = [_PLAIN_TYPES[kind], *_bounds(bounds)]
    words += [f"that matches {b.pattern}" for b in bounds if getattr(b, "pattern", None)]
    words += [f"of at least {b.min_length} character" for b in bounds if getattr(b, "min_length", None)]
    return " ".join(words)


def _expected_list(kind: Any, inner: Sequence[Any], bounds: Sequence[Any]) -> str:
    entry = _expected(inner[0]) or "entry"
    if get_origin(kind) is tuple and Ellipsis not in get_args(kind):
        return f"a list of {counted(len(inner), 'entry', 'entries')}, each {entry}"
    least = next((b.min_length for b in bounds if getattr(b, "min_length", None)), None)
    if least == 1:
        one = entry.removeprefix("a ") if entry in _PLURALS else f"entry, each {entry}"
        return f"a list of at least one {one}"
    number = "" if least is None else f"at least {least} "
    return f"a list of {number}{_PLURALS.get(entry, f'entries, each {entry}')}"


def _expected_model(model: type[BaseModel]) -> str:
    """Return the fields of a model, those first without which it cannot be."""
    needed = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    others = [name for name in _names(model) if name not in needed]
    if not needed:
        return f"some of the fields {', '.join(others)}"
    optional = f" (optional: {', '.join(others)})" if others else ""
    return f"the fields {', '.join(needed)}{optional}"


def _constraints(annotation: Any) -> list[Any]:
    """Return the bounds and patterns of an annotation; pydantic keeps them in the field that states them."""
    found: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *stated = get_args(annotation)
            found += [bound for part in stated for bound in getattr(part, "metadata", [part])]
            continue
        kinds = [part for part in get_args(annotation) if part is not NoneType]
        if _is_union(annotation) and len(kinds) == 1:
            (annotation,) = kinds
            continue
        return found


def _bounds(stated: Sequence[Any]) -> list[str]:
    """Return the bounds of a number in words: "above 0 and at most 1"; nothing where there are none."""
    parts = [
        f"{words} {_plain_number(getattr(bound, name))}"
        for bound in stated
        for name, words in _BOUNDS.items()
        if getattr(bound, name, None) is not None
    ]
    return [" and ".join(parts)] if parts else []


def _plain_number(value: Any) -> Any:
    """Return a number without its fraction if that is 0: some versions of pydantic give bounds as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _from_pydantic(message: str) -> str:
    """Return pydantic's own words for what was expected, as the end of a sentence."""
    return message.removeprefix("Input should be ").removeprefix("Input should ")
