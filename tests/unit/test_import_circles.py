"""Modules do not import each other in a circle, types included; imports inside functions do not count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import lexiseg

SOURCE = Path(lexiseg.__file__).parent


def modules() -> dict[str, Path]:
    """Return the files of the package's modules by name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Yield what a module imports when it is loaded or checked: modules, and names below them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # `if TYPE_CHECKING` and `try` stand at the top of a module; functions and classes are left out.
    nodes = [*tree.body, *(inner for node in tree.body if isinstance(node, ast.If) for inner in node.body)]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_no_modules_import_each_other() -> None:
    known = modules()
    graph = {}
    for name, path in known.items():
        whole = [found if found in known else found.rpartition(".")[0] for found in imported(path)]
        # A package may import from its own modules, and they may be loaded through it.
        graph[name] = {found for found in whole if found in known and found != name}
    packages = {name for name, path in known.items() if path.name == "__init__.py"}
    for package in packages:
        graph[package] = {found for found in graph[package] if not found.startswith(f"{package}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
