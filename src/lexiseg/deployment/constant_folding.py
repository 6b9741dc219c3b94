"""Constant folding of an ONNX model: what no input changes is computed once, at the export.

torch's exporter leaves in the graph what a network computes from its text bank or from position codes. One of
these parts is the recurrent layer of the published STPNet, which OpenVINO cannot compute in bf16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
import onnxruntime
from onnx import AttributeProto, helper, numpy_helper

_RANDOM = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)


def fold_constants(model: onnx.ModelProto) -> None:
    """Replace every node that depends on no input of the model by its values.

    Nodes that draw random numbers, and those that hold graphs of their own (loops and branches), stay.

    Args:
        model: The model with all its weights inside; changed in place.
    """
    graph = model.graph
    fixed, varying = _split(graph)
    made = {name for node in fixed for name in node.output if name}
    read = {name for node in varying for name in _read(node)} | {output.name for output in graph.output}
    values = _computed(model, fixed, sorted(made & read))
    weights = [stored for stored in graph.initializer if stored.name in read] + values
    infos = [info for info in graph.value_info if info.name not in made]
    for field, kept in ((graph.node, varying), (graph.initializer, weights), (graph.value_info, infos)):
        del field[:]
        field.extend(kept)


def _split(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return the nodes that depend on no input of the model, and the others, copied."""
    known = {stored.name for stored in graph.initializer} - {value.name for value in graph.input}
    fixed: list[onnx.NodeProto] = []
    varying: list[onnx.NodeProto] = []
    for node in graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        is_fixed = node.op_type not in _RANDOM and not any(_graphs(node)) and known.issuperset(_read(node))
        (fixed if is_fixed else varying).append(copy)
        known.update(node.output if is_fixed else ())
    return fixed, varying


def _computed(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], wanted: list[str]
) -> list[onnx.TensorProto]:
    """Return values that nodes compute from initializers."""
    if not wanted:
        return []
    read = {name for node in nodes for name in _read(node)}
    graph = helper.make_graph(
        nodes,
        "constants",
        inputs=[],
        outputs=[helper.make_empty_tensor_value_info(name) for name in wanted],
        initializer=[stored for stored in model.graph.initializer if stored.name in read],
    )
    part = helper.make_model(
        graph, opset_imports=model.opset_import, functions=model.functions, ir_version=model.ir_version
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [
        numpy_helper.from_array(value, name)
        for name, value in zip(wanted, session.run(wanted, {}), strict=True)
    ]


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node and its graphs read."""
    yield from filter(None, node.input)
    for graph in _graphs(node):
        for inner in graph.node:
            yield from _read(inner)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs
