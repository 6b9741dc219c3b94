"""The settings that a training takes from the run it starts from, where they are not given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexiseg.errors import UsageError
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import system_of, systems

#: Fields that say what the network is, and those that say which pictures it sees.
_OF_NETWORK = ("model", "preset", "encoder", "width")
_OF_PICTURES = ("image_size", "fit")


def start_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a configuration as the run that `start_from` names has them.

    Args:
        given: The fields that are given.

    Returns:
        Fields that are not given, of the network and of its pictures; none without `start_from`, and where a
        given model or preset is another one, which `check_network` refuses.

    Raises:
        RunError: There is no such run, or it is damaged.
    """
    start = given.get("start_from")
    # The configuration refuses what is no text.
    if not isinstance(start, str | Path) or _is_complete(given):
        return {}
    manifest = Run.open(start).manifest
    network = manifest.network
    if any(given.get(name, getattr(network, name)) != getattr(network, name) for name in ("model", "preset")):
        return {}
    own = system_of(network).configuration.model_fields
    known = {name: getattr(network, name) for name in _OF_NETWORK}
    known |= {name: getattr(manifest, name) for name in _OF_PICTURES}
    return {name: value for name, value in known.items() if name in own and name not in given}


def _is_complete(given: Mapping[str, Any]) -> bool:
    """Return whether all that a run can give is given, as in the configuration that a run holds."""
    named = (given.get("model"), given.get("preset"))
    system = next((system for system in systems() if (system.name, system.preset) == named), None)
    if system is None:
        return False
    own = system.configuration.model_fields
    return all(name in given for name in (*_OF_NETWORK, *_OF_PICTURES) if name in own)


def check_network(config: TrainConfig, start: Run) -> None:
    """Refuse a configuration whose network is not that of the run it starts from.

    Raises:
        UsageError: It is another network.
    """
    network = start.manifest.network
    for name in _OF_NETWORK:
        if name not in type(config).model_fields:
            continue
        expected, found = getattr(network, name), getattr(config, name)
        if found != expected:
            raise UsageError(
                f"start_from: the network of {start.shown} has {name} {expected}, but the configuration says "
                f"{found}. Leave {name} out, or start from another run.",
                code="LEX-USE-1962",
            )
