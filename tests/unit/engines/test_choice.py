"""Which engine computes a run, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lexiseg.engines import choice, openvino_engine, registry, threads, torch_engine
from lexiseg.engines.choice import load_engine
from lexiseg.engines.onnx_engine import OnnxEngine
from lexiseg.engines.openvino_engine import OpenVinoEngine
from lexiseg.extras import install_hint
from lexiseg.inference.options import PredictionOptions
from lexiseg.runs.run import Run
from refusals import refuses


@pytest.fixture
def shipped() -> Run:
    return Run.open("covid-xray")


def rename_model_files(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """Let engines look for model files of other names: `model_onnx="none.onnx"`."""
    known = {name.replace("_", "."): other for name, other in names.items()}
    kinds = (
        replace(kind, files=tuple(known.get(file, file) for file in kind.files)) for kind in registry.ENGINES
    )
    monkeypatch.setattr(registry, "ENGINES", tuple(kinds))


def test_the_model_file_decides(monkeypatch: pytest.MonkeyPatch, shipped: Run) -> None:
    assert load_engine(shipped).description.name == "onnx"
    assert load_engine(shipped, "torch").description.name == "torch"
    rename_model_files(monkeypatch, model_onnx="none.onnx")
    assert load_engine(shipped).description.name == "torch"
    with refuses("LEX-RUN-873", "covid-xray holds no none.onnx", "lexiseg export covid-xray"):
        load_engine(shipped, "onnx")
    with refuses("LEX-RUN-873", "covid-xray holds no none.onnx", "--to onnx"):
        load_engine(shipped, "openvino")
    monkeypatch.setattr(choice, "is_installed", lambda package: False)
    with refuses("LEX-RUN-872", "lexiseg export covid-xray --to onnx", install_hint("train")):
        load_engine(shipped)


def test_another_device_than_the_cpu_needs_torch(monkeypatch: pytest.MonkeyPatch, shipped: Run) -> None:
    monkeypatch.setattr(choice, "is_installed", lambda package: False)
    with refuses("LEX-USE-1740", "Only the engine torch computes on 'cuda:1'", install_hint("train")):
        load_engine(shipped, device="cuda:1")


def test_of_two_files_that_of_openvino_is_taken_without_a_measurement(
    monkeypatch: pytest.MonkeyPatch, shipped: Run
) -> None:
    """An interrupted batch goes on, and shards join, only with the same engine."""
    rename_model_files(monkeypatch, model_openvino="model.onnx")
    passes: list[str] = []
    for kind in (OnnxEngine, OpenVinoEngine):
        monkeypatch.setattr(kind, "run", lambda self, *images: passes.append("measured"))
    assert load_engine(shipped).description.name == "openvino"
    assert passes == []
    monkeypatch.setattr(choice, "is_installed", lambda package: package != "openvino")
    assert load_engine(shipped).description.name == "onnx"


def test_devices_and_precisions(shipped: Run) -> None:
    for name in ("onnx", "openvino"):
        with refuses("LEX-USE-861", f"engine {name}", "'cuda:0'"):
            load_engine(shipped, name, device="cuda:0")
    for name in ("onnx", "torch"):
        with refuses("LEX-USE-871", f"engine {name}", "--engine openvino"):
            load_engine(shipped, name, precision="bf16")
    assert load_engine(shipped, precision="bf16").description.name == "openvino"
    assert load_engine(shipped, "onnx", precision="auto").description.precision == "fp32"


def test_the_device_auto(monkeypatch: pytest.MonkeyPatch, shipped: Run) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch_engine, "load", lambda inputs: asked.append(inputs.device))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_engine(shipped, device="auto").description.name == "onnx"
    load_engine(shipped, "torch", device="auto")
    assert asked == ["cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    load_engine(shipped, device="auto")
    load_engine(shipped, "torch", device="auto")
    assert asked == ["cpu", "cuda", "cuda"]
    # An engine that computes on the CPU needs no GPU, and without torch there is none to find.
    assert load_engine(shipped, "onnx", device="auto").description.device == "cpu"
    assert load_engine(shipped, device="auto", precision="bf16").description.device == "cpu"
    monkeypatch.setattr(choice, "is_installed", lambda package: package != "torch")
    assert load_engine(shipped, device="auto").description.device == "cpu"


def test_unknown_names_are_refused() -> None:
    options: Any = PredictionOptions
    with refuses("LEX-USE-874", "engine: expected one of auto, torch, onnx, openvino; got 'tensorrt'"):
        options(engine="tensorrt")
    with refuses("LEX-USE-1960", "engine: expected one of torch, onnx, openvino; got 'tensorrt'"):
        load_engine(Run.open("covid-xray"), "tensorrt")
    with refuses("LEX-USE-874", "precision: expected one of auto, fp32, bf16; got 'int8'."):
        options(precision="int8")
    with refuses("LEX-USE-874", "got 'bfloat16'. Write bf16."):
        options(precision="bfloat16")


def test_a_processor_without_bf16_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    openvino_engine._possible.cache_clear()
    possible = openvino_engine._possible
    assert [possible(name, ("FP32", "BF16")) for name in ("fp32", "bf16", "auto")] == ["fp32", "bf16", "bf16"]
    assert [possible("bf16", ("FP32",)) for _ in range(3)] == ["fp32"] * 3
    assert [possible(name, ("FP32",)) for name in ("auto", "fp32")] == ["fp32", "fp32"]
    assert [record.message for record in caplog.records] == [
        "This processor has no bf16: OpenVINO computes with fp32."
    ]


def test_threads_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for stated, number in (("3", 3), ("2,1", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
        assert threads.cpu_threads() == number
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads.cpu_threads() >= 1


def test_a_model_file_of_other_weights_is_refused(shipped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SimpleNamespace(weights_sha256=lambda: "1" * 64, weights_file="w", shown="chest")
    from lexiseg.engines.model_file import ModelFile

    with refuses("LEX-WEIGHTS-867", "other weights", "lexiseg export chest"):
        ModelFile.open(shipped.path / registry.ONNX_FILE).check_run(file)  # type: ignore[arg-type]
