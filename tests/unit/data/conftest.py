"""Small data sets on disk, in two layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import Tree, save_image, save_mask


@pytest.fixture
def plain_folder(tmp_path: Path) -> Tree:
    """Return a maker of `images/ masks/` with the given stems."""

    def make(*stems: str, root: Path = tmp_path, value: int = 255) -> Path:
        for seed, stem in enumerate(stems):
            save_image(root / "images" / f"{stem}.png", seed)
            save_mask(root / "masks" / f"{stem}.png", value=value)
        return root

    return make


@pytest.fixture
def published_folder(tmp_path: Path) -> Path:
    """Two images a split in the published layout, with Excel sheets."""
    import pandas as pd

    seed = 0
    for split in ("Train", "Val", "Test"):
        folder = tmp_path / f"{split}_Folder"
        rows = []
        for number in (1, 2):
            stem = f"cxr_s{seed:05d}-e{number}-r1"
            left = number == 1
            save_image(folder / "img" / f"{stem}.png", seed)
            save_mask(folder / "labelcol" / f"mask_{stem}.png", left=left)
            side = "left" if left else "right"
            text = f"Unilateral pulmonary infection, one infected area, middle {side} lung."
            rows.append((f"mask_{stem}.png", text))
            seed += 1
        pd.DataFrame(rows, columns=["Image", "Description"]).to_excel(
            folder / f"{split}_text.xlsx", index=False
        )
    return tmp_path
