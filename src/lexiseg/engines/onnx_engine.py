"""The engine onnx: it runs an exported ONNX model with onnxruntime, on the CPU and without torch."""

from __future__ import annotations

import onnxruntime

from lexiseg.engines.engine import EngineDescription, EngineOutput, FloatArray
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.engines.model_file import FEATURES_NAME, ModelFile, network_inputs
from lexiseg.engines.single_images import run_singly
from lexiseg.engines.threads import cpu_threads
from lexiseg.errors import WeightsError


class OnnxEngine:
    """Runs a model file with onnxruntime.

    Args:
        file: The model file, an ONNX model.

    Raises:
        WeightsError: onnxruntime cannot load it.
    """

    def __init__(self, file: ModelFile) -> None:
        # Where a program imported onnxruntime before Lexiseg, the variable of `lexiseg.engines` comes too late.
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu_threads()
        # Waiting threads sleep: they do not take the processor from decoding and writing.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                # Not its bytes: shared weights lie beside the file.
                str(file.path),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # the classes of onnxruntime's errors have no common base
            raise WeightsError(
                f"onnxruntime {onnxruntime.__version__} cannot load {file.path}: {error}. Update "
                f"onnxruntime, or write the file again with `lexiseg export`.",
                code="LEX-WEIGHTS-868",
            ) from error

    @property
    def description(self) -> EngineDescription:
        """Which engine it is."""
        return EngineDescription(
            name="onnx", version=onnxruntime.__version__, precision="float32", device="cpu"
        )

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores, phrase probabilities and image features; see `Engine.run`."""
        return run_singly(self._run, images, inside)

    def _run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        taken = [wanted.name for wanted in self._session.get_inputs()]
        logits, *others = self._session.run(None, network_inputs(images, inside, taken))
        features = others.pop() if self._session.get_outputs()[-1].name == FEATURES_NAME else None
        return EngineOutput(logits=logits, words=tuple(others), features=features)

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        """Return mask scores on another grid; see `Engine.resize`."""
        return resize_scores(logits, size)

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probability of each foreground class; see `Engine.probability`."""
        return foreground_probability(logits)
