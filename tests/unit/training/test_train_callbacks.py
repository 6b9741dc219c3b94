from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

from lexiseg.training.config import make_config
from lexiseg.training.steps.callbacks import BestWeights, Display, History
from lexiseg.training.steps.progress import Progress
from lexiseg.training.steps.segmentation_module import SegmentationModule


def trainer(**metrics: float) -> Any:
    return SimpleNamespace(
        callback_metrics={name: torch.tensor(value) for name, value in metrics.items()},
        sanity_checking=False,
        should_stop=False,
    )


def validated(dice: float, **more: float) -> Any:
    return trainer(**{"val/dice": dice, "epoch": 1.0, **more})


@pytest.fixture
def progress() -> Progress:
    return Progress(total_steps=100, max_minutes=None)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_history_adds_a_row_per_validation(tmp_path: Path, progress: Progress) -> None:
    history = History(tmp_path, progress)
    history.on_fit_start(validated(0), None)
    for progress.step, dice in ((10, 0.5), (20, 0.625)):
        history.on_validation_end(validated(dice, **{"train/total": 1.5}), None)
    rows = rows_of(tmp_path)
    assert [(row["step"], row["val/dice"], row["train/total"]) for row in rows] == [
        ("10", "0.5", "1.5"),
        ("20", "0.625", "1.5"),
    ]
    assert "epoch" not in rows[0]  # only names with a slash are scores


def test_history_goes_on_at_the_checkpoint(tmp_path: Path, progress: Progress) -> None:
    first = History(tmp_path, progress)
    for progress.step in (10, 20, 30):
        first.on_validation_end(validated(progress.step / 100), None)
    resumed = Progress(total_steps=100, max_minutes=None, step=20)
    second = History(tmp_path, resumed)
    second.on_fit_start(validated(0), None)  # the row of step 30 came after the checkpoint
    resumed.step = 30
    second.on_validation_end(validated(0.75, **{"val/retrieval/left": 0.5}), None)
    assert [(row["step"], row["val/dice"]) for row in rows_of(tmp_path)] == [
        ("10", "0.1"),
        ("20", "0.2"),
        ("30", "0.75"),
    ]
    assert [row["val/retrieval/left"] for row in rows_of(tmp_path)] == ["", "", "0.5"]


def test_a_new_training_does_not_take_over_old_rows(tmp_path: Path, progress: Progress) -> None:
    progress.step = 10
    History(tmp_path, progress).on_validation_end(validated(0.9), None)
    fresh = History(tmp_path, Progress(total_steps=100, max_minutes=None))
    fresh.on_fit_start(validated(0), None)
    assert fresh.rows == []


@pytest.fixture
def module(progress: Progress) -> SegmentationModule:
    config = make_config({"freeze_early": False, "ema_decay": 0})
    return SegmentationModule(
        nn.Conv2d(1, 1, 1),
        nn.Identity(),
        config=config,
        progress=progress,
        steps_per_epoch=10,
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )


def test_the_best_weights_are_kept(tmp_path: Path, progress: Progress, module: SegmentationModule) -> None:
    best = BestWeights(tmp_path / "w.safetensors", progress, selection="best", patience_steps=None)
    for progress.step, dice in ((10, 0.5), (20, 0.7), (30, 0.6), (40, 0.7)):
        module.network.weight.data.fill_(progress.step)
        best.on_validation_end(validated(dice), module)
    assert (best.best_dice, best.best_step) == (pytest.approx(0.7), 20)
    assert load_file(tmp_path / "w.safetensors")["weight"].item() == 20
    again = BestWeights(tmp_path / "w.safetensors", progress, selection="best", patience_steps=None)
    again.load_state_dict(best.state_dict())
    again.on_validation_end(validated(0.65), module)
    assert load_file(tmp_path / "w.safetensors")["weight"].item() == 20


def test_the_weights_can_be_kept_by_the_standardised_dice(
    tmp_path: Path, progress: Progress, module: SegmentationModule
) -> None:
    keeper = BestWeights(
        tmp_path / "w.safetensors", progress, selection="size_standardised_dice", patience_steps=None
    )
    for progress.step, dice, standardised in ((10, 0.9, 0.5), (20, 0.6, 0.8), (30, 0.7, 0.7)):
        module.network.weight.data.fill_(progress.step)
        keeper.on_validation_end(validated(dice, **{"val/dice_size_standardised": standardised}), module)
    assert (keeper.best_dice, keeper.best_step) == (pytest.approx(0.8), 20)
    assert load_file(tmp_path / "w.safetensors")["weight"].item() == 20


def test_the_last_weights_are_kept_where_nothing_is_selected(
    tmp_path: Path, progress: Progress, module: SegmentationModule
) -> None:
    last = BestWeights(tmp_path / "w.safetensors", progress, selection="last", patience_steps=None)
    for progress.step, dice in ((10, 0.5), (20, 0.7), (30, 0.6)):
        module.network.weight.data.fill_(progress.step)
        last.on_validation_end(validated(dice), module)
    assert load_file(tmp_path / "w.safetensors")["weight"].item() == 30
    assert (last.best_step, last.kept_step) == (20, 30)
    again = BestWeights(tmp_path / "w.safetensors", progress, selection="last", patience_steps=None)
    again.load_state_dict({"best_dice": 0.7, "best_step": 20})  # as version 0.1.0 wrote it
    assert (again.state_key, again.kept_step) == ("KeepBest", 20)


def test_patience_ends_the_training(tmp_path: Path, progress: Progress, module: SegmentationModule) -> None:
    best = BestWeights(tmp_path / "w.safetensors", progress, selection="best", patience_steps=20)
    stopped = []
    for progress.step, dice in ((10, 0.5), (20, 0.4), (30, 0.4)):
        now = validated(dice)
        best.on_validation_end(now, module)
        stopped.append(now.should_stop)
    assert stopped == [False, False, True]
    # killed before the end was written: the resumed training does not go on
    again = BestWeights(tmp_path / "w.safetensors", progress, selection="best", patience_steps=20)
    again.load_state_dict(best.state_dict())
    now = validated(0)
    again.on_train_start(now, module)
    assert now.should_stop


def test_display_says_the_scores(progress: Progress) -> None:
    console = Console(record=True, width=200, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115
    display = Display(console, progress, steps_per_epoch=10, batch_size=4)
    display.on_fit_start(validated(0), None)
    progress.step = 25
    display.on_validation_end(validated(0.5, **{"val/retrieval/left": 0.25}), None)
    display.on_fit_end()
    assert "step 25: validation Dice 0.5000; retrieval left 0.250" in console.export_text()


def test_display_says_the_standardised_dice(progress: Progress) -> None:
    console = Console(record=True, width=200, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115
    display = Display(console, progress, steps_per_epoch=10, batch_size=4)
    progress.step = 25
    display.on_validation_end(validated(0.5, **{"val/dice_size_standardised": 0.625}), None)
    assert "step 25: validation Dice 0.5000 (0.6250 standardised by lesion size)" in console.export_text()


def test_display_shows_a_bar_on_a_terminal_and_takes_it_down(progress: Progress) -> None:
    console = Console(record=True, width=200, force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115
    display = Display(console, progress, steps_per_epoch=10, batch_size=4)
    display.on_fit_start(trainer(), None)
    progress.step = 5
    display.on_train_batch_end(trainer(**{"train/total": 1.25, "train/dice": 0.5}))
    display.on_exception()
    assert display._bar is None
    said = console.export_text()
    assert "total 1.250" in said
    assert "dice loss 0.500" in said
