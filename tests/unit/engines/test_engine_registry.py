"""The registry of engines; `TOY` shows a whole engine, as a module of `engines/` and the registry hold it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import lexiseg
from lexiseg.engines import registry
from lexiseg.engines.choice import load_engine
from lexiseg.engines.engine import EngineDescription, EngineInputs, EngineOutput, FloatArray
from lexiseg.engines.grid import foreground_probability, resize_scores
from lexiseg.engines.registry import ENGINES, EngineKind
from lexiseg.evaluation.options import EvaluationOptions
from lexiseg.evaluation.provenance import describe_execution
from lexiseg.extras import PACKAGES
from lexiseg.inference.batches.ray_messages import decode_options, encode_options
from lexiseg.inference.options import PredictionOptions
from lexiseg.installation.self_test import engine_findings, engine_tests
from lexiseg.runs.run import Run
from refusals import refuses

SOURCE = Path(lexiseg.__file__).parent
PAGE = Path(__file__).resolve().parents[3] / "docs" / "engines.md"


class ToyEngine:
    """Says that the upper half of each image is the region, with the first phrase of each factor."""

    def __init__(self, run: Run) -> None:
        vocabulary = run.spoken_vocabulary
        self._phrases = () if vocabulary is None else tuple(len(f.phrases) for f in vocabulary.factors)

    @property
    def description(self) -> EngineDescription:
        return EngineDescription(name="toy", version="1.0", precision="fp32", device="cpu")

    def run(self, images: FloatArray, inside: FloatArray | None = None) -> EngineOutput:
        logits = np.full_like(images[:, :1], -9)
        logits[:, :, : images.shape[2] // 2] = 9
        words = (np.eye(1, n, dtype=np.float32).repeat(len(images), axis=0) for n in self._phrases)
        return EngineOutput(logits=logits, words=tuple(words))

    def resize(self, logits: FloatArray, size: tuple[int, int]) -> FloatArray:
        return resize_scores(logits, size)

    def probability(self, logits: FloatArray) -> FloatArray:
        return foreground_probability(logits)


def load(inputs: EngineInputs) -> ToyEngine:
    return ToyEngine(inputs.run)


# The package of the engine: one that is installed, and that no other engine has.
TOY = EngineKind(name="toy", packages=("packaging",), loader=(__name__, "load"))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENGINES", (*ENGINES, TOY))


def command(*words: str, registered: EngineKind = TOY) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, whose registry holds one engine more."""
    program = (
        "from lexiseg.engines import registry\n"
        f"registry.ENGINES = (*registry.ENGINES, registry.{registered!r})\n"
        "from lexiseg.cli import main\n"
        "main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )


def test_a_registered_engine_predicts(toy: None) -> None:
    predictor = lexiseg.load("covid-xray", engine="toy")
    found = predictor.predict(np.zeros((40, 30, 3), np.uint8))
    np.testing.assert_array_equal(found.mask, np.repeat([1, 0], 20)[:, None].repeat(30, axis=1))
    assert found.engine == "toy 1.0, fp32 on cpu"
    assert {word.index for word in found.words} == {0}
    with refuses("LEX-USE-861", "The engine toy computes on the CPU, not on 'cuda'"):
        lexiseg.load("covid-xray", engine="toy", device="cuda")
    with refuses("LEX-USE-871", "The engine toy computes with fp32 only. Use --engine openvino for bf16."):
        lexiseg.load("covid-xray", engine="toy", precision="bf16")


def test_without_registration_there_is_no_such_engine() -> None:
    with refuses("LEX-USE-874", "engine: expected one of auto, torch, onnx, openvino; got 'toy'"):
        lexiseg.load("covid-xray", engine="toy")


def test_an_engine_whose_file_cannot_be_exported_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads_file = EngineKind(name="toy", packages=("packaging",), loader=TOY.loader, files=("model.toy",))
    monkeypatch.setattr(registry, "ENGINES", (*ENGINES, reads_file))
    run = Run.open("covid-xray")
    with refuses("LEX-RUN-873", "covid-xray holds no model.toy, which the engine needs. Put it there, or"):
        load_engine(run, "toy")
    assert load_engine(run).description.name == "onnx"


def test_options_of_a_registered_engine_travel_to_a_cluster(toy: None) -> None:
    options = PredictionOptions(engine="toy")
    message = encode_options(options, average_with=None)
    assert decode_options(message).engine == "toy"
    with refuses("LEX-RES-1480", "does not understand"):
        decode_options(message.replace("toy", "other"))


def test_the_self_test_tries_a_registered_engine(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexiseg.installation.self_test.is_installed", lambda package: package == "packaging")
    tests = engine_tests()
    assert [(test.name, test.description) for test in tests] == [("toy", "toy 1.0, fp32 on cpu")]
    (found,) = engine_findings(tests)
    assert "The engine toy gives another result than the stored one" in found.text
    assert "pip install --upgrade packaging" in found.remedy


def test_provenance_states_the_package_of_a_registered_engine(toy: None) -> None:
    options = EvaluationOptions(engine="toy")
    found = describe_execution(
        lexiseg.load("covid-xray", engine="toy"), Path("data"), options, out=Path("out"), seconds=1
    )
    assert found.engine == "toy 1.0, fp32 on cpu"
    assert "--engine toy" in found.command
    assert list(found.versions) == [
        "python", "lexiseg", "torch", "timm", "onnxruntime", "openvino", "packaging",
        "numpy", "scipy", "scikit-image", "Pillow",
    ]  # fmt: skip
    assert found.versions["packaging"] == version("packaging")


def test_the_command_line_offers_a_registered_engine() -> None:
    refused = command("predict", "covid-xray", "x.png", "--engine", "other")
    assert "'other' is not one of 'auto', 'torch', 'onnx', 'openvino', 'toy'." in refused.stderr
    exported = EngineKind(
        name="toy", packages=("packaging",), loader=TOY.loader, files=("model.toy",), exporter=("x", "y")
    )
    refused = command("export", "covid-xray", "--to", "other", registered=exported)
    assert "'other' is not one of 'onnx', 'openvino', 'toy'." in refused.stderr


def test_the_registry_and_the_options_load_no_engine() -> None:
    program = (
        "import sys, lexiseg.engines.registry, lexiseg.cli.app, lexiseg.cli.options.common\n"
        "print(*({'torch', 'timm', 'onnx', 'onnxruntime', 'openvino', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("kind", ENGINES, ids=lambda kind: kind.name)
def test_what_an_entry_names_exists(kind: EngineKind) -> None:
    assert callable(kind.import_loader())
    if kind.exporter is not None:
        assert callable(kind.import_exporter())
        assert kind.files
    assert kind.extra is None or set(kind.packages) <= set(PACKAGES[kind.extra])
    assert f"\n| `{kind.name}` | " in PAGE.read_text(encoding="utf-8")


def test_orders() -> None:
    assert registry.engine_choices() == ("auto", "torch", "onnx", "openvino")
    assert [kind.name for kind in registry.base_installation_first()] == ["onnx", "torch", "openvino"]
    assert registry.model_files() == ("model.onnx", "model.openvino")
    assert [kind.name for kind in registry.exported_kinds()] == ["onnx", "openvino"]


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield all texts of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def test_only_engines_and_their_registry_name_files_and_packages() -> None:
    """Another module takes them from the registry: then a new engine is one module and one entry."""
    # torch trains too, and timm has the encoders of trainings.
    names = {*registry.model_files(), *registry.engine_packages()} - {"torch", "timm"}
    assert names == {"model.onnx", "model.openvino", "onnxruntime", "openvino"}
    # The extras are those of pyproject.toml, whose packages they repeat.
    allowed = {SOURCE / "extras.py"}
    found = [
        f"{path.relative_to(SOURCE)}:{text.lineno}: {text.value}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path not in allowed and SOURCE / "engines" not in path.parents
        for text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if text.value in names
    ]
    assert found == []
