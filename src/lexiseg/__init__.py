"""Lexiseg: medical image segmentation taught with words, used without them.

The public interface; the command line calls nothing else. Names load when they are first used, so that
`import lexiseg` stays quick and prediction never imports what only training needs.

Examples:
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
    from lexiseg.data.public.dataset_import import get_dataset, import_dataset
    from lexiseg.data.public.registry import find_entry, load_registry
    from lexiseg.describing.describe import describe
    from lexiseg.describing.multimodal.model import LmmOptions
    from lexiseg.evaluation import compare, evaluate, evaluate_runs
    from lexiseg.evaluation.calibrate import calibrate
    from lexiseg.inference.batch import find_targets, predict_to_files
    from lexiseg.inference.explain import explain
    from lexiseg.inference.predictor import Predictor
    from lexiseg.inference.result import Prediction
    from lexiseg.runs.conversion.cotexnet import convert_cotexnet
    from lexiseg.runs.conversion.stpnet import convert_stpnet
    from lexiseg.runs.run import Run
    from lexiseg.studies.audit import audit
    from lexiseg.training.train import train

__all__ = [
    "LexisegError",
    "LmmOptions",
    "Prediction",
    "Predictor",
    "Run",
    "__version__",
    "audit",
    "calibrate",
    "check_dataset",
    "compare",
    "convert_cotexnet",
    "convert_stpnet",
    "describe",
    "evaluate",
    "evaluate_runs",
    "explain",
    "find_entry",
    "find_targets",
    "get_dataset",
    "import_dataset",
    "load",
    "load_registry",
    "open_dataset",
    "predict_to_files",
    "train",
    "write_phantom",
]

_HOMES = {
    "LmmOptions": "lexiseg.describing.multimodal.model",
    "Prediction": "lexiseg.inference.result",
    "Predictor": "lexiseg.inference.predictor",
    "Run": "lexiseg.runs.run",
    "audit": "lexiseg.studies.audit",
    "calibrate": "lexiseg.evaluation.calibrate",
    "check_dataset": "lexiseg.data.check",
    "compare": "lexiseg.evaluation",
    "convert_cotexnet": "lexiseg.runs.conversion.cotexnet",
    "convert_stpnet": "lexiseg.runs.conversion.stpnet",
    "describe": "lexiseg.describing.describe",
    "evaluate": "lexiseg.evaluation",
    "evaluate_runs": "lexiseg.evaluation",
    "explain": "lexiseg.inference.explain",
    "find_entry": "lexiseg.data.public.registry",
    "find_targets": "lexiseg.inference.batch",
    "get_dataset": "lexiseg.data.public.dataset_import",
    "import_dataset": "lexiseg.data.public.dataset_import",
    "load_registry": "lexiseg.data.public.registry",
    "open_dataset": "lexiseg.data",
    "predict_to_files": "lexiseg.inference.batch",
    "train": "lexiseg.training.train",
    "write_phantom": "lexiseg.data.phantom",
}


def load(
    run: str | Path,
    *,
    device: str = "cpu",
    flip_average: bool = False,
    average_with: str | Path | None = None,
) -> Predictor:
    """Load a run folder, or a model that comes with Lexiseg, for prediction.

    Args:
        run: The run folder, or the name of a model that comes with Lexiseg;
            `lexiseg.runs.shipped.model_names()` lists them.
        device: torch device, such as "cpu" or "cuda:0".
        flip_average: Whether to average over each image and its mirror image, see `Predictor`.
        average_with: A second run folder, or such a name, to average with, see `Predictor`.

    Returns:
        A predictor; its `predict` takes an image and nothing else.

    Raises:
        RunError: The folder is no run this version can read.
        WeightsError: Its weights or text bank are missing or damaged.
        UsageError: The device does not exist here, or the second run has other classes or words.
    """
    from lexiseg.inference.predictor import Predictor

    return Predictor(run, device=device, flip_average=flip_average, average_with=average_with)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lexiseg' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
