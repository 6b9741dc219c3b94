"""The loggers of a training's curves: TensorBoard, MLflow, Weights & Biases, or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from lexiseg.errors import ResourceError
from lexiseg.extras import is_installed, missing_package
from lexiseg.printable import command_word
from lexiseg.systems.configuration import CurveLogger

#: Folder of the TensorBoard logs in a run folder.
TENSORBOARD_FOLDER = "tensorboard"
#: Folder of the runs of MLflow in a run folder, where MLFLOW_TRACKING_URI names no server.
MLFLOW_FOLDER = "mlruns"
#: Folder of the runs of W&B in a run folder.
WANDB_FOLDER = "wandb"

_PROJECT = "lexiseg"
#: The error of each package, by its name.
_ERRORS = {"mlflow": ("mlflow.exceptions", "MlflowException"), "wandb": ("wandb.errors", "Error")}
#: What the packages send or record by themselves besides the curves, turned off unless the user sets it.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}


def check_logger(kind: CurveLogger) -> None:
    """Refuse a logger whose package is not installed.

    Raises:
        UsageError: The package is missing; the message names the extra.
    """
    if kind in _ERRORS and not is_installed(kind):
        error = missing_package(ModuleNotFoundError(name=kind))
        assert error is not None
        raise error


@contextmanager
def curve_logger(kind: CurveLogger, folder: Path | None) -> Iterator[Logger | bool]:
    """Yield the logger of a training; False for none.

    Args:
        kind: Which one.
        folder: The run folder; None: nothing is logged.

    Raises:
        UsageError: Its package is missing.
        ResourceError: It cannot be opened, or it fails during the training.
    """
    if folder is None or kind == "none":
        yield False
    elif kind == "tensorboard":
        yield TensorBoardLogger(str(folder), name=None, version=TENSORBOARD_FOLDER)
    else:
        check_logger(kind)
        for variable, value in _QUIET.items():
            os.environ.setdefault(variable, value)
        module, name = _ERRORS[kind]
        failure: type[Exception] = getattr(import_module(module), name)
        try:
            logger = _mlflow(folder) if kind == "mlflow" else _wandb(folder)
            _ = logger.experiment  # opened now, so that an error comes before the first step
            try:
                yield logger
            finally:
                if isinstance(logger, WandbLogger):
                    # Another training in this process would go on in this run of W&B.
                    logger.experiment.finish()
        except failure as error:
            raise ResourceError(
                f"The logger {kind} failed: {error} Check its settings (docs/training.md, Logs). Go on from "
                f"the last saved state with: lexiseg train DATA --out {command_word(folder)} --resume",
                code="LEX-RES-1351",
            ) from error


def _mlflow(folder: Path) -> MLFlowLogger:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        uri = (folder.absolute() / MLFLOW_FOLDER).as_uri()
        # MLflow refuses folders otherwise; its databases need more packages.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
    return MLFlowLogger(name, run_name=folder.absolute().name, tracking_uri=uri)


def _wandb(folder: Path) -> WandbLogger:
    return WandbLogger(
        name=folder.absolute().name,
        save_dir=folder,
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
        # Nothing is sent unless the user asks for it.
        offline="WANDB_MODE" not in os.environ,
    )
