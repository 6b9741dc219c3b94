"""The ONNX model of a run's network: images in, mask scores, phrase probabilities and image features out.

It takes any batch size.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from lexiseg.deployment.constant_folding import fold_constants
from lexiseg.engines.model_file import (
    FEATURES_NAME,
    HASH_KEY,
    INPUT_NAME,
    INSIDE_NAME,
    LOGITS_NAME,
    NO_HASH,
    RECORD_KEY,
    ModelRecord,
)
from lexiseg.engines.torch_engine import TorchEngine
from lexiseg.errors import WeightsError
from lexiseg.models.output import HasImageFeatures, SegmentationOutput
from lexiseg.runs.run import Run


class _OutputsAsTuple(nn.Module):
    """A network whose outputs are a tuple: mask scores, phrase probabilities by factor, image features.

    The features are left out where the network gives none.

    Everything that depends on the text bank alone is a constant of the exported graph.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, inside: Tensor | None = None) -> tuple[Tensor, ...]:
        seen = (image,) if inside is None else (image, inside)
        output: SegmentationOutput = self.network(*seen)
        features = output.image_features if isinstance(output, HasImageFeatures) else None
        return (
            output.logits.float(),
            *(score.float().softmax(dim=1) for score in output.retrieval.values()),
            *(() if features is None else (features.float(),)),
        )


def make_onnx_model(run: Run, engine: TorchEngine) -> onnx.ModelProto:
    """Return the ONNX model of a network, without metadata, checked by `onnx.checker`.

    Args:
        run: The run.
        engine: Its network.

    Raises:
        WeightsError: torch cannot export the network, or only for one batch size.
    """
    vocabulary = run.spoken_vocabulary
    factors = [] if vocabulary is None else [factor.name for factor in vocabulary.factors]
    size = run.manifest.image_size
    # Two images, as torch would take a batch of one for a constant.
    example: tuple[Tensor, ...] = (torch.zeros(2, 3, size, size, device=engine.device),)
    if run.manifest.fit != "stretch":
        example = (*example, torch.ones(2, 1, size, size, device=engine.device))
    batch = {0: torch.export.Dim("batch", min=1)}
    try:
        with torch.no_grad(), _quiet():
            network = _OutputsAsTuple(engine.network).eval()
            # Only a network that gives image features has the last output.
            names = [LOGITS_NAME, *factors, FEATURES_NAME][: len(network(*example))]
            program = torch.onnx.export(
                network,
                example,
                dynamo=True,
                dynamic_shapes=(batch,) * len(example),
                input_names=[INPUT_NAME, INSIDE_NAME][: len(example)],
                output_names=names,
                verbose=False,
            )
    except Exception as error:  # torch.export lets errors of many classes through
        raise WeightsError(
            f"torch cannot export the network of {run.shown}: {error}", code="LEX-WEIGHTS-875"
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if not all(output.type.tensor_type.shape.dim[0].dim_param for output in model.graph.output):
        raise WeightsError(
            f"The exported network of {run.shown} takes one batch size only: its code turns the number of "
            f"images into a constant, as len(tensor) does. Use tensor.shape[0] in the network.",
            code="LEX-WEIGHTS-876",
        )
    fold_constants(model)
    _remove_traces(model)
    return model


def add_metadata(model: onnx.ModelProto, record: ModelRecord) -> None:
    """Write the record and the place of the hash into a model."""
    onnx.helper.set_model_props(model, {RECORD_KEY: record.model_dump_json(), HASH_KEY: NO_HASH})
    model.producer_name, model.producer_version = "lexiseg", record.lexiseg_version


def _remove_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of the source code, with paths of this machine."""
    model.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and the log of torch's exporter."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
