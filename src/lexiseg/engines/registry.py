"""The engines by name. What they are is known without importing torch, onnxruntime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lexiseg.errors import UsageError
from lexiseg.extras import load_module

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from lexiseg.engines.engine import Engine, EngineInputs, Precision
    from lexiseg.engines.model_file import ModelRecord
    from lexiseg.runs.run import Run

#: Names of the model files in a run folder.
ONNX_FILE, OPENVINO_FILE = "model.onnx", "model.openvino"


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """An engine.

    Attributes:
        name: Its name, as in `--engine`.
        packages: Packages that it computes with, whose versions metrics state. Without the first one it is
            not installed.
        extra: The extra that installs them; None where the base installation has them.
        devices: Devices that it computes on, the usual one first; None: all devices of torch.
        precisions: Types of the numbers that it computes with.
        loader: Module and function that load it; the function takes `EngineInputs`.
        files: Model files in a run folder, of which it computes the first that is there. Its own format is
            the first one; for another one it must be asked for. Empty where it computes from the weights.
        exporter: Module and function that write its own format; the function takes the ONNX model of a
            network, the record of the file, the run and the path. None where `lexiseg export` does not.
        shares_weights: Whether such a file can read the weights of the run instead of holding them.
    """

    name: str
    packages: tuple[str, ...]
    extra: str | None = None
    devices: tuple[str, ...] | None = ("cpu",)
    precisions: tuple[Precision, ...] = ("fp32",)
    loader: tuple[str, str]
    files: tuple[str, ...] = ()
    exporter: tuple[str, str] | None = None
    shares_weights: bool = False

    @property
    def package(self) -> str:
        """The package without which it is not installed."""
        return self.packages[0]

    def computes_on(self, device: str) -> bool:
        """Return whether it computes on a device, such as "cuda:1"."""
        return self.devices is None or device in self.devices

    def import_loader(self) -> Callable[[EngineInputs], Engine]:
        """Import the function that loads it.

        Raises:
            UsageError: A package is not installed.
        """
        return cast("Callable[[EngineInputs], Engine]", _imported(self.loader))

    def import_exporter(self) -> Callable[[onnx.ModelProto, ModelRecord, Run, Path], None]:
        """Import the function that writes its model file; only for an engine that has an `exporter`.

        Raises:
            UsageError: A package is not installed.
        """
        assert self.exporter is not None
        return cast("Callable[[onnx.ModelProto, ModelRecord, Run, Path], None]", _imported(self.exporter))


#: The engines, in the order of `--engine`. "auto" asks the last one first. A new one is a module that
#: computes, and an entry here.
ENGINES: tuple[EngineKind, ...] = (
    EngineKind(
        name="torch",
        packages=("torch", "timm"),
        extra="train",
        devices=None,
        loader=("lexiseg.engines.torch_engine", "load"),
    ),
    EngineKind(
        name="onnx",
        packages=("onnxruntime",),
        loader=("lexiseg.engines.onnx_engine", "load"),
        files=(ONNX_FILE,),
        exporter=("lexiseg.deployment.onnx_file", "write_onnx_file"),
        shares_weights=True,
    ),
    EngineKind(
        name="openvino",
        packages=("openvino",),
        extra="openvino",
        precisions=("fp32", "bf16"),
        loader=("lexiseg.engines.openvino_engine", "load"),
        files=(OPENVINO_FILE, ONNX_FILE),
        exporter=("lexiseg.deployment.openvino_archive", "write_openvino_archive"),
    ),
)


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines."""
    return tuple(kind.name for kind in ENGINES)


def engine_choices() -> tuple[str, ...]:
    """Return "auto" and the names of all engines."""
    return ("auto", *engine_names())


def get(name: str) -> EngineKind:
    """Return an engine.

    Raises:
        UsageError: There is none of that name.
    """
    for kind in ENGINES:
        if kind.name == name:
            return kind
    raise UsageError(
        f"engine: expected one of {', '.join(engine_names())}; got {name!r}.", code="LEX-USE-1960"
    )


def with_precision(precision: Precision) -> tuple[EngineKind, ...]:
    """Return the engines that compute with a type of numbers."""
    return tuple(kind for kind in ENGINES if precision in kind.precisions)


def exported_kinds() -> tuple[EngineKind, ...]:
    """Return the engines whose model files `lexiseg export` writes."""
    return tuple(kind for kind in ENGINES if kind.exporter is not None)


def base_installation_first() -> tuple[EngineKind, ...]:
    """Return all engines, those that need no extra first."""
    return tuple(sorted(ENGINES, key=lambda kind: kind.extra is not None))


def engine_packages() -> tuple[str, ...]:
    """Return the packages of all engines, each once."""
    return tuple(dict.fromkeys(package for kind in ENGINES for package in kind.packages))


def model_files() -> tuple[str, ...]:
    """Return the model files that a run folder can hold, each once."""
    return tuple(dict.fromkeys(file for kind in ENGINES for file in kind.files))


def _imported(place: tuple[str, str]) -> object:
    module, name = place
    return getattr(load_module(module), name)
