"""What differs between the configuration of a run and another one."""

from __future__ import annotations

from collections.abc import Mapping, Set

from lexiseg.systems.configuration import TrainConfig

#: Fields of a configuration that change no result.
OF_A_MACHINE = frozenset({"workers", "cache"})
#: Fields that the start of a training settles where they are "auto".
_SETTLED = ("fit", "precision")


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
    """Return the fields in which two JSON objects differ, one part of a sentence each."""
    found: list[str] = []
    for name in sorted(stored.keys() | wanted.keys()):
        old, new = stored.get(name), wanted.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{path}{name}.")
        elif old != new:
            found.append(f"{path}{name} was {old!r}, now {new!r}")
    return found
