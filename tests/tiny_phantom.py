"""Fixtures: a tiny phantom data set, a text encoder without a model, and a run trained for two steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.runs.run import Run
from lexiseg.training import plan, resume
from lexiseg.training.train import train


class HashEncoder:
    """Embeds a phrase as noise seeded by its words."""

    name = "hash"
    width = 16

    def encode(self, phrases: Sequence[str], tokens: int = 30) -> Tensor:
        return torch.stack([self._noise(phrase, tokens) for phrase in phrases])[:, None]

    def embed_sentences(self, sentences: Sequence[str]) -> Tensor:
        return torch.nn.functional.normalize(
            torch.stack([self._noise(sentence, 1)[0] for sentence in sentences]), dim=1
        )

    def _noise(self, text: str, tokens: int) -> Tensor:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")
        return torch.randn(tokens, self.width, generator=torch.Generator().manual_seed(seed))


#: Options of a training that takes seconds.
TINY: dict[str, Any] = {
    "epochs": 1,
    "image_size": 64,
    "batch_size": 8,
    "encoder": "lcnet_050",
    "encoder_weights": "none",
    "width": 16,
    "precision": "fp32",
    "accelerator": "cpu",
}


@pytest.fixture(scope="package")
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="package")
def tiny_options() -> dict[str, Any]:
    return dict(TINY)


@pytest.fixture(scope="package", autouse=True)
def no_text_model(hash_encoder: HashEncoder) -> Iterator[None]:
    """Let no training load a text encoder."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (plan, resume):
            patch.setattr(module, "load_text_encoder", lambda name: hash_encoder)
        yield


@pytest.fixture(scope="package")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(folder, num_train=16, num_val=5, num_test=3, size=64, seed=1)
    return folder


@pytest.fixture(scope="package")
def index(phantom: Path) -> DatasetIndex:
    return open_dataset(phantom)


@pytest.fixture(scope="package")
def tiny_run(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; not to be changed."""
    return train(phantom, tmp_path_factory.mktemp("run") / "tiny", **TINY)
