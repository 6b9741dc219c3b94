"""Installed packages, compared with what the installation of Lexiseg asks for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata

from packaging.requirements import Requirement

from lexiseg.extras import install_command
from lexiseg.installation.report import ExtraState, Finding

#: Extras of developers.
_LEFT_OUT = ("dev", "docs")

_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def requirements() -> tuple[str, ...]:
    """Return what the installation asks for, one requirement per package, with the extra as its marker.

    Empty where Lexiseg is not installed as a package, as in a copied folder.
    """
    try:
        return tuple(metadata.requires("lexiseg") or ())
    except metadata.PackageNotFoundError:
        return ()


def version_of(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def by_extra(stated: Sequence[str]) -> dict[str, tuple[Requirement, ...]]:
    """Return the requirements of each extra of users; those of "" are always needed."""
    found: dict[str, list[Requirement]] = defaultdict(list)
    for text in stated:
        needed = Requirement(text)
        for extra in _EXTRA.findall(text) or [""]:
            wanted = needed.marker is None or needed.marker.evaluate({"extra": extra})
            if wanted and extra not in _LEFT_OUT:
                found[extra].append(needed)
    return {extra: _with_included(extra, found) for extra in found}


def _with_included(extra: str, found: Mapping[str, Sequence[Requirement]]) -> tuple[Requirement, ...]:
    """Return the packages of an extra, and those of the extras that it includes."""
    packages: dict[str, Requirement] = {}
    for needed in found.get(extra, ()):
        if needed.name != "lexiseg":
            packages.setdefault(needed.name, needed)
        else:
            for included in sorted(needed.extras):
                packages |= {package.name: package for package in _with_included(included, found)}
    return tuple(packages.values())


def extra_states(needed: Mapping[str, Sequence[Requirement]]) -> tuple[ExtraState, ...]:
    """Return the state of each extra."""
    states = []
    for extra, packages in sorted(needed.items()):
        if extra:
            versions = {package.name: version_of(package.name) for package in packages}
            states.append(
                ExtraState(
                    name=extra,
                    installed={name: version for name, version in versions.items() if version is not None},
                    missing=tuple(name for name, version in versions.items() if version is None),
                )
            )
    return tuple(states)


def package_findings(needed: Mapping[str, Sequence[Requirement]]) -> list[Finding]:
    """Return packages that are missing, have another version than is needed, or belong to half an extra."""
    found: dict[str, Finding] = {}
    for extra, packages in needed.items():
        for package in packages:
            version = version_of(package.name)
            if version is None and not extra:
                found[package.name] = Finding(
                    kind="problem",
                    text=f"The package {package.name} is not installed.",
                    remedy=f"pip install '{package.name}{package.specifier}'",
                )
            elif version is not None and not package.specifier.contains(version, prereleases=True):
                found[package.name] = Finding(
                    kind="problem",
                    text=f"{package.name} {version} is installed; Lexiseg needs {package.specifier}.",
                    remedy=f"pip install '{package.name}{package.specifier}'",
                )
    states = extra_states(needed)
    # Packages that are there for something else say nothing about an extra that shares them.
    explained = {package.name for package in needed.get("", ())}
    explained.update(name for state in states if not state.missing for name in state.installed)
    for state in states:
        if state.missing and state.installed.keys() - explained:
            found[f"[{state.name}]"] = Finding(
                kind="note",
                text=f"The extra {state.name} is installed in part: {', '.join(state.missing)} missing.",
                remedy=f"If you need it: {install_command(state.name)}",
            )
    return list(found.values())
