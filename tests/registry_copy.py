"""A copy of the registry of systems, so that a test may change it."""

from __future__ import annotations

import pytest

from lexiseg.systems import registry


def copy_registry(patch: pytest.MonkeyPatch) -> None:
    """Let what a test registers end with the patch."""
    registry.systems()  # so that the copy and the original hold the systems of Lexiseg
    patch.setattr(registry, "_registered", dict(registry._registered))
    patch.setattr(registry, "_loaded", set(registry._loaded))
