"""Data sets: their samples, layouts, decoding, checks and augmentation; independent of any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexiseg.data.sample import SPLITS, DatasetIndex, Sample, Split

if TYPE_CHECKING:
    from lexiseg.data.layouts.open_dataset import open_dataset

__all__ = ["SPLITS", "DatasetIndex", "Sample", "Split", "open_dataset"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: the layouts need pandas, and prediction only reads images.
    if name == "open_dataset":
        from lexiseg.data.layouts.open_dataset import open_dataset

        return open_dataset
    raise AttributeError(f"module 'lexiseg.data' has no attribute '{name}'")
