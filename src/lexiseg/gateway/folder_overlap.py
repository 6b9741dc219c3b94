"""Folders of a configuration that must lie apart: in some, the gateway removes files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import FolderDestination, FolderSource, GatewayConfiguration
from lexiseg.gateway.destinations.folder import holds_results
from lexiseg.gateway.queue.spool import CLEANED


def require_apart(configuration: GatewayConfiguration, file: Path) -> None:
    """Refuse folders that lie in each other, where a file that is needed would be removed.

    Args:
        configuration: What the user wrote, with absolute paths.
        file: Where the user wrote it.

    Raises:
        UsageError: A source reads a folder that holds another path of the configuration or its file, files of
            the gateway, or results of a destination; or a destination lies in a folder that is tidied.
    """
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
    named = {"the configuration": file, **dict(_paths(configuration, ""))}
    for field, folder in sources.items():
        _require_only_images(field, folder, named, file)
        _require_outside(field, folder, configuration.state, destinations, file)
    for field, folder in destinations.items():
        for tidied in (configuration.state / name for name in CLEANED):
            if _below(folder, tidied) is not None:
                raise UsageError(
                    f"{file}: `{field}` ({folder}) is {tidied} or lies in it, where the gateway removes "
                    "files that it does not know. Name another folder.",
                    code="LEX-USE-1871",
                )


def _require_only_images(field: str, folder: Path, named: Mapping[str, Path], file: Path) -> None:
    """Refuse a source that reads and removes what the configuration names; it enters no hidden folders."""
    for other, path in named.items():
        below = _below(path, folder)
        if other != field and below is not None and not any(name.startswith(".") for name in below):
            raise _refusal(
                file, f"`{field}` ({folder})", f"{_quoted(other)} ({path}) is this folder or lies in it"
            )


def _require_outside(
    field: str, folder: Path, state: Path, destinations: Mapping[str, Path], file: Path
) -> None:
    """Refuse a source in a folder whose files the gateway needs, or that holds results."""
    source = f"`{field}` ({folder})"
    for tidied in (state / name for name in CLEANED):
        if _below(folder, tidied) is not None:
            raise _refusal(
                file, source, f"it is {tidied} or lies in it, where the gateway keeps files of its own"
            )
    for other, path in destinations.items():
        below = _below(folder, path)
        if below and holds_results(below[0]):
            raise _refusal(file, source, f"it lies in `{other}` ({path}), under a name of results")


def _refusal(file: Path, source: str, found: str) -> UsageError:
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


def _below(path: Path, folder: Path) -> tuple[str, ...] | None:
    """Return the names that lead from a folder to a path, also by links; None where it is not in it."""
    inner, outer = (Path(os.path.normcase(one.resolve())) for one in (path, folder))
    return inner.relative_to(outer).parts if inner.is_relative_to(outer) else None
