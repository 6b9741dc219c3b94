"""The memory of a training: that of all its processes on the machine."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from rich.console import Console
from torch import nn

from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.machine.resources import settle_resources
from refusals import refuses

GIB = 2**30


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 96 GiB free and 16 cores; the training pass of an image takes 1 GiB."""
    monkeypatch.setattr("lexiseg.training.machine.resources.available_memory", lambda: 96 * GIB)
    monkeypatch.setattr("lexiseg.training.machine.resources.activation_bytes", lambda *_: GIB)
    monkeypatch.setattr("os.cpu_count", lambda: 16)


def settled(ranks: Ranks, *, images: int, **fields: object) -> tuple[bool, int | None, str]:
    """Return whether images stay in memory, the data workers, and what is said; `images` in GiB."""
    module = SimpleNamespace(network=nn.Linear(1, 1), average=None)
    options = {"accelerator": "cpu", "batch_size": 8, "image_size": 64, "precision": "fp32", **fields}
    console = Console(record=True, width=500)
    cached, config = settle_resources(
        module,  # type: ignore[arg-type]
        make_config(options),
        pixels=images * GIB // 4,
        resume=False,
        console=console,
        ranks=ranks,
    )
    return cached, config.workers, console.export_text()


def test_a_short_training_does_not_measure_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def measured(*_: object, limit_s: float, **__: object) -> tuple[None, float, float]:
        given.append(limit_s)
        return None, 0.5, math.nan

    monkeypatch.setattr("lexiseg.training.machine.resources.faster_in_bf16", measured)
    *_, text = settled(ALONE, images=1, precision="auto", max_minutes=2)
    assert given == [pytest.approx(0.02 * 120)]
    assert "Precision: fp32 (bf16 is not measured: a step of 4 images takes 0.50 s" in text


@pytest.mark.parametrize(
    ("ranks", "cached", "said"),
    [
        (ALONE, True, "Memory: about 48.0 GiB (activations 8.0, images 40.0,"),
        (Ranks(size=2, local_size=2), False, "Memory of 2 processes: about 8.0 GiB (activations 8.0,"),
        (Ranks(size=2, local_size=1), True, "Memory: about 44.0 GiB (activations 4.0, images 40.0,"),
        (Ranks(size=4, local_size=2), False, "Memory of 2 processes: about 4.0 GiB (activations 4.0,"),
    ],
)
def test_every_process_of_a_machine_keeps_all_images(ranks: Ranks, cached: bool, said: str) -> None:
    found, _, text = settled(ranks, images=40)
    assert found is cached
    assert said in text


def test_too_many_processes_are_refused() -> None:
    assert settled(ALONE, images=50, cache=True)[0]
    with refuses("LEX-USE-080", "of 2 processes", "images 100.0", "--devices"):
        settled(Ranks(size=2, local_size=2), images=50, cache=True)


def test_processes_share_the_cores_for_data_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, int]] = []

    def problem(**sizes: int) -> None:
        asked.append(sizes)

    monkeypatch.setattr("lexiseg.training.machine.resources.shared_memory_problem", problem)
    assert settled(ALONE, images=60)[1] == 8
    assert settled(Ranks(size=4, local_size=4), images=60)[1] == 3
    assert settled(Ranks(size=8, local_size=8), images=60)[1] == 0
    # Four processes with three workers each, whose batches have two images.
    assert asked[1] == {"workers": 12, "batch_size": 2, "image_size": 64}
