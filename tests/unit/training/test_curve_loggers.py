"""Where the curves of a training are logged; MLflow itself is in tests/integration."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lightning.pytorch.loggers import TensorBoardLogger

from lexiseg.data.sample import DatasetIndex
from lexiseg.extras import install_hint
from lexiseg.training.config import make_config
from lexiseg.training.steps import curve_loggers
from lexiseg.training.steps.curve_loggers import curve_logger
from lexiseg.training.train import train_on
from refusals import refuses


class WandbError(Exception):
    pass


class FakeWandb:
    """Takes the place of Lightning's WandbLogger."""

    made: list[FakeWandb] = []  # noqa: RUF012
    opens = True

    def __init__(self, **options: Any) -> None:
        self.options, self.finished = options, 0
        FakeWandb.made.append(self)

    @property
    def experiment(self) -> FakeWandb:
        if not FakeWandb.opens:
            raise WandbError("no such user.")
        return self

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> type[FakeWandb]:
    """W&B, as far as a training touches it."""
    for name in ("wandb", "wandb.errors"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["wandb.errors"].Error = WandbError  # type: ignore[attr-defined]
    monkeypatch.setattr(curve_loggers, "WandbLogger", FakeWandb)
    monkeypatch.setattr(FakeWandb, "made", [])
    for name in (*curve_loggers._QUIET, "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    return FakeWandb


def test_tensorboard_is_the_default_and_none_logs_nothing(tmp_path: Path) -> None:
    assert make_config({}).logger == "tensorboard"
    with curve_logger("tensorboard", tmp_path) as logger:
        assert isinstance(logger, TensorBoardLogger)
        assert logger.log_dir == str(tmp_path / "tensorboard")
    with curve_logger("none", tmp_path) as logger:
        assert logger is False
    with curve_logger("mlflow", None) as logger:
        assert logger is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["mlflow", "wandb"])
def test_a_missing_package_names_its_extra(
    kind: str,
    index: DatasetIndex,
    tiny_options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(curve_loggers, "is_installed", lambda package: False)
    with refuses("LEX-USE-860", install_hint(kind)):
        train_on(index, make_config({**tiny_options, "logger": kind}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_wandb_is_offline_unless_its_mode_is_set(
    wandb: type[FakeWandb], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with curve_logger("wandb", tmp_path / "first") as logger:
        assert logger is wandb.made[0]
        assert wandb.made[0].finished == 0
    assert wandb.made[0].options == {
        "name": "first",
        "save_dir": tmp_path / "first",
        "project": "lexiseg",
        "offline": True,
    }
    assert wandb.made[0].finished == 1
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "lungs")
    with curve_logger("wandb", tmp_path / "second"):
        pass
    assert (wandb.made[1].options["offline"], wandb.made[1].options["project"]) == (False, "lungs")


@pytest.mark.parametrize("opens", [False, True])
def test_a_logger_that_fails_is_one_message(
    opens: bool, wandb: type[FakeWandb], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb, "opens", opens)
    with refuses("LEX-RES-1351", "--resume"), curve_logger("wandb", tmp_path / "run"):
        raise WandbError("the server is gone.")


def test_an_interrupt_closes_the_logger(wandb: type[FakeWandb], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), curve_logger("wandb", tmp_path / "run"):
        raise KeyboardInterrupt
    assert wandb.made[0].finished == 1
