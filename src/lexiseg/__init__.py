"""Lexiseg: medical image segmentation taught with words, used without them.

This is the public interface; the command line calls nothing else. Each name is loaded at its first use, so
`import lexiseg` is quick, and prediction does not import what only training needs.

Each function that takes a predictor also takes a run folder or the name of a run, and loads it with the
default options. `load` takes other options.

Examples:
    >>> import lexiseg
    >>> run = lexiseg.train("data/chest", "runs/chest", max_minutes=30)  # doctest: +SKIP
    >>> prediction = lexiseg.load("runs/chest").predict("image.png")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexiseg._version import __version__
from lexiseg.errors import LexisegError

if TYPE_CHECKING:
    from pathlib import Path

    import lexiseg.choices
    from lexiseg.clinic.view import View as View
    from lexiseg.data import open_dataset as open_dataset
    from lexiseg.data.check.dataset_check import check_dataset as check_dataset
    from lexiseg.data.phantom import write_phantom as write_phantom
    from lexiseg.data.public.dataset_import import get_dataset as get_dataset
    from lexiseg.data.public.dataset_import import import_dataset as import_dataset
    from lexiseg.data.public.registry import find_entry as find_entry
    from lexiseg.data.public.registry import load_registry as load_registry
    from lexiseg.deployment.export import export as export
    from lexiseg.describing.describe import describe as describe
    from lexiseg.describing.multimodal.model import LmmOptions as LmmOptions
    from lexiseg.evaluation.comparison.compare import compare as compare
    from lexiseg.evaluation.comparison.run_table import evaluate_runs as evaluate_runs
    from lexiseg.evaluation.evaluate import evaluate as evaluate
    from lexiseg.evaluation.fitting.calibration import calibrate as calibrate
    from lexiseg.evaluation.fitting.training_images import fit_training_images as fit_training_images
    from lexiseg.evaluation.suspicions.find import find_suspicions as find_suspicions
    from lexiseg.inference.batches.batch import predict_to_files as predict_to_files
    from lexiseg.inference.batches.forecast import forecast_prediction as forecast_prediction
    from lexiseg.inference.batches.shards import join_shards as join_shards
    from lexiseg.inference.explanation.explain import explain as explain
    from lexiseg.inference.inputs.target_search import find_targets as find_targets
    from lexiseg.inference.options import PredictionOptions as PredictionOptions
    from lexiseg.inference.predictor import Predictor as Predictor
    from lexiseg.inference.result import Prediction as Prediction
    from lexiseg.inference.volumes.batch import VolumeSummary as VolumeSummary
    from lexiseg.inference.volumes.batch import predict_volumes_to_files as predict_volumes_to_files
    from lexiseg.inference.volumes.prediction import VolumePrediction as VolumePrediction
    from lexiseg.inference.volumes.prediction import predict_volume as predict_volume
    from lexiseg.installation.check import check_installation as check_installation
    from lexiseg.refinement.refine import Refinement as Refinement
    from lexiseg.refinement.refine import refine as refine
    from lexiseg.refinement.write import refine_to_files as refine_to_files
    from lexiseg.runs.conversion.cotexnet import convert_cotexnet as convert_cotexnet
    from lexiseg.runs.conversion.stpnet import convert_stpnet as convert_stpnet
    from lexiseg.runs.run import Run as Run
    from lexiseg.serving.client import Client as Client
    from lexiseg.sharing.croissant import write_croissant as write_croissant
    from lexiseg.sharing.monai import export_monai as export_monai
    from lexiseg.sharing.pack import pack as pack
    from lexiseg.sharing.pack import unpack as unpack
    from lexiseg.sharing.repository import pull as pull
    from lexiseg.sharing.repository import push as push
    from lexiseg.studies.audit import audit as audit
    from lexiseg.studies.fold_suspicions import find_suspicions_by_folds as find_suspicions_by_folds
    from lexiseg.training.forecast import forecast_training as forecast_training
    from lexiseg.training.train import train as train

# Where each name of the public interface is; a test holds it against the imports above, which are for type
# checkers and editors.
_HOMES = {
    "Client": "lexiseg.serving.client",
    "LmmOptions": "lexiseg.describing.multimodal.model",
    "Prediction": "lexiseg.inference.result",
    "PredictionOptions": "lexiseg.inference.options",
    "Predictor": "lexiseg.inference.predictor",
    "Refinement": "lexiseg.refinement.refine",
    "Run": "lexiseg.runs.run",
    "View": "lexiseg.clinic.view",
    "VolumePrediction": "lexiseg.inference.volumes.prediction",
    "VolumeSummary": "lexiseg.inference.volumes.batch",
    "audit": "lexiseg.studies.audit",
    "calibrate": "lexiseg.evaluation.fitting.calibration",
    "check_dataset": "lexiseg.data.check.dataset_check",
    "check_installation": "lexiseg.installation.check",
    "compare": "lexiseg.evaluation.comparison.compare",
    "convert_cotexnet": "lexiseg.runs.conversion.cotexnet",
    "convert_stpnet": "lexiseg.runs.conversion.stpnet",
    "describe": "lexiseg.describing.describe",
    "evaluate": "lexiseg.evaluation.evaluate",
    "evaluate_runs": "lexiseg.evaluation.comparison.run_table",
    "explain": "lexiseg.inference.explanation.explain",
    "export": "lexiseg.deployment.export",
    "find_entry": "lexiseg.data.public.registry",
    "find_suspicions": "lexiseg.evaluation.suspicions.find",
    "find_suspicions_by_folds": "lexiseg.studies.fold_suspicions",
    "find_targets": "lexiseg.inference.inputs.target_search",
    "fit_training_images": "lexiseg.evaluation.fitting.training_images",
    "forecast_prediction": "lexiseg.inference.batches.forecast",
    "forecast_training": "lexiseg.training.forecast",
    "get_dataset": "lexiseg.data.public.dataset_import",
    "import_dataset": "lexiseg.data.public.dataset_import",
    "join_shards": "lexiseg.inference.batches.shards",
    "load_registry": "lexiseg.data.public.registry",
    "open_dataset": "lexiseg.data",
    "predict_to_files": "lexiseg.inference.batches.batch",
    "predict_volume": "lexiseg.inference.volumes.prediction",
    "predict_volumes_to_files": "lexiseg.inference.volumes.batch",
    "refine": "lexiseg.refinement.refine",
    "refine_to_files": "lexiseg.refinement.write",
    "export_monai": "lexiseg.sharing.monai",
    "pack": "lexiseg.sharing.pack",
    "unpack": "lexiseg.sharing.pack",
    "pull": "lexiseg.sharing.repository",
    "push": "lexiseg.sharing.repository",
    "write_croissant": "lexiseg.sharing.croissant",
    "train": "lexiseg.training.train",
    "write_phantom": "lexiseg.data.phantom",
}


__all__ = ["LexisegError", "__version__", "load", *_HOMES]


def load(
    run: str | Path,
    *,
    device: str = "cpu",
    engine: str = "auto",
    precision: lexiseg.choices.PrecisionChoice = "fp32",
    flip_average: bool = False,
    average_with: str | Path | None = None,
    batch_size: int | None = None,
    spacing_mm: tuple[float, float] | None = None,
    view: View | None = None,
) -> Predictor:
    """Load a run folder, or a model that comes with Lexiseg, for prediction.

    Args:
        run: The run folder, or the name of a model that comes with Lexiseg;
            `lexiseg.runs.shipped.model_names()` lists them.
        device: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1", ...
        engine: Name of an engine, such as "onnx"; "auto" chooses. docs/engines.md lists them.
        precision: "fp32", or "bf16" with the engine openvino; "auto" is bf16 where that is possible.
        flip_average: Whether to average over each image and its mirror image.
        average_with: A second run folder, or such a name, to average with.
        batch_size: Images per pass through the network; by default 8.
        spacing_mm: Height and width of a pixel in millimetres, the same for all images, for areas in mm2.
        view: The window and the frame of DICOM files; by default those that the files state.

    Returns:
        A predictor; its `predict` takes an image and nothing else. `PredictionOptions` says more about each
        option.

    Raises:
        RunError: The folder is no run this version can read.
        WeightsError: Its weights, text bank or model file are missing or damaged.
        UsageError: The device or engine does not exist here, the second run has other classes or words, or an
            option is out of range.
    """
    from lexiseg.clinic.view import AS_STORED
    from lexiseg.inference.options import BATCH_SIZE, PredictionOptions
    from lexiseg.inference.predictor import Predictor

    options = PredictionOptions(
        device=device,
        engine=engine,
        precision=precision,
        flip_average=flip_average,
        average_with=average_with,
        batch_size=BATCH_SIZE if batch_size is None else batch_size,
        spacing_mm=spacing_mm,
        view=view or AS_STORED,
    )
    return Predictor(run, options)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lexiseg' has no attribute '{name}'")
    from lexiseg.extras import load_module

    return getattr(load_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
