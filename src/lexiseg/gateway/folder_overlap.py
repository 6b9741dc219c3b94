"""Folders of a configuration that must lie apart: a source of the kind folder removes what lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import FolderDestination, FolderSource, GatewayConfiguration


def require_apart(configuration: GatewayConfiguration, file: Path) -> None:
    """Refuse folders that lie in each other, where a file that is needed would be removed.

    Args:
        configuration: What the user wrote, with absolute paths.
        file: Where the user wrote it.

    Raises:
        UsageError: A folder of a source holds another path of the configuration or its file; it lies in the
            state folder or in a destination; or a destination lies in the state folder.
    """
    named = {"the configuration": file, **dict(_paths(configuration, ""))}
    sources = {
        f"sources.{name}.path": source.path
        for name, source in configuration.sources.items()
        if isinstance(source, FolderSource)
    }
    destinations = {
        f"destinations.{name}.path": destination.path
        for name, destination in configuration.destinations.items()
        if isinstance(destination, FolderDestination)
    }
    for field, folder in sources.items():
        for other, path in named.items():
            if other != field and _lies_in(path, folder):
                raise _refusal(file, f"`{field}` ({folder})", f"{_quoted(other)} ({path})", inside=False)
        for other, path in {"state": configuration.state, **destinations}.items():
            if _lies_in(folder, path):
                raise _refusal(file, f"`{field}` ({folder})", f"`{other}` ({path})", inside=True)
    for field, folder in destinations.items():
        if _lies_in(folder, configuration.state):
            raise UsageError(
                f"{file}: `{field}` ({folder}) is the folder `state` ({configuration.state}) or lies in it, "
                "where the gateway removes files that it does not know. Name a folder of its own.",
                code="LEX-USE-1871",
            )


def _refusal(file: Path, source: str, other: str, *, inside: bool) -> UsageError:
    found = f"it is {other} or lies in it" if inside else f"{other} is this folder or lies in it"
    return UsageError(
        f"{file}: the gateway removes all files that it has read from {source}, but {found}. Name a folder "
        "as source into which only images are put.",
        code="LEX-USE-1870",
    )


def _quoted(name: str) -> str:
    return name if " " in name else f"`{name}`"


def _paths(settings: BaseModel, place: str) -> Iterator[tuple[str, Path]]:
    """Yield the paths that a part of a configuration names, and the fields that name them."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            yield f"{place}{name}", value
        elif name == "run" and os.path.isabs(value):  # a shipped model has no folder here
            yield f"{place}{name}", Path(value)
        elif isinstance(value, BaseModel):
            yield from _paths(value, f"{place}{name}.")
        elif isinstance(value, dict):
            for key, part in value.items():
                yield from _paths(part, f"{place}{name}.{key}.")
        elif name == "rules":
            for number, rule in enumerate(value):
                yield from _paths(rule, f"{place}{name}.{number}.")


def _lies_in(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or lies in it, also by links."""
    inner, outer = (Path(os.path.normcase(one.resolve())) for one in (path, folder))
    return inner.is_relative_to(outer)
