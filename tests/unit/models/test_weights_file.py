from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from lexiseg.models.network_weights import count_parameters, load_weights, save_weights
from refusals import refuses


def test_weights_leave_out_what_only_teaches(tmp_path: Path) -> None:
    class Taught(nn.Module):
        training_only_prefixes = ("teacher.", "noise")

        def __init__(self) -> None:
            super().__init__()
            self.body, self.teacher = nn.Linear(1, 1), nn.Linear(1, 1)
            self.noise = nn.Parameter(torch.zeros(1))

    save_weights(Taught(), tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors").keys() == {"body.weight", "body.bias"}


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    save_weights(saved, tmp_path / "w.safetensors")
    loaded = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load_weights(loaded, tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_weights_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 4, 3)
    with refuses("LEX-WEIGHTS-016", "no weights at"):
        load_weights(network, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    with refuses("LEX-WEIGHTS-017", "cannot be read"):
        load_weights(network, tmp_path / "w.safetensors")
    save_weights(nn.Conv2d(3, 5, 3), tmp_path / "w.safetensors")
    with refuses("LEX-WEIGHTS-019", "fit the network"):
        load_weights(network, tmp_path / "w.safetensors")


def test_parameters_are_counted() -> None:
    assert count_parameters(nn.Conv2d(3, 4, 3)) == 4 * 3 * 9 + 4
