"""Run folders: what stands for a run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from safetensors.numpy import save

from lexiseg.files import write_bytes
from lexiseg.models.spec import NetworkSpec
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from refusals import refuses


@pytest.fixture
def run(tmp_path: Path) -> Run:
    manifest = Manifest(
        lexiseg_version="0.1.0",
        created="2026-11-22T00:00:00+00:00",
        network=NetworkSpec(),
        image_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        class_names=("background", "lesion"),
        text="none",
        side="image",
        vocabulary=None,
    )
    return Run.create(tmp_path / "run", manifest)


def test_a_run_stands_for_itself_and_so_does_its_folder(run: Run) -> None:
    assert Run.of(run) is run
    assert Run.of(run.path) == Run.of(str(run.path)) == run


def test_weights_are_hashed_once_and_again_after_a_change(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def file_digest(file: BinaryIO, name: str) -> Any:
        hashed.append(Path(file.name).name)
        return original(file, name)

    original = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    first, second = (save({"bias": np.full(1, value, np.float32)}) for value in (1, 2))
    write_bytes(run.weights_file, first)
    one = hashlib.sha256(first).hexdigest()
    # Calibration, description of the training images and model file each ask for it.
    assert {run.weights_sha256(), Run.open(run.path).weights_sha256(), run.weights_sha256()} == {one}
    assert hashed == ["weights.safetensors"]
    write_bytes(run.weights_file, second)
    assert run.weights_sha256() == hashlib.sha256(second).hexdigest()
    for damaged in (second[:-1], second + b"0", second[:20], b""):
        write_bytes(run.weights_file, damaged)
        with refuses("LEX-WEIGHTS-1710", "weights.safetensors are cut off or damaged", "train again"):
            run.weights_sha256()
    run.weights_file.unlink()
    with refuses("LEX-WEIGHTS-048", "weights.safetensors"):
        run.weights_sha256()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-RUN-001", "nowhere"):
        Run.of(tmp_path / "nowhere")
