"""The shipped model predicts on 50 radiographs what it predicted when the digests were recorded.

Masks, words, agreement, expected Dice and flags are compared bit by bit through one digest of all images, as
no single image of the data may be described here. Float kernels differ between processors and versions of
torch: the digest is compared where both are as recorded, the rounded summary everywhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lexiseg

_RECORD = Path(__file__).parent / "shipped_model.json"
_IMAGES = 50


def _predictions(shared_dir: Path) -> dict[str, Any]:
    folder = shared_dir / "data" / "COVID-Xray" / "Test_Folder" / "img"
    images = sorted(folder.glob("*.webp"))[:_IMAGES]
    assert len(images) == _IMAGES
    masks, words = hashlib.sha256(), hashlib.sha256()
    area = flagged = 0
    expected = []
    for _, prediction in lexiseg.load("covid-xray", engine="torch").predict_paths(images):
        assert not isinstance(prediction, Exception), prediction
        masks.update(prediction.mask.tobytes())
        words.update(json.dumps([(w.title, w.phrase) for w in prediction.words]).encode())
        words.update(repr((prediction.agreement, prediction.flagged)).encode())
        area += sum(prediction.area_px.values())
        flagged += prediction.flagged
        assert prediction.expected_dice is not None
        expected.append(prediction.expected_dice)
    return {
        "masks": masks.hexdigest(),
        "words": words.hexdigest(),
        "area_px": area,
        "flagged": flagged,
        "expected_dice": round(sum(expected) / len(expected), 4),
        "torch": torch.__version__.split("+")[0],
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def test_the_shipped_model_predicts_as_recorded(shared_dir: Path) -> None:
    found, recorded = _predictions(shared_dir), json.loads(_RECORD.read_text("utf-8"))
    assert found["flagged"] == recorded["flagged"]
    assert found["expected_dice"] == pytest.approx(recorded["expected_dice"], abs=2e-4)
    assert found["area_px"] == pytest.approx(recorded["area_px"], rel=1e-3)
    if (found["torch"], found["processor"]) != (recorded["torch"], recorded["processor"]):
        pytest.skip(f"digests were recorded with torch {recorded['torch']} on {recorded['processor']}")
    assert found == recorded
