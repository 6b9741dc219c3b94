"""Volumes and images in one command: what refuses the images is said before the volumes are predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lexiseg.cli.app import app
from threshold_predictor import write_image
from volume_files import nifti


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    write_image(folder / "a.png")
    noise = np.random.default_rng(0).normal(size=(16, 16, 3)).astype(np.float32)
    nifti(folder / "v.nii.gz", noise, np.eye(4))
    return folder


def test_an_edited_result_of_images_stops_the_command_before_the_volumes(
    inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["predict", "covid-xray", str(inputs), "--out", str(out)]
    # The lines of images and of volumes are always written.
    done = CliRunner().invoke(app, [*command, "--write", "mask,records"])
    assert done.exit_code == 0, done.output
    assert "not written" not in done.output
    (out / "masks" / "a.png").write_bytes(b"edited")
    before = {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in out.rglob("*.*") if file.is_file()
    }
    again = CliRunner().invoke(app, command)
    assert getattr(again.exception, "code", None) == "LEX-DATA-741"
    assert "slices" not in again.output
    for file, (time, content) in before.items():
        if file.name != ".lexiseg-outputs.jsonl":
            assert (file.stat().st_mtime_ns, file.read_bytes()) == (time, content)


def test_a_format_of_images_whose_package_is_missing_stops_the_command_before_the_volumes(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object | None:
        return None if name == "pyarrow" else object()

    monkeypatch.setattr("lexiseg.inference.writers.loading.find_spec", find)
    done = CliRunner().invoke(
        app, ["predict", "covid-xray", str(inputs), "--out", str(tmp_path / "out"), "--write", "parquet"]
    )
    assert getattr(done.exception, "code", None) == "LEX-USE-943"
    assert not (tmp_path / "out" / "volumes.jsonl").exists()
