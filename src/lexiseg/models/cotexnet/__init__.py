"""CoTexNet: the published network (preset `paper`).

Names load when they are first used: the published network needs transformers, which takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexiseg.models.cotexnet.paper import CoTexNet, CoTexNetOutput, TaughtOutput
    from lexiseg.models.cotexnet.pretrained import load_clipseg
    from lexiseg.models.cotexnet.published import load_published

__all__ = ["CoTexNet", "CoTexNetOutput", "TaughtOutput", "load_clipseg", "load_published"]

_HOMES = {
    "CoTexNet": "lexiseg.models.cotexnet.paper",
    "CoTexNetOutput": "lexiseg.models.cotexnet.paper",
    "TaughtOutput": "lexiseg.models.cotexnet.paper",
    "load_clipseg": "lexiseg.models.cotexnet.pretrained",
    "load_published": "lexiseg.models.cotexnet.published",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
