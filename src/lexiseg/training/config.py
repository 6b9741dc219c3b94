"""From options and a YAML file to the configuration of a training, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lexiseg.errors import UsageError
from lexiseg.structured_text import UnusableTextError, read_yaml
from lexiseg.systems.configuration import LENGTHS, TrainConfig
from lexiseg.systems.registry import DEFAULT, get, systems
from lexiseg.systems.system import System
from lexiseg.training.start_settings import start_settings
from lexiseg.validation import content_of, problem

#: The resolved configuration in a run folder.
CONFIG_FILE = "config.yaml"


def make_config(
    options: Mapping[str, Any], file: str | Path | None = None, *, ignore_foreign: bool = False
) -> TrainConfig:
    """Merge a YAML file with options; options given explicitly win.

    Args:
        options: Field values; those that are None count as not given.
        file: YAML file with field values. A field that is null has no value if the system allows that, as
            `patience: null` does; otherwise it counts as not given.
        ignore_foreign: Whether to ignore fields of the file that only other systems have: Lexiseg 0.1.0 wrote
            the fields of all systems into the configuration of a run.

    Returns:
        An object of the configuration class of the system that `model` and `preset` name. Where `start_from`
        names a run, what makes its network and is not given is as in this run.

    Raises:
        UsageError: The file cannot be read, there is no such system, or a field is unknown, impossible, or
            one that the system does not have.
        RunError: The run that `start_from` names cannot be opened.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values: dict[str, Any] = {}
    if file is not None:
        values = _read_yaml(Path(file))
    without_value = [name for name, value in values.items() if value is None]
    values = {name: value for name, value in values.items() if value is not None}
    if given.keys() & set(LENGTHS):
        values = {name: value for name, value in values.items() if name not in LENGTHS}
    merged = {**values, **given}
    merged = {**start_settings(merged), **merged}
    system = _system(merged, given, file)
    merged |= {"model": system.name, "preset": system.preset}
    merged |= {name: None for name in without_value if name not in merged and _may_be_none(system, name)}
    foreign = _fields_of_others(system, merged)
    if ignore_foreign:
        merged = {name: value for name, value in merged.items() if name not in foreign}
    elif foreign:
        _refuse(foreign, system, given, file)
    try:
        return system.configuration.model_validate(merged)
    except ValidationError as error:
        problems = [_blamed(found, system, given, file) for found in error.errors()]
        raise UsageError(f"{'. '.join(problems)}.", code="LEX-USE-069") from error


def _system(merged: Mapping[str, Any], given: Mapping[str, Any], file: str | Path | None) -> System:
    """Return the system that a configuration names."""
    try:
        return get(merged.get("model", DEFAULT), merged.get("preset"))
    except UsageError as error:
        field = str(error).partition(":")[0]
        if field in given or file is None:
            raise
        raise type(error)(f"{file}: {error}", code=error.code) from error


def _may_be_none(system: System, name: str) -> bool:
    """Return whether None is a value of a field, and another one its default."""
    field = system.configuration.model_fields.get(name)
    return field is not None and field.default is not None and NoneType in get_args(field.annotation)


def _fields_of_others(system: System, merged: Mapping[str, Any]) -> list[str]:
    """Return the fields of a configuration that other systems have, but not this one."""
    own = system.configuration.model_fields
    others = {name for other in systems() for name in other.configuration.model_fields} - own.keys()
    return [name for name in merged if name in others]


def _refuse(
    foreign: list[str], system: System, given: Mapping[str, Any], file: str | Path | None
) -> NoReturn:
    """Refuse fields that the system does not have.

    Raises:
        UsageError: Always.
    """
    in_file = file is not None and not any(name in given for name in foreign)
    remedy = "Delete these lines of the file" if in_file else "Leave these options out"
    raise UsageError(
        f"{f'{file}: ' if in_file else ''}{', '.join(foreign)}: the {system.called} "
        f"has no such field. {remedy}, or choose another system. Its fields are: "
        f"{', '.join(system.configuration.model_fields)}.",
        code="LEX-USE-500",
    )


def _blamed(found: ErrorDetails, system: System, given: Mapping[str, Any], file: str | Path | None) -> str:
    """Return a problem as a sentence part, with the file's name if the value comes from the file."""
    sentence = problem(system.configuration, found)
    place = found["loc"]
    option = place[0] in given if place else not given.keys().isdisjoint(LENGTHS)
    return sentence if option or file is None else f"{file}: {sentence}"


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        value = read_yaml(file)
    except OSError as error:
        raise UsageError(
            f"The configuration {file} cannot be read: {error.strerror}.", code="LEX-USE-070"
        ) from error
    except UnusableTextError as error:
        raise UsageError(f"The configuration {file} cannot be read: {error}.", code="LEX-USE-071") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(
            f"The configuration {file} must hold fields such as `seed: 0`, not {content_of(value)}.",
            code="LEX-USE-072",
        )
    return value
