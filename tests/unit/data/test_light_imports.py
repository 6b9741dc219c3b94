"""What prediction needs of `lexiseg.data` loads without what only data sets and training need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "openpyxl", "torchvision", "torch", "scipy", "skimage")


@pytest.mark.parametrize("module", ["decode", "mask_coding", "readers", "resize", "sample"])
def test_reading_and_resizing_images_load_little(module: str) -> None:
    code = f"import sys, lexiseg.data.{module}; print(*[n for n in {HEAVY} if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_open_dataset_is_found_when_it_is_asked_for() -> None:
    import lexiseg.data
    from lexiseg.data.layouts.open_dataset import open_dataset

    assert lexiseg.data.open_dataset is open_dataset
    with pytest.raises(AttributeError, match="no attribute 'open_datasets'"):
        _ = lexiseg.data.open_datasets
