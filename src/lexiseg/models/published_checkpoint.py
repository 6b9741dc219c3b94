"""What reading published checkpoints has in common, whatever the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from lexiseg.printable import counted

_SHOWN = 10


def without_prefix(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state_dict without DataParallel's prefix `module.`, if every key has it."""
    if state_dict and all(key.startswith("module.") for key in state_dict):
        return {key.removeprefix("module."): value for key, value in state_dict.items()}
    return dict(state_dict)


def listed(names: Iterable[str], what: str) -> str:
    """Return "3 missing keys: a, b, c", cut after ten names."""
    names = list(names)
    shown = ", ".join(names[:_SHOWN])
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{counted(len(names), what)}: {shown}{more}"
