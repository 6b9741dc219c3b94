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
        Fields that are not given: those of the network and of its pictures, and those that the weights of
        the run leave without a choice. None without `start_from`, and where a given model or preset is
        another one, which `check_network` refuses.

    Raises:
        RunError: There is no such run, or it is damaged.
    """
    start = given.get("start_from")
    # The configuration refuses what is no text.
    if not isinstance(start, str | Path):
        return {}
    complete = _complete(given)
    if complete is not None:
        known: dict[str, Any] = {}
        configuration = complete
    else:
        manifest = Run.open(start).manifest
        network = manifest.network
        if any(
            given.get(name, getattr(network, name)) != getattr(network, name) for name in ("model", "preset")
        ):
            return {}
        configuration = system_of(network).configuration
        known = {name: getattr(network, name) for name in _OF_NETWORK}
        known |= {name: getattr(manifest, name) for name in _OF_PICTURES}
    known |= configuration.start_fields
    own = configuration.model_fields
    return {name: value for name, value in known.items() if name in own and name not in given}


def _complete(given: Mapping[str, Any]) -> type[TrainConfig] | None:
    """Return the class of a configuration in which all that makes the network and its pictures is given.

    The configuration that a run holds is of this kind, and needs the run that it starts from no more. None:
    something is not given.
    """
    named = (given.get("model"), given.get("preset"))
    system = next((system for system in systems() if (system.name, system.preset) == named), None)
    if system is None:
        return None
    own = system.configuration.model_fields
    complete = all(name in given for name in (*_OF_NETWORK, *_OF_PICTURES) if name in own)
    return system.configuration if complete else None


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


def check_start_fields(config: TrainConfig, start: Run) -> None:
    """Refuse fields that say nothing where a training starts from a run.

    Raises:
        UsageError: One is given another value than the only one.
    """
    for name, value in config.start_fields.items():
        found = getattr(config, name)
        if found != value:
            raise UsageError(
                f"start_from: the training starts with the weights of {start.shown}, and loads no others for "
                f"the encoder, but the configuration says {name}: {found}. Leave {name} out, or leave "
                "`start_from` out.",
                code="LEX-USE-2070",
            )
