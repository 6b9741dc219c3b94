"""Constant folding of ONNX models: values worked out by hand, and what must stay."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from lexiseg.deployment.constant_folding import fold_constants


def model_of(nodes: list[onnx.NodeProto], *outputs: str, **weights: np.ndarray) -> onnx.ModelProto:
    """Return a model with the input `image`, two numbers."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
            for node in nodes
            for name in node.output
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def stored(model: onnx.ModelProto) -> dict[str, list[float]]:
    return {weights.name: numpy_helper.to_array(weights).tolist() for weights in model.graph.initializer}


def computed(model: onnx.ModelProto, image: list[float]) -> list[list[float]]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [value.tolist() for value in session.run(None, {"image": np.array(image, np.float32)})]


BANK = np.array([1, 2], np.float32)


def test_a_chain_of_constants_becomes_one_value() -> None:
    nodes = [
        helper.make_node("Constant", [], ["three"], value=numpy_helper.from_array(np.float32(3))),
        helper.make_node("Mul", ["bank", "three"], ["tripled"]),
        helper.make_node("Neg", ["tripled"], ["turned"]),
        helper.make_node("Add", ["image", "turned"], ["moved"]),
        helper.make_node("Mul", ["moved", "bank"], ["logits"]),
    ]
    model = model_of(nodes, "logits", bank=BANK)
    fold_constants(model)
    assert [node.op_type for node in model.graph.node] == ["Add", "Mul"]
    assert stored(model) == {"bank": [1, 2], "turned": [-3, -6]}
    assert {info.name for info in model.graph.value_info} == {"moved", "logits"}
    assert computed(model, [10, 10]) == [[7, 8]]  # (10 - 3) * 1, (10 - 6) * 2


def test_weights_that_only_constants_read_are_left_out() -> None:
    nodes = [
        helper.make_node("Neg", ["bank"], ["turned"]),
        helper.make_node("Add", ["image", "turned"], ["y"]),
    ]
    model = model_of(nodes, "y", bank=BANK)
    fold_constants(model)
    assert stored(model) == {"turned": [-1, -2]}


def test_a_constant_output_stays_an_output() -> None:
    nodes = [helper.make_node("Neg", ["bank"], ["fixed"]), helper.make_node("Neg", ["image"], ["y"])]
    model = model_of(nodes, "fixed", "y", bank=BANK)
    fold_constants(model)
    assert computed(model, [5, 6]) == [[-1, -2], [-5, -6]]


def test_a_model_without_constants_stays_as_it_is() -> None:
    model = model_of([helper.make_node("Add", ["image", "bank"], ["y"])], "y", bank=BANK)
    before = model.SerializeToString()
    fold_constants(model)
    assert model.SerializeToString() == before


def test_random_numbers_are_drawn_in_every_run() -> None:
    nodes = [
        helper.make_node("RandomNormal", [], ["noise"], shape=[2]),
        helper.make_node("Add", ["image", "noise"], ["y"]),
    ]
    model = model_of(nodes, "y")
    fold_constants(model)
    assert [node.op_type for node in model.graph.node] == ["RandomNormal", "Add"]


def test_what_a_branch_reads_is_kept() -> None:
    """A branch reads values of the graph around it without naming them as inputs."""

    def branch(operation: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info(f"of_{operation}", TensorProto.FLOAT, [2])
        return helper.make_graph(
            [helper.make_node(operation, ["turned", "image"], [value.name])], operation, [], [value]
        )

    nodes = [
        helper.make_node("Neg", ["bank"], ["turned"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch("Add"), else_branch=branch("Sub")),
    ]
    model = model_of(nodes, "y", bank=BANK, yes=np.array(True))
    fold_constants(model)
    assert [node.op_type for node in model.graph.node] == ["If"]
    assert stored(model) == {"yes": True, "turned": [-1, -2]}
    assert computed(model, [5, 6]) == [[4, 4]]
