"""Data sets: opened, read, checked, transformed. Nothing here depends on a model.

`open_dataset` is loaded at its first use: prediction reads images without the code for folder layouts and
sheets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexiseg.data.sample import SPLITS, DatasetIndex, Sample, Split

if TYPE_CHECKING:
    from lexiseg.data.layouts import open_dataset

__all__ = ["SPLITS", "DatasetIndex", "Sample", "Split", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name != "open_dataset":
        raise AttributeError(f"module 'lexiseg.data' has no attribute '{name}'")
    from lexiseg.data.layouts import open_dataset

    return open_dataset
