"""Lexiseg: medical image segmentation taught with words, used without them.

The public interface; the command line calls nothing else. Names load when they are first used, so that
`import lexiseg` stays quick and prediction never imports what only training needs.

Example:
    >>> import lexiseg
    >>> run = lexiseg.train("data/chest", "runs/chest", max_minutes=30)  # doctest: +SKIP
    >>> prediction = lexiseg.load("runs/chest").predict("image.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lexiseg._version import __version__
from lexiseg.errors import LexisegError

if TYPE_CHECKING:
    from pathlib import Path

    from lexiseg.data import open_dataset
    from lexiseg.data.check import check_dataset
    from lexiseg.data.phantom import write_phantom
    from lexiseg.evaluation import evaluate
    from lexiseg.inference.batch import find_targets, predict_to_files
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.result import Prediction
    from lexiseg.interop.stpnet import convert_stpnet
    from lexiseg.run import Run
    from lexiseg.training.train import train

__all__ = [
    "LexisegError",
    "Prediction",
    "Predictor",
    "Run",
    "__version__",
    "check_dataset",
    "convert_stpnet",
    "evaluate",
    "find_targets",
    "load",
    "open_dataset",
    "predict_to_files",
    "train",
    "write_phantom",
]

_HOMES = {
    "Prediction": "lexiseg.inference.result",
    "Predictor": "lexiseg.inference.predictor",
    "Run": "lexiseg.run",
    "check_dataset": "lexiseg.data.check",
    "convert_stpnet": "lexiseg.interop.stpnet",
    "evaluate": "lexiseg.evaluation",
    "find_targets": "lexiseg.inference.batch",
    "open_dataset": "lexiseg.data",
    "predict_to_files": "lexiseg.inference.batch",
    "train": "lexiseg.training.train",
    "write_phantom": "lexiseg.data.phantom",
}


def load(run: str | Path, *, device: str = "cpu") -> Predictor:
    """Load a run folder for prediction.

    Args:
        run: The run folder.
        device: torch device, such as "cpu" or "cuda:0".

    Returns:
        A predictor; its `predict` takes an image and nothing else.

    Raises:
        RunError: The folder is no run this version can read.
        WeightsError: Its weights or text bank are missing or damaged.
    """
    from lexiseg.inference.predictor import Predictor

    return Predictor(run, device=device)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lexiseg' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
