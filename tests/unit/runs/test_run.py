"""Run folders: what stands for a run."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with refuses("LEX-RUN-001", "nowhere"):
        Run.of(tmp_path / "nowhere")
