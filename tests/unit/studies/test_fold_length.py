"""What a check by folds says of the time of its trainings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from known_answers import make_run
from lexiseg.console import PrintableConsole
from lexiseg.runs.run import Run
from lexiseg.studies import fold_length
from lexiseg.training.config import make_config


def interrupted(folder: Path, history: str | None, *, checkpoint: bool = True) -> Path:
    """Write the run of a fold that was interrupted."""
    manifest = make_run().manifest
    training = manifest.training.model_copy(update={"finished": False})
    Run.create(folder, manifest.model_copy(update={"training": training}))
    if history is not None:
        (folder / "history.csv").write_text(history)
    if checkpoint:
        (folder / "checkpoint.ckpt").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("options", "history", "checkpoint", "said"),
    [
        ({}, "step,minutes\n40,1\n80,9\n", True, "about 12 min for 2 trainings, 1 of which goes on after an"),
        ({"max_minutes": 10}, "step,minutes\n40,1\n80,5\n", True, "about 15 min for 2 trainings, 1 of which"),
        ({}, "step,minutes\n40,1\n80,9\n", False, "about 20 min for 2 trainings on cpu"),
        ({}, None, True, "about 20 min for 2 trainings on cpu"),
    ],
)
def test_an_interrupted_training_counts_with_what_is_left_of_it(
    options: dict[str, Any], history: str | None, checkpoint: bool, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    first = interrupted(tmp_path / "fold-1", history, checkpoint=checkpoint)
    forecast = SimpleNamespace(minutes=10, steps=100, device="cpu")
    monkeypatch.setattr(fold_length, "forecast_on", lambda *_, **__: forecast)
    parts: Any = [SimpleNamespace()] * 2
    config = make_config(options)
    fold_length.say_trainings(parts, [first, tmp_path / "fold-2"], config, PrintableConsole(width=200))
    assert said in " ".join(capsys.readouterr().out.split())
