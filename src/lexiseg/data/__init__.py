"""Data sets: their samples, layouts, decoding, checks and augmentation; independent of any network.

`sample` says what a data set is, once it is open. `layouts` opens folders, `decode` with `decoding` and
`volumes` reads files, `readers` reads images and masks of samples. `mask_inference` finds the labels that
pixels of masks stand for; `mask_coding` is the rule. `splits`, `leaks` with `pixel_hashes`, and `side_check`
guard the comparison of images; `patient_groups` says which images stay together, and `name_hashes` in which
order they are chosen. `check` is `lexiseg data check`, `public` holds data sets that others publish,
`phantom` draws one.

What only one network needs belongs to `models` or `systems`; what changes words belongs to `words`.
"""

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
