"""The models that come with Lexiseg: run folders without training state, one per folder beside this file.

A name stands wherever a run folder may: `lexiseg predict covid-xray IMAGE --out DIR`. A folder of that name
in the working directory wins over the shipped model. Each model's `model_card.md` says what it was trained
on, how well it does, and what it must not be used for; `benchmarks/pack_zoo.py` makes the folders.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def model_names() -> tuple[str, ...]:
    """Return the names of the shipped models."""
    return tuple(sorted(manifest.parent.name for manifest in _HERE.glob("*/run.json")))


def model_folder(name: str) -> Path | None:
    """Return the run folder of a shipped model, or None if there is none of that name."""
    return _HERE / name if name in model_names() else None
