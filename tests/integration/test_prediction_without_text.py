"""Prediction works where everything that knows text cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lexiseg.models.bank import TextBank
from lexiseg.models.build import build_network, save_weights
from lexiseg.models.spec import NetworkSpec
from lexiseg.run import Manifest, Run
from lexiseg.words.vocabulary import load_vocabulary

PREDICT = """
import sys

BLOCKED = ("lexiseg.text", "lexiseg.training", "transformers", "tokenizers", "rapidfuzz", "lightning")

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == blocked or name.startswith(blocked + ".") for blocked in BLOCKED):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import lexiseg
predictor = lexiseg.load(sys.argv[1])
summary = lexiseg.predict_to_files(predictor, lexiseg.find_targets([sys.argv[2]]), sys.argv[3])
prediction = predictor.predict(sys.argv[2])
print(summary.done, len(prediction.words), prediction.agreement is not None)
assert not [name for name in sys.modules if name.split(".")[0] == "transformers" or name.startswith("lexiseg.text")]
"""


@pytest.mark.slow
def test_prediction_needs_no_text_package(tmp_path: Path) -> None:
    vocabulary = load_vocabulary("chest")
    bank = TextBank(
        encoder="noise",
        phrases={factor.name: factor.phrases for factor in vocabulary.factors},
        embeddings={factor.name: torch.randn(len(factor.phrases), 1, 4, 16) for factor in vocabulary.factors},
    )
    spec = NetworkSpec(encoder="lcnet_050", width=16)
    manifest = Manifest(
        lexiseg_version="0",
        created="2026-11-22T00:00:00+00:00",
        network=spec,
        image_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        class_names=("background", "lesion"),
        text="reports",
        side="image",
        vocabulary=vocabulary.to_dict(),
    )
    run = Run.create(tmp_path / "run", manifest)
    bank.save(run.bank_file)
    save_weights(build_network(spec, bank, pretrained=False), run.weights_file)
    noise = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    command = [sys.executable, "-c", PREDICT, str(run.path), str(tmp_path / "image.png"), str(tmp_path / "out")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == ["1", "4", "True"]
    assert (tmp_path / "out" / "masks" / "image.png").is_file()
