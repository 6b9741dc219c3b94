"""Runs with random weights: enough for everything that prediction does besides being right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lexiseg.models.network_weights import save_weights
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from lexiseg.systems.registry import build_network
from lexiseg.words.vocabulary import load_vocabulary

MakeRun = Callable[..., tuple[Run, nn.Module]]


def _spec(model: str, encoder: str, channels: int) -> NetworkSpec:
    return NetworkSpec(model=model, encoder=encoder, width=16, out_channels=channels)


@cache
def _random_network(
    model: str, encoder: str, channels: int, has_words: bool, prompted: bool
) -> tuple[nn.Module, TextBank | None]:
    """Return a network with random weights whose masks are neither empty nor full, and its bank."""
    generator = torch.Generator().manual_seed(0)
    bank = (
        TextBank(
            encoder="noise",
            phrases={factor.name: factor.phrases for factor in load_vocabulary("chest").factors},
            embeddings={
                factor.name: torch.randn(len(factor.phrases), 1, 4, 16, generator=generator)
                for factor in load_vocabulary("chest").factors
            },
        )
        if has_words
        else None
    )
    torch.manual_seed(0)
    network = build_network(_spec(model, encoder, channels), bank).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics that do something
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2)
        if prompted:  # modulations start at zero, where no prompt reaches the mask
            for modulation in network.decoder.modulations:
                modulation.scale_shift.weight.normal_(std=0.3)
        # Spread the scores about 0.
        coarse = torch.randn(4, 3, 8, 8, generator=generator)
        logits = network(nn.functional.interpolate(coarse, size=64, mode="bicubic")).logits
        mean, scale = logits.mean(dim=(0, 2, 3)), 3 / logits.std(dim=(0, 2, 3))
        head = network.decoder.head
        head.weight.mul_(scale[:, None, None, None])
        head.bias.sub_(mean).mul_(scale)
    return network, bank


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Make a run folder and return it with the network whose weights it holds."""

    def make(
        folder: Path,
        *,
        text: str = "reports",
        classes: int = 2,
        model: str = "stpnet",
        prompted: bool = False,
        encoder: str = "lcnet_050",
        **manifest: Any,
    ) -> tuple[Run, nn.Module]:
        vocabulary = load_vocabulary("chest") if text != "none" else None
        channels = 1 if classes == 2 else classes
        spec = _spec(model, encoder, channels)
        network, bank = _random_network(model, encoder, channels, vocabulary is not None, prompted)
        network = copy.deepcopy(network)  # a test may change it
        torch.manual_seed(0)
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(network, folder / "weights.safetensors")
        if bank is not None:
            bank.save(folder / "bank.safetensors")
        values = {
            "lexiseg_version": "0",
            "created": "2026-11-22T00:00:00+00:00",
            "network": spec,
            "image_size": 64,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "class_names": ("background", "lesion", "nodule", "scar")[:classes],
            "text": text,
            "side": "image",
            "vocabulary": vocabulary,
        }
        return Run.create(folder, Manifest(**{**values, **manifest})), network

    return make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, make_run: MakeRun) -> tuple[Run, nn.Module]:
    return make_run(tmp_path_factory.mktemp("runs") / "chest")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five images of three sizes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = []
    for number, (rows, columns) in enumerate([(64, 64), (50, 70), (64, 64), (130, 33), (64, 64)]):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        paths.append(folder / f"image{number}.png")
        Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC).save(paths[-1])
    return paths
