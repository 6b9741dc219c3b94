"""The engine openvino: it runs a model file with OpenVINO, on the CPU and without torch."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import openvino

from lexiseg.engines.engine import (
    EngineDescription,
    EngineInputs,
    EngineOutput,
    FloatArray,
    Precision,
    PrecisionChoice,
)
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.engines.model_file import (
    ARCHIVE_WEIGHTS,
    ARCHIVE_XML,
    FEATURES_NAME,
    ModelFile,
)
from lexiseg.engines.network_inputs import network_inputs
from lexiseg.engines.openvino_precision import CompiledModel
from lexiseg.engines.threads import cpu_threads
from lexiseg.errors import WeightsError
from lexiseg.open_files import too_many_open

_log = logging.getLogger(__name__)


class OpenVinoEngine:
    """Runs a model file with OpenVINO.

    Args:
        file: The model file, an ONNX model or an archive for OpenVINO.
        precision: Type of the numbers to compute with; "auto": bf16 where the processor has it. A processor
            without bf16 computes with fp32; for "bf16" this is logged once.

    Raises:
        WeightsError: OpenVINO cannot load it.
    """

    def __init__(self, file: ModelFile, precision: PrecisionChoice = "fp32") -> None:
        core = openvino.Core()
        self._path = file.path
        self._precision = _possible(precision, tuple(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")))
        settings = {
            "INFERENCE_NUM_THREADS": cpu_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            # Threads that read and write beside the network would wait for a core to which one of its threads
            # is bound.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            self._compiled = CompiledModel(core, _read(core, file), settings, self._precision)
        except Exception as error:  # OpenVINO raises RuntimeError and errors of its frontends
            # Some layers, such as recurrent ones, have no bf16.
            remedy = (
                "Use --precision fp32, or --engine onnx."
                if self._precision == "bf16"
                else "Update openvino, or write the file again with `lexiseg export`."
            )
            raise too_many_open(file.path, error) or WeightsError(
                f"OpenVINO {_version()} cannot load {file.path}: {error}. {remedy}",
                code="LEX-WEIGHTS-869",
            ) from error

    @property
    def description(self) -> EngineDescription:
        """Which engine it is."""
        return EngineDescription(
            name="openvino",
            version=_version(),
            precision=self._precision,
            device="cpu",
            file=self._path,
        )

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores, phrase probabilities and image features; see `Engine.run`."""
        found = self._compiled(network_inputs(images, inside, self._compiled.inputs))
        # In fp32 also where a model gives other numbers.
        logits, *others = (output.astype(np.float32) for output in found)
        features = others.pop() if FEATURES_NAME in self._compiled.outputs[-1] else None
        return EngineOutput(logits=logits, words=tuple(others), features=features)

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        """Return mask scores on another grid; see `Engine.resize`."""
        return resize_scores(logits, size)

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probability of each foreground class; see `Engine.probability`."""
        return foreground_probability(logits)


def load(inputs: EngineInputs) -> OpenVinoEngine:
    """Load the engine, see `lexiseg.engines.registry`."""
    assert inputs.file is not None
    return OpenVinoEngine(inputs.file, inputs.precision)


def _read(core: Any, file: ModelFile) -> Any:
    if file.is_archive:
        return core.read_model(file.archived(ARCHIVE_XML), file.archived(ARCHIVE_WEIGHTS))
    # Not its bytes: shared weights lie beside the file.
    return core.read_model(file.path)


@cache
def _possible(precision: PrecisionChoice, capabilities: tuple[str, ...]) -> Precision:
    """Return the precision, or fp32 where the processor has no bf16; cached, to say it once."""
    has_bf16 = "BF16" in capabilities
    if precision == "bf16" and not has_bf16:
        _log.warning("This processor has no bf16: OpenVINO computes with fp32.")
    return "fp32" if precision == "fp32" or not has_bf16 else "bf16"


def _version() -> str:
    return str(openvino.__version__).split("-")[0]
