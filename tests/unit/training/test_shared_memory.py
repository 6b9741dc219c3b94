"""Worker processes are used only where shared memory takes their batches."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import nn

from lexiseg.training.config import make_config
from lexiseg.training.machine import shared_memory
from lexiseg.training.machine.resources import settle_resources
from lexiseg.training.machine.shared_memory import shared_memory_problem

SMALL = {"workers": 2, "batch_size": 4, "image_size": 64}


def no_memory(*_: object) -> None:
    raise RuntimeError("unable to open shared memory object")


def test_here_it_works() -> None:
    assert shared_memory_problem(**SMALL) is None


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_memory)
    assert shared_memory_problem(**SMALL) == "there is no shared memory (unable to open shared memory object)"


def test_too_little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needed = 2 * 3 * 4 * 64 * 64 * 11  # 1.03 MB
    monkeypatch.setattr(shared_memory, "_FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    assert shared_memory_problem(**SMALL) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    assert "has 1 MB free, and they need up to 1 MB" in str(shared_memory_problem(**SMALL))


def test_training_falls_back_and_says_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_memory)
    monkeypatch.setattr("lexiseg.training.machine.resources.activation_bytes", lambda *_: 0)
    module = SimpleNamespace(network=nn.Linear(1, 1), average=None)
    config = make_config({"workers": 3, "image_size": 64, "batch_size": 4, "precision": "fp32"})
    console = Console(record=True, width=500)
    _, settled = settle_resources(module, config, pixels=10 * 64**2, resume=False, console=console)  # type: ignore[arg-type]
    assert settled.workers == 0
    assert console.export_text().count("without worker processes") == 1
