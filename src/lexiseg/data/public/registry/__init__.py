"""The registry of public data sets: facts as data, found by name or alias."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib import resources

from pydantic import ValidationError

from lexiseg.data.public.registry.entry import ClassEntry, Entry, Importer, PairFolders, RemoteFile
from lexiseg.errors import DataError, UsageError
from lexiseg.json_records import reason
from lexiseg.structured_text import UnusableTextError, parse_yaml

__all__ = ["ClassEntry", "Entry", "Importer", "PairFolders", "RemoteFile", "find_entry", "load_registry"]


@cache
def load_registry() -> dict[str, Entry]:
    """Return all entries by name, sorted by title.

    Examples:
        >>> load_registry()["kvasir-seg"].modality
        'colonoscopy'
    """
    files = resources.files("lexiseg.data.public.registry") / "entries"
    entries = [
        _parse(file.read_text(encoding="utf-8"), file.name)
        for file in files.iterdir()
        if file.name.endswith(".yaml")
    ]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.title.lower())}


def _parse(text: str, name: str) -> Entry:
    """Return the entry of one file.

    Raises:
        DataError: A field is unknown or missing, or has an impossible value.
    """
    try:
        return Entry.model_validate(parse_yaml(text))
    except (UnusableTextError, ValidationError) as error:
        raise DataError(f"entries/{name}: {reason(Entry, error)}.", code="LEX-DATA-590") from error


def find_entry(name: str) -> Entry:
    """Return the entry with a name or alias; letter case, blanks, `-` and `_` are ignored.

    Raises:
        UsageError: No data set has that name; the message lists all names.

    Examples:
        >>> find_entry("COVID_Xray").title
        'QaTa-COV19 v2'
    """
    names = _names()
    key = _plain(name)
    if key in names:
        return names[key]
    close = difflib.get_close_matches(key, names, n=1)
    hint = f" Did you mean {names[close[0]].name}?" if close else ""
    raise UsageError(
        f"No data set '{name}'; there are: {', '.join(load_registry())}.{hint}",
        code="LEX-USE-012",
    )


@cache
def _names() -> dict[str, Entry]:
    """Index the entries by all their names, in the form that `_plain` gives them."""
    names: dict[str, Entry] = {}
    for entry in load_registry().values():
        for name in {_plain(text) for text in (entry.name, entry.title, *entry.aliases)}:
            assert name not in names, f"{entry.name} and {names[name].name} share the name {name}"
            names[name] = entry
    return names


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())
