"""A data set of volumes is checked and trained with; its model is evaluated in mm and predicts volumes."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from command_line import Command

from volume_files import corners, nifti, stored

pytestmark = pytest.mark.slow


def write_volumes(root: Path) -> Path:
    """Write six volumes of 24 x 24 x 4 voxels with a bright block each, in two orientations."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    draw = np.random.default_rng(0)
    labels = np.kron(corners(left=True)[:, :, :4], np.ones((2, 2, 1))).astype(np.int16)
    for number in range(6):
        values = (labels * 900 + draw.integers(0, 300, labels.shape)).astype(np.int16)
        order, signs = ((0, 1, 2), (1, 1, 1)) if number % 2 else ((1, 0, 2), (-1, 1, -1))
        moved, affine = stored(values, order, signs)
        nifti(root / "images" / f"p{number}.nii.gz", moved, affine)
        nifti(root / "masks" / f"p{number}_seg.nii.gz", stored(labels, order, signs)[0], affine)
    return root


def test_volumes_from_data_to_prediction(cli: Command, tiny_config: Path, tmp_path: Path) -> None:
    data, run = write_volumes(tmp_path / "data"), tmp_path / "run"
    checked = cli("data", "check", data, "--json")
    assert json.loads(checked.stdout)["samples"] == {"train": 16, "val": 4, "test": 4}
    trained = cli("train", data, "--out", run, "--epochs", 1, "--config", tiny_config, "--text", "none")
    assert trained.code == 0, trained.stderr
    scored = cli("evaluate", run, data, "--out", tmp_path / "scores")
    assert scored.code == 0, scored.stderr
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["units"] == "mm"
    predicted = cli("predict", run, data / "images", "--out", tmp_path / "out")
    assert predicted.code == 0, predicted.stderr
    assert "6 of 6 volumes segmented, 24 slices (axial (k): 6)" in predicted.stdout
    for number in range(6):
        source = nibabel.nifti1.load(data / "images" / f"p{number}.nii.gz")
        written = nibabel.nifti1.load(tmp_path / "out" / "nifti" / f"p{number}.nii.gz")
        assert written.shape == source.shape
        assert np.array_equal(written.affine, source.affine)
