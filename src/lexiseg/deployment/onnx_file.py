"""The ONNX file: the model of a run's network with its weights and the record of the run."""

from __future__ import annotations

from pathlib import Path

import onnx

from lexiseg.deployment.onnx_model import add_metadata
from lexiseg.deployment.weights import halve_weights, share_weights
from lexiseg.engines.model_file import ModelRecord, with_hash
from lexiseg.runs.run import Run


def write_onnx_file(model: onnx.ModelProto, record: ModelRecord, run: Run, path: Path) -> None:
    """Write an ONNX model as a model file, checked by `onnx.checker`.

    Args:
        model: The model, with all its weights inside; it is changed.
        record: What the file says about itself.
        run: The run, whose weights the file can share.
        path: The file.

    Raises:
        WeightsError: The weights of the run cannot be shared.
    """
    if record.weights == "fp16":
        halve_weights(model)
    elif record.weights == "shared":
        share_weights(model, run.weights_file)
    add_metadata(model, record)
    path.write_bytes(with_hash(model.SerializeToString()))
    # By its path: shared weights lie beside the file.
    onnx.checker.check_model(str(path), full_check=True)
