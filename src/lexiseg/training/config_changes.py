"""What differs between the configuration of a run and another one."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import PurePath

from lexiseg.systems.configuration import TrainConfig

#: Fields of a configuration that change no result.
OF_A_MACHINE = frozenset({"workers", "cache"})
#: Fields that the start of a training settles where they are "auto".
_SETTLED = ("fit", "precision")
#: Fields whose values may be paths of this machine.
_MAY_BE_PATHS = frozenset({"start_from", "vocabulary", "text_encoder", "encoder_weights"})


def changed_settings(
    stored: TrainConfig, wanted: TrainConfig, *, may_differ: Set[str] = OF_A_MACHINE
) -> list[str]:
    """Return the fields in which a training would differ from a run, one part of a sentence each.

    Args:
        stored: The configuration in the run's folder. The start of the run settled its fit and precision.
        wanted: The configuration of the training. A fit or precision of "auto" takes what the run has.
        may_differ: Fields that are not compared.
    """
    ignored = set(may_differ) | {name for name in _SETTLED if getattr(wanted, name) == "auto"}
    return differences(
        stored.model_dump(mode="json", exclude=ignored), wanted.model_dump(mode="json", exclude=ignored)
    )


def differences(stored: Mapping[str, object], wanted: Mapping[str, object], path: str = "") -> list[str]:
    """Return the fields in which two JSON objects differ, one part of a sentence each.

    Of two paths only the last part counts: a project may be moved, or lie elsewhere on another machine.
    """
    found: list[str] = []
    for name in sorted(stored.keys() | wanted.keys()):
        old, new = stored.get(name), wanted.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{path}{name}.")
        elif old != new and not (name in _MAY_BE_PATHS and _is_moved(old, new)):
            found.append(f"{path}{name} was {old!r}, now {new!r}")
    return found


def _is_moved(old: object, new: object) -> bool:
    """Return whether one value is a path of the machine, and the other ends as it does."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    before, now = PurePath(old), PurePath(new)
    return before.name == now.name and (before.is_absolute() or now.is_absolute())
