"""No module outside `systems` may compare the name of a model or preset: such a fact belongs to a System."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lexiseg
from lexiseg.systems.registry import systems

_SOURCE = Path(lexiseg.__file__).parent
_NAMES = "|".join(sorted({name for system in systems() for name in (system.name, system.preset)}))
#: A comparison with a name, membership in a list of names, a table by name, or `config.paper`.
_BRANCH = re.compile(
    rf"""(==|!=|\bcase|\bin\s*[(\[{{])\s*["']({_NAMES})["']|["']({_NAMES})["']\s*(==|!=|:)|\.paper\b"""
)
_CLASSES = re.compile(r"isinstance\([^)]*\b\w*(StpNet|CoTexNet)\w*")


#: An import of what belongs to one system, or to some of them.
_IMPORT = re.compile(r"lexiseg\.systems\.(?!(?:configuration|registry|system)\b)\w+")
#: The types of all options that a user can give name the fields of each system.
_TYPES_OF_OPTIONS = "training/options.py"


def outside() -> list[Path]:
    return [
        path
        for path in sorted([*_SOURCE.rglob("*.py"), *_SOURCE.rglob("*.j2")])
        if "systems" not in path.relative_to(_SOURCE).parts[:1]
    ]


@pytest.mark.parametrize("pattern", [_BRANCH, _CLASSES], ids=["names", "classes"])
def test_no_module_outside_systems_branches_on_a_system(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(_SOURCE)}:{number}: {line.strip()}"
        for path in outside()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'if config.model == "stpnet":',
        "if 'paper' != preset:",
        'titles = {"stpnet": "STPNet"}',
        'if model in ("cotexnet", "stpnet"):',
        'case "compact":',
        "if config.paper:",
    ],
)
def test_the_pattern_finds_branches(line: str) -> None:
    assert _BRANCH.search(line)


def test_no_module_outside_systems_imports_one() -> None:
    importing = [
        path.relative_to(_SOURCE).as_posix()
        for path in outside()
        if _IMPORT.search(path.read_text(encoding="utf-8"))
    ]
    assert importing == [_TYPES_OF_OPTIONS]


def test_models_import_no_system() -> None:
    importing = [
        path.name
        for path in (_SOURCE / "models").glob("*.py")
        if "lexiseg.systems" in path.read_text(encoding="utf-8")
    ]
    assert importing == []
