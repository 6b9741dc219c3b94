"""Data sets: found, read, checked, transformed; nothing here knows a model."""

from lexiseg.data.layouts import open_dataset
from lexiseg.data.sample import SPLITS, DatasetIndex, Sample, Split

__all__ = ["SPLITS", "DatasetIndex", "Sample", "Split", "open_dataset"]
