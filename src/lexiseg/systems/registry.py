"""The registry of systems: those that come with Lexiseg, and those that other packages bring.

A package brings a system by an entry point of the group `lexiseg.systems` that names a `System`, or a
sequence of them; a program can also call `register`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol

from lexiseg.errors import UsageError
from lexiseg.systems.system import System

if TYPE_CHECKING:
    from torch import nn

    from lexiseg.models.spec import NetworkSpec
    from lexiseg.models.text_bank import TextBank

#: Entry points of this group name systems of other packages.
ENTRY_POINTS = "lexiseg.systems"

#: The system of a training that names none.
DEFAULT = "stpnet"

#: Modules with the systems that come with Lexiseg, each in its `SYSTEMS`.
_BUILT_IN = ("lexiseg.systems.stpnet.system", "lexiseg.systems.cotexnet.system")


class NamesSystem(Protocol):
    """What names a system: a configuration, or the network of a run."""

    @property
    def model(self) -> str:
        """Name of the system."""

    @property
    def preset(self) -> str:
        """Its preset."""


_registered: dict[tuple[str, str], System] = {}
_loaded: set[str] = set()


def register(system: System) -> None:
    """Add a system, or replace the one of the same name and preset."""
    _load_built_in()
    _registered[system.name, system.preset] = system


def get(name: str, preset: str | None = None) -> System:
    """Return a system.

    Args:
        name: Its name.
        preset: Its preset; None: the first one of that name.

    Raises:
        UsageError: There is none of that name and preset, or another package's system cannot be loaded.
    """
    _load_built_in()
    found = _find(name, preset)
    if found is None:
        _load_entry_points()
        found = _find(name, preset)
    if found is not None:
        return found
    if name not in names():
        raise UsageError(
            f"model: expected one of {', '.join(names())}; got {name!r}. A system of another package is "
            f"found once that package is installed.",
            code="LEX-USE-501",
        )
    raise UsageError(
        f"preset: expected one of {', '.join(presets(name))}; got {preset!r}.", code="LEX-USE-502"
    )


def system_of(named: NamesSystem) -> System:
    """Return the system of a configuration, or of the network of a run.

    Raises:
        UsageError: There is no such system, or another package's system cannot be loaded.
    """
    return get(named.model, named.preset)


def systems() -> tuple[System, ...]:
    """Return all systems: those that come with Lexiseg first, the presets of a name together.

    Raises:
        UsageError: Another package's system cannot be loaded.
    """
    _load_built_in()
    _load_entry_points()
    order = list(dict.fromkeys(name for name, _ in _registered))
    return tuple(sorted(_registered.values(), key=lambda system: order.index(system.name)))


def names(*, without_text: bool = False) -> tuple[str, ...]:
    """Return the names of all systems.

    Args:
        without_text: Whether to return only those whose first preset has a form without text.
    """
    first = {system.name: system for system in reversed(systems())}
    return tuple(
        name
        for name in dict.fromkeys(system.name for system in systems())
        if first[name].has_form_without_text or not without_text
    )


def presets(name: str) -> tuple[str, ...]:
    """Return the presets of a system, the default one first."""
    return tuple(system.preset for system in systems() if system.name == name)


def build_network(spec: NetworkSpec, bank: TextBank | None) -> nn.Module:
    """Build the network that a run describes, with random weights.

    Args:
        spec: The network.
        bank: Text bank; None for a network without text, or one that names no words.

    Returns:
        A module whose output follows `lexiseg.models.output.SegmentationOutput`.

    Raises:
        UsageError: The system is not known, or it has no such network.
        WeightsError: The description of the network is incomplete.
    """
    system = system_of(spec)
    system.check_network(spec, with_text=bank is not None or not system.names_words)
    return system.builders.network(spec, bank)


def _find(name: str, preset: str | None) -> System | None:
    # A configuration file can hold anything as name and preset, also values that cannot be keys.
    fitting = (s for s in _registered.values() if s.name == name and preset in (None, s.preset))
    return next(fitting, None)


def _load_built_in() -> None:
    for module in _BUILT_IN:
        if module not in _loaded:
            _loaded.add(module)
            _add(import_module(module).SYSTEMS)


def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        if point.value not in _loaded:
            _loaded.add(point.value)
            _add(_of_package(point))


def _of_package(point: EntryPoint) -> Sequence[System]:
    package = "another package" if point.dist is None else f"the package '{point.dist.name}'"
    try:
        found = point.load()
    except Exception as error:  # another package's code can raise anything
        raise UsageError(
            f"The system '{point.name}' of {package} cannot be loaded: {error!r}. Update or remove that "
            f"package.",
            code="LEX-USE-503",
        ) from error
    brought = (
        (found,) if isinstance(found, System) else tuple(found) if isinstance(found, tuple | list) else ()
    )
    if not brought or not all(isinstance(system, System) for system in brought):
        raise UsageError(
            f"The entry point '{point.name}' of {package} must name a System or a sequence of Systems, not "
            f"{found!r}.",
            code="LEX-USE-504",
        )
    return brought


def _add(brought: Sequence[System]) -> None:
    for system in brought:
        # A system that the program registered itself stays.
        _registered.setdefault((system.name, system.preset), system)
