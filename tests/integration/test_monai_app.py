"""The MONAI Deploy application segments a folder of DICOM images; it runs where its SDK is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from gateway_setup import image_bytes

_APPLICATION = Path(__file__).resolve().parents[2] / "deploy" / "monai_app"


@pytest.fixture
def python() -> str:
    """The Python of LEXISEG_MONAI_PYTHON, whose environment has the SDK and Lexiseg."""
    named = os.environ.get("LEXISEG_MONAI_PYTHON", sys.executable)
    if subprocess.run([named, "-c", "import monai.deploy.core"], capture_output=True).returncode != 0:
        pytest.skip(
            "monai-deploy-app-sdk is not installed; LEXISEG_MONAI_PYTHON may name a Python that has it"
        )
    return named


def test_images_become_segmentations_and_reports(python: str, tmp_path: Path) -> None:
    images, results = tmp_path / "in" / "study", tmp_path / "out"
    images.mkdir(parents=True)
    for number in (1, 2):
        (images / f"{number}.dcm").write_bytes(image_bytes(number))
    done = subprocess.run(
        [python, _APPLICATION, "-i", images.parent, "-o", results],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 images segmented" in done.stdout
    found = {path.relative_to(results).as_posix(): dcmread(path) for path in results.rglob("*.dcm")}
    assert {name: dataset.Modality for name, dataset in found.items()} == {
        "seg/study/1.dcm": "SEG",
        "seg/study/2.dcm": "SEG",
        "sr/study/1.dcm": "SR",
        "sr/study/2.dcm": "SR",
    }
    assert {dataset.StudyInstanceUID for dataset in found.values()} == {
        dcmread(images / "1.dcm").StudyInstanceUID
    }


def test_an_image_that_cannot_be_read_is_an_error(python: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(b"no image")
    done = subprocess.run(
        [python, _APPLICATION, "-i", "in", "-o", "out"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "No image could be segmented" in done.stderr
