"""Which engine computes a run."""

from __future__ import annotations

from pathlib import Path

from lexiseg.engines.engine import Engine, EngineChoice, PrecisionChoice
from lexiseg.engines.model_file import ModelFile
from lexiseg.errors import RunError, UsageError
from lexiseg.extras import install_hint, is_installed, load_module
from lexiseg.runs.run import Run

#: Names of the model files in a run folder.
ONNX_FILE, OPENVINO_FILE = "model.onnx", "model.openvino"


def load_engine(
    run: Run, choice: EngineChoice = "auto", *, device: str = "cpu", precision: PrecisionChoice = "fp32"
) -> Engine:
    """Load the engine that computes a run.

    The engine "auto" is the one whose model file the run folder holds; of two files, it is openvino where it
    is installed. It is torch where there is none, and on other devices than the CPU. So the same run on the
    same installation has the same engine in each command: a batch goes on with it, and shards join.
    The device "auto" is a GPU where torch finds one, else the CPU; the engines without torch always compute
    on the CPU.

    Args:
        run: The run.
        choice: The engine.
        device: "auto", or a torch device such as "cpu", "cuda" or "cuda:1".
        precision: Type of the numbers to compute with: "fp32"; "bf16", which needs openvino; or "auto", which
            is bf16 where the chosen engine is openvino and the processor has it.

    Raises:
        RunError: The run folder holds no model file for the engine.
        WeightsError: Weights, text bank or model file are missing, damaged or do not belong together.
        UsageError: A package is not installed, or the engine does not have the device or the precision.
    """
    if precision == "bf16":
        choice = _with_bf16(choice)
    if device == "auto":
        device = "cpu" if choice in ("onnx", "openvino") else _found_device()
    if choice == "auto":
        return _found_engine(run, device, precision)
    if choice == "torch":
        return _torch_engine(run, device)
    if device != "cpu":
        raise UsageError(
            f"The engine {choice} computes on the CPU, not on '{device}'. Leave out --device, or use "
            f"--engine torch.",
            code="LEX-USE-861",
        )
    return _onnx_engine(run) if choice == "onnx" else _openvino_engine(run, precision)


def _found_device() -> str:
    """Return the device that "auto" takes for torch."""
    if not is_installed("torch"):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _found_engine(run: Run, device: str, precision: PrecisionChoice) -> Engine:
    """Return the engine that "auto" takes, see `load_engine`."""
    has_onnx = _find(run, ONNX_FILE) is not None
    has_openvino = _find(run, OPENVINO_FILE) is not None and is_installed("openvino")
    if device != "cpu" or not (has_onnx or has_openvino):
        if not is_installed("torch"):
            if device != "cpu":
                raise UsageError(
                    f"Only the engine torch computes on '{device}', and it is not installed. Leave out "
                    f"--device to compute on the CPU, or install torch. {install_hint('train')}",
                    code="LEX-USE-1740",
                )
            raise RunError(
                f"{run.shown} holds no {ONNX_FILE}, and the engine torch is not installed. Write the file "
                f"with `lexiseg export {run.shown} --to onnx` where torch is installed, or install torch "
                f"here. {install_hint('train')}",
                code="LEX-RUN-872",
            )
        return _torch_engine(run, device)
    # Never by a measurement: another engine gives other last digits, and is another job.
    return _openvino_engine(run, precision) if has_openvino else _onnx_engine(run)


def _with_bf16(choice: EngineChoice) -> EngineChoice:
    if choice in ("auto", "openvino"):
        return "openvino"
    raise UsageError(
        f"The engine {choice} computes with fp32 only. Use --engine openvino for bf16.",
        code="LEX-USE-871",
    )


def _torch_engine(run: Run, device: str) -> Engine:
    engine: Engine = load_module("lexiseg.engines.torch_engine").TorchEngine(run, device)
    return engine


def _onnx_engine(run: Run) -> Engine:
    engine: Engine = load_module("lexiseg.engines.onnx_engine").OnnxEngine(_open(run, ONNX_FILE))
    return engine


def _openvino_engine(run: Run, precision: PrecisionChoice) -> Engine:
    module = load_module("lexiseg.engines.openvino_engine")
    name = ONNX_FILE if _find(run, OPENVINO_FILE) is None else OPENVINO_FILE
    engine: Engine = module.OpenVinoEngine(_open(run, name), precision)
    return engine


def _find(run: Run, name: str) -> Path | None:
    file = run.path / name
    return file if file.is_file() else None


def _open(run: Run, name: str) -> ModelFile:
    """Return a model file of the run folder, checked.

    Raises:
        RunError: There is none.
        WeightsError: It is damaged, or belongs to other weights.
    """
    path = _find(run, name)
    if path is None:
        raise RunError(
            f"{run.shown} holds no {name}, which the engine needs. Write it with `lexiseg export {run.shown} "
            f"--to onnx`, or use --engine torch.",
            code="LEX-RUN-873",
        )
    file = ModelFile.open(path)
    file.check_run(run)
    return file
