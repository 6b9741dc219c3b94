"""Which engine computes a run."""

from __future__ import annotations

from pathlib import Path

from lexiseg.engines import registry
from lexiseg.engines.engine import Engine, EngineChoice, EngineInputs, PrecisionChoice
from lexiseg.engines.model_file import ModelFile
from lexiseg.engines.registry import ONNX_FILE, EngineKind
from lexiseg.errors import RunError, UsageError
from lexiseg.extras import install_hint, is_installed
from lexiseg.printable import command_word
from lexiseg.runs.run import Run


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
        choice: Name of an engine (`lexiseg.engines.registry`), or "auto".
        device: "auto", or a torch device such as "cpu", "cuda" or "cuda:1".
        precision: Type of the numbers to compute with: "fp32"; "bf16", which needs openvino; or "auto", which
            is bf16 where the chosen engine is openvino and the processor has it.

    Raises:
        RunError: The run folder holds no model file for the engine.
        WeightsError: Weights, text bank or model file are missing, damaged or do not belong together.
        UsageError: There is no such engine, a package is not installed, or the engine does not have the
            device or the precision.
    """
    kind = None if choice == "auto" else registry.get(choice)
    if precision == "bf16":
        kind = _with_bf16(kind)
    if device == "auto":
        device = _found_device() if kind is None or kind.devices is None else kind.devices[0]
    if kind is None:
        kind = _found_kind(run, device)
    if not kind.computes_on(device):
        raise UsageError(
            f"The engine {kind.name} computes on {_named_devices(kind)}, not on '{device}'. Leave out "
            f"--device, or use --engine torch.",
            code="LEX-USE-861",
        )
    load = kind.import_loader()
    file = _open(run, kind) if kind.files else None
    return load(EngineInputs(run=run, file=file, device=device, precision=precision))


def _found_device() -> str:
    """Return the device that "auto" takes for torch."""
    if not is_installed("torch"):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _named_devices(kind: EngineKind) -> str:
    return " or ".join("the CPU" if device == "cpu" else device for device in kind.devices or ())


def _found_kind(run: Run, device: str) -> EngineKind:
    """Return the engine that "auto" takes, see `load_engine`."""
    # Never by a measurement: another engine gives other last digits, and is another job.
    for kind in reversed(registry.ENGINES):
        has_network = not kind.files or _find(run, kind.files[0]) is not None
        # The base installation is complete: a hole in it is said where the engine is imported.
        if has_network and kind.computes_on(device) and (kind.extra is None or is_installed(kind.package)):
            return kind
    if device != "cpu":
        raise UsageError(
            f"Only the engine torch computes on '{device}', and it is not installed. Leave out "
            f"--device to compute on the CPU, or install torch. {install_hint('train')}",
            code="LEX-USE-1740",
        )
    raise RunError(
        f"{run.shown} holds no {ONNX_FILE}, and the engine torch is not installed. Write the file "
        f"with `lexiseg export {command_word(run.shown)} --to onnx` where torch is installed, or install "
        f"torch here. {install_hint('train')}",
        code="LEX-RUN-872",
    )


def _with_bf16(kind: EngineKind | None) -> EngineKind:
    """Return the engine that computes with bf16 where an engine, or None for "auto", is asked for.

    Raises:
        UsageError: The engine does not compute with it.
    """
    able = registry.with_precision("bf16")
    if kind is None:
        return able[-1]
    if kind in able:
        return kind
    raise UsageError(
        f"The engine {kind.name} computes with {' and '.join(kind.precisions)} only. Use --engine "
        f"{' or '.join(other.name for other in able)} for bf16.",
        code="LEX-USE-871",
    )


def _find(run: Run, name: str) -> Path | None:
    file = run.path / name
    return file if file.is_file() else None


def _open(run: Run, kind: EngineKind) -> ModelFile:
    """Return the first model file of the run folder that an engine computes, checked.

    Raises:
        RunError: There is none.
        WeightsError: It is damaged, or belongs to other weights.
    """
    path = next((path for name in kind.files if (path := _find(run, name)) is not None), None)
    if path is None:
        raise RunError(
            f"{run.shown} holds no {kind.files[-1]}, which the engine needs. {_how_to_write(run, kind)}, or "
            f"use --engine torch.",
            code="LEX-RUN-873",
        )
    file = ModelFile.open(path)
    file.check_run(run)
    return file


def _how_to_write(run: Run, kind: EngineKind) -> str:
    """Return the command that writes the most common of the files that an engine computes."""
    for other in registry.exported_kinds():
        if other.files[0] == kind.files[-1]:
            return f"Write it with `lexiseg export {command_word(run.shown)} --to {other.name}`"
    return "Put it there"
