"""The engine onnx: it runs an exported ONNX model with onnxruntime, on the CPU and without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

import onnxruntime

from lexiseg.engines.engine import EngineDescription, EngineInputs, EngineOutput, FloatArray
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.engines.model_file import FEATURES_NAME, ModelFile
from lexiseg.engines.network_inputs import network_inputs
from lexiseg.engines.single_images import run_singly
from lexiseg.engines.threads import cpu_threads
from lexiseg.errors import WeightsError
from lexiseg.open_files import too_many_open

# Images that are computed side by side, at most.
_TOGETHER = 8


class OnnxEngine:
    """Runs a model file with onnxruntime.

    Args:
        file: The model file, an ONNX model.

    Raises:
        WeightsError: onnxruntime cannot load it.
    """

    def __init__(self, file: ModelFile) -> None:
        # Where a program imported onnxruntime first, the variable of `lexiseg.engines` comes too late.
        onnxruntime.disable_telemetry_events()
        self._file, threads = file, cpu_threads()
        self._session = _session(file, threads)
        self._together = min(_TOGETHER, threads)
        self._threads_of_each = -(-threads // self._together)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._together, thread_name_prefix="onnx")

    @cached_property
    def _session_of_batches(self) -> onnxruntime.InferenceSession:
        """The network with fewer threads for each image; made for the first batch."""
        return _session(self._file, self._threads_of_each)

    @property
    def description(self) -> EngineDescription:
        """Which engine it is."""
        return EngineDescription(
            name="onnx",
            version=onnxruntime.__version__,
            precision="fp32",
            device="cpu",
            file=self._file.path,
        )

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        """Return mask scores, phrase probabilities and image features; see `Engine.run`."""
        # Fewer images than go side by side would leave processors unused.
        if len(images) < max(2, self._together):
            return run_singly(partial(_run, self._session), images, inside)
        # Images side by side, each with few threads, are faster than one after the other with all threads:
        # threads that share an image wait for each other after every layer. The numbers are the same.
        return run_singly(partial(_run, self._session_of_batches), images, inside, self._pool.map)

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        """Return mask scores on another grid; see `Engine.resize`."""
        return resize_scores(logits, size)

    def probability(self, logits: FloatArray) -> FloatArray:
        """Return the probability of each foreground class; see `Engine.probability`."""
        return foreground_probability(logits)


def load(inputs: EngineInputs) -> OnnxEngine:
    """Load the engine, see `lexiseg.engines.registry`."""
    assert inputs.file is not None
    return OnnxEngine(inputs.file)


def _session(file: ModelFile, threads: int) -> onnxruntime.InferenceSession:
    """Return a network that computes an image with so many threads.

    Raises:
        WeightsError: onnxruntime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads sleep: they do not take the processor from decoding and writing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        # Not its bytes: shared weights lie beside the file.
        return onnxruntime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of onnxruntime's errors have no common base
        raise too_many_open(file.path, error) or WeightsError(
            f"onnxruntime {onnxruntime.__version__} cannot load {file.path}: {error}. Update "
            f"onnxruntime, or write the file again with `lexiseg export`.",
            code="LEX-WEIGHTS-868",
        ) from error


def _run(
    session: onnxruntime.InferenceSession, images: FloatArray, inside: FloatArray | None
) -> EngineOutput:
    taken = [wanted.name for wanted in session.get_inputs()]
    logits, *others = session.run(None, network_inputs(images, inside, taken))
    features = others.pop() if session.get_outputs()[-1].name == FEATURES_NAME else None
    return EngineOutput(logits=logits, words=tuple(others), features=features)
