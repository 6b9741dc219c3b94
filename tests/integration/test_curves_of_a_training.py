"""The curves of a training in MLflow and in W&B, in folders on this computer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_options import TINY

import lexiseg

pytestmark = pytest.mark.slow


def test_mlflow_logs_curves_into_the_run_folder(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    run = lexiseg.train(phantom, tmp_path / "run", steps=2, logger="mlflow", **TINY)
    client = MlflowClient((run.path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("lexiseg")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id])
    assert (logged.info.run_name, logged.info.status) == ("run", "FINISHED")
    assert logged.data.params == {}
    last = client.get_metric_history(logged.info.run_id, "val/dice")[-1]
    assert 0 <= last.value <= 1
    assert not (run.path / "tensorboard").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_wandb_logs_offline_into_the_run_folder(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    run = lexiseg.train(phantom, tmp_path / "run", steps=2, logger="wandb", **TINY)
    (logged,) = (run.path / "wandb").glob("offline-run-*")
    (written,) = logged.glob("run-*.wandb")
    assert b"val/dice" in written.read_bytes()
    assert not (run.path / "tensorboard").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
