"""Weights of an ONNX model in 16 bits, and shared with a safetensors file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from lexiseg.deployment.weights import halve_weights, share_weights
from refusals import refuses


def model_of(**weights: np.ndarray) -> onnx.ModelProto:
    """A model that returns its weights."""
    outputs = [
        helper.make_tensor_value_info(f"{name}.out", TensorProto.FLOAT, value.shape)
        for name, value in weights.items()
    ]
    nodes = [helper.make_node("Identity", [f"network.{name}"], [f"{name}.out"]) for name in weights]
    stored = [numpy_helper.from_array(value, f"network.{name}") for name, value in weights.items()]
    opset = helper.make_opsetid("", 20)
    graph = helper.make_graph(nodes, "g", [], outputs, stored)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def computed(model: onnx.ModelProto, folder: Path) -> dict[str, np.ndarray]:
    file = folder / "model.onnx"
    file.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return {
        output.name: value for output, value in zip(session.get_outputs(), session.run(None, {}), strict=True)
    }


@pytest.fixture
def kernel() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float16).astype(np.float32)


def test_matrices_take_16_bits_and_vectors_32(tmp_path: Path) -> None:
    third = np.full((2, 2), 1 / 3, np.float32)
    model = model_of(matrix=third, vector=third[0])
    halve_weights(model)
    types = {weights.name: weights.data_type for weights in model.graph.initializer}
    assert types == {"network.matrix.half": TensorProto.FLOAT16, "network.vector": TensorProto.FLOAT}
    found = computed(model, tmp_path)
    assert np.array_equal(found["matrix.out"], third.astype(np.float16).astype(np.float32))
    assert np.array_equal(found["vector.out"], third[0])


def test_shared_weights_are_read_from_the_file(tmp_path: Path, kernel: np.ndarray) -> None:
    factors = np.array([1, -2, 0.3, 7], np.float32).reshape(4, 1, 1, 1)
    other, vector = np.float32([[5, 6]]), np.float32([0.1, 0.2])
    file = tmp_path / "weights.safetensors"
    half = kernel.astype(np.float16)
    save_file({"plain": half, "folded": half, "vector": vector, "other": other}, file)
    changed = np.float32([[6, 5]])  # no factor makes it of what the file holds
    model = model_of(plain=kernel, folded=kernel * factors, vector=vector, other=changed)
    share_weights(model, file)
    found = computed(model, tmp_path)
    assert np.array_equal(found["plain.out"], kernel)
    np.testing.assert_allclose(found["folded.out"], kernel * factors, rtol=1e-6)
    assert np.array_equal(found["vector.out"], vector)
    assert np.array_equal(found["other.out"], changed)
    outside = [w.name for w in model.graph.initializer if w.data_location == TensorProto.EXTERNAL]
    assert sorted(outside) == [f"network.{name}.stored" for name in ("folded", "plain", "vector")]


def test_a_header_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    header = b"[" * 1000
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with refuses("LEX-WEIGHTS-1020", "w.safetensors", "Restore"):
        share_weights(model_of(a=np.ones(2, np.float32)), tmp_path / "w.safetensors")
