"""The registry of public data sets: facts as data, found by any of the names people use."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib import resources

import yaml

from lexiseg.data.public.registry.entry import ClassEntry, Entry, Importer, PairFolders, RemoteFile
from lexiseg.errors import UsageError

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
        Entry.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in files.iterdir()
        if file.name.endswith(".yaml")
    ]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.title.lower())}


def find_entry(name: str) -> Entry:
    """Return the entry that a name or alias means; letter case, blanks, `-` and `_` do not count.

    Raises:
        UsageError: No data set has that name; the message lists those there are.

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
        f"No data set '{name}'; there are: {', '.join(load_registry())}.{hint}", code="LEX-USE-012"
    )


@cache
def _names() -> dict[str, Entry]:
    """Index the entries by all their names, written plainly."""
    names: dict[str, Entry] = {}
    for entry in load_registry().values():
        for name in {_plain(text) for text in (entry.name, entry.title, *entry.aliases)}:
            assert name not in names, f"{entry.name} and {names[name].name} share the name {name}"
            names[name] = entry
    return names


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())
