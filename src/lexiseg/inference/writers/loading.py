"""The writers of formats, made by name: the module of a format is loaded only if it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from lexiseg.errors import UsageError
from lexiseg.extras import install_hint
from lexiseg.inference.formats.output_format import Format
from lexiseg.inference.formats.registry import FORMATS, check_formats, format_named
from lexiseg.inference.writers.base import ImageWriter, Writer


def make_writers(formats: Sequence[str | Writer]) -> tuple[Writer, ...]:
    """Return one writer per format, each format once, in the order of its first mention.

    Args:
        formats: Names of formats, and writers as they are.

    Raises:
        UsageError: A name is unknown.
    """
    check_formats([given for given in formats if isinstance(given, str)])
    writers: dict[str, Writer] = {}
    for given in formats:
        writer = _load(format_named(given)) if isinstance(given, str) else given
        writers.setdefault(writer.name, writer)
    return tuple(writers.values())


def unwritten_formats(chosen: Sequence[Writer]) -> tuple[Writer, ...]:
    """Return one writer per format of files that is not chosen; it knows the files and writes none.

    Its writer is not loaded: it may need packages that are not installed.
    """
    names = {writer.name for writer in chosen}
    found: list[Writer] = []
    for known in FORMATS:
        if known.name not in names and known.folder is not None:
            writer = ImageWriter()
            writer.name, writer.folder, writer.suffix = known.name, known.folder, known.suffix
            found.append(writer)
    return tuple(found)


def _load(known: Format) -> Writer:
    if known.extra is not None and any(find_spec(name) is None for name in known.packages):
        raise UsageError(
            f"The output format {known.name} needs packages that are not installed. "
            f"{install_hint(known.extra)}",
            code="LEX-USE-943",
        )
    module, name = known.writer
    return cast("Writer", getattr(import_module(module), name)())
