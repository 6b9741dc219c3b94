"""What is wrong with the fields of a configuration, in words: what was expected, and what came."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_BOUNDS = {
    "gt": "above",
    "ge": "of at least",
    "lt": "below",
    "le": "at most",
    "multiple_of": "a multiple of",
}


def problem(model: type[BaseModel], error: ErrorDetails) -> str:
    """Return one problem of a configuration as a sentence part, such as "masks: expected ...; got 2".

    Args:
        model: The configuration.
        error: One of the errors of its validation.
    """
    path = [str(part) for part in error["loc"]]
    name = ".".join(path)
    if error["type"] == "value_error":  # raised by a validator of our own, which says what it expected
        said = error["msg"].removeprefix("Value error, ")
        return f"{name}: {said}" if name else said
    if error["type"] == "extra_forbidden":
        home = _home(model, path[:-1])
        of = f" of {'.'.join(path[:-1])}" if path[:-1] else ""
        return f"{name}: there is no such field. The fields{of} are: {', '.join(home.model_fields)}"
    if error["type"] == "invalid_key" or path[-1] == "[key]":
        return f"{name.removesuffix('.[key]')}: expected a name; got {error['input']!r}"
    return f"{name}: expected {_expected(_annotation(model, path))}; got {error['input']!r}"


def _home(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """Return the model that a path of field names leads to."""
    for name in path:
        inner = model.model_fields[name].annotation
        assert isinstance(inner, type), name
        assert issubclass(inner, BaseModel), name
        model = inner
    return model


def _annotation(model: type[BaseModel], path: Sequence[str]) -> Any:
    """Return the annotation, bounds included, of the value at a path."""
    field = model.model_fields[path[0]]
    inner = field.annotation
    if len(path) == 1:
        return Annotated[inner, *field.metadata] if field.metadata else inner
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return _annotation(inner, path[1:])
    return get_args(inner)[-1]  # of a dictionary: its values


def _expected(annotation: Any) -> str:
    """Return what a field takes, in words; that a field may be left out goes without saying."""
    bounds: list[Any] = []
    if get_origin(annotation) is Annotated:
        annotation, *stated = get_args(annotation)
        # In an annotation, pydantic keeps the bounds in the field that states them.
        bounds = [bound for part in stated for bound in getattr(part, "metadata", [part])]
    kinds = [part for part in get_args(annotation) if part is not NoneType]
    if NoneType in get_args(annotation) and len(kinds) == 1:
        (annotation,) = kinds
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if get_origin(annotation) is dict:
        return f"names, each with {_expected(get_args(annotation)[-1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"some of the fields {', '.join(annotation.model_fields)}"
    return " ".join([_KINDS[annotation], *_bounds(bounds)])


def _bounds(stated: Sequence[Any]) -> list[str]:
    """Return the bounds of a number in words: "above 0 and at most 1"; nothing where there are none."""
    parts = [
        f"{words} {getattr(bound, name)}"
        for bound in stated
        for name, words in _BOUNDS.items()
        if hasattr(bound, name)
    ]
    return [" and ".join(parts)] if parts else []
