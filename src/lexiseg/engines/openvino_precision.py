"""Two precisions in one network of OpenVINO: fp32 for its first and last layers, bf16 for the others.

A number in bf16 has 8 significant bits. After the first convolution of a grey image, neighbouring numbers are
nearly equal, and the next layers work on their small differences. The last layer gives the scores themselves:
a rounded score moves the border of a mask, and no later layer averages over it. Rounding in these layers
causes most of the difference between a network in bf16 and in fp32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from openvino import Core, Model, opset13

from lexiseg.engines.engine import FloatArray, Precision

#: Number of layers, counted from the inputs, that are computed in fp32.
FIRST_FP32_LAYERS = 2
#: Number of layers, counted from the outputs, that are computed in fp32.
LAST_FP32_LAYERS = 1

# What counts as a layer: operations with many products. Activations and norms belong to the layer before.
_LAYERS = {
    *("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"),
    "MatMul",
}
_HINTS: dict[Precision, dict[str, Any]] = {
    "fp32": {"INFERENCE_PRECISION_HINT": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
}


class CompiledModel:
    """A model that is compiled for a precision; with bf16, its first and last layers are computed in fp32.

    Several threads may call it; they wait for each other.

    Args:
        core: OpenVINO.
        model: The model; it is taken apart.
        settings: How to compile it, without the precision.
        precision: The type of the numbers to compute with.

    Attributes:
        inputs: Names of its inputs.
        outputs: The names of each of its outputs.
    """

    def __init__(self, core: Core, model: Model, settings: dict[str, Any], precision: Precision) -> None:
        self.inputs = tuple(port.any_name for port in model.inputs)
        self.outputs = tuple(frozenset(port.names) for port in model.outputs)
        # A compiled part has one place for its inputs and outputs: a second call would overwrite the first.
        self._one_call = threading.Lock()
        self._before: list[tuple[Any, tuple[str, ...]]] = []
        if precision == "bf16":
            first, model, between = first_layers(model, FIRST_FP32_LAYERS)
            if between:
                self._before.append((core.compile_model(first, "CPU", settings | _HINTS["fp32"]), between))
            middle, model, between = all_but_last_layers(model, LAST_FP32_LAYERS)
            if between:
                self._before.append((core.compile_model(middle, "CPU", settings | _HINTS["bf16"]), between))
        # With bf16 too: only the last layers are left.
        self._last: Any = core.compile_model(model, "CPU", settings | _HINTS["fp32"])

    def __call__(self, inputs: dict[str, FloatArray]) -> list[FloatArray]:
        """Return the outputs.

        Args:
            inputs: Arrays by the names of the inputs.
        """
        known = dict(inputs)
        with self._one_call:
            for part, names in self._before:
                # Without a copy: the next part reads them before the next call.
                found = part(_taken(part, known), share_outputs=True)
                known |= zip(names, (found[port] for port in part.outputs), strict=True)
            found = self._last(_taken(self._last, known))
        return [found[port] for port in self._last.outputs]


def _taken(model: Any, known: dict[str, FloatArray]) -> dict[Any, FloatArray]:
    """Return the arrays that a compiled model takes.

    An input that is an output too has the names of both.
    """
    return {port: known[next(name for name in port.names if name in known)] for port in model.inputs}


def first_layers(model: Model, layers: int) -> tuple[Model, Model, tuple[str, ...]]:
    """Take a model apart after its first layers.

    Args:
        model: The model; it is changed.
        layers: The first part holds at most this many layers on each path from an input: convolutions and
            matrix products.

    Returns:
        The part from the inputs on; the other part, which has the outputs; and the names of the inputs by
        which the second part takes the outputs of the first, in their order. Without names the model has no
        such layers, and the second part is all of it.
    """
    depths = _depths(model)
    return _parts(model, lambda node: depths.get(node, 0) <= layers, prefix="first_layers")


def all_but_last_layers(model: Model, layers: int) -> tuple[Model, Model, tuple[str, ...]]:
    """Take a model apart before its last layers.

    Args:
        model: The model; it is changed.
        layers: The second part holds at most this many layers on each path to an output.

    Returns:
        As `first_layers`.
    """
    after = _layers_after(model)
    return _parts(model, lambda node: after[node] >= layers, prefix="all_but_last_layers")


def _parts(
    model: Model, in_first: Callable[[int], bool], *, prefix: str
) -> tuple[Model, Model, tuple[str, ...]]:
    """Take a model apart.

    Args:
        model: The model; it is changed.
        in_first: Whether the node with a number belongs to the first part; what it needs does so too.
        prefix: Names of the inputs between the parts begin with it.

    Returns:
        As `first_layers`.
    """
    depths = _depths(model)

    def is_first(node: Any) -> bool:
        return node.get_type_name() != "Result" and in_first(node.get_instance_id())

    parameters, ends = model.get_parameters(), model.get_results()
    results: list[Any] = []
    between: list[Any] = []
    names: list[str] = []
    for node in model.get_ordered_ops():
        if not is_first(node) or depths.get(node.get_instance_id(), 0) == 0:
            continue  # what comes before the first layer is computed in both parts
        for output in node.outputs():
            readers = [port for port in output.get_target_inputs() if not is_first(port.get_node())]
            if readers:
                names.append(f"{prefix}.{len(names)}")
                entry = opset13.parameter(
                    output.get_partial_shape(), output.get_element_type(), name=names[-1]
                )
                entry.output(0).set_names({names[-1]})
                for port in readers:
                    port.replace_source_output(entry.output(0))
                results.append(opset13.result(output))
                between.append(entry)
    first = Model(results, _needed(parameters, results))
    rest = Model(ends, [*_needed(parameters, ends), *between])
    return first, rest, tuple(names)


def _depths(model: Model) -> dict[int, int]:
    """Return the number of layers on the longest path from an input to each node, itself included.

    Nodes that depend on constants alone are not in it.
    """
    depths: dict[int, int] = {}
    for node in model.get_ordered_ops():
        sources = (port.get_source_output().get_node().get_instance_id() for port in node.inputs())
        before = [depths[source] for source in sources if source in depths]
        if before or node.get_type_name() == "Parameter":
            depths[node.get_instance_id()] = max(before, default=0) + (node.get_type_name() in _LAYERS)
    return depths


def _layers_after(model: Model) -> dict[int, int]:
    """Return the number of layers on the longest path from each node to an output, itself not included."""
    after: dict[int, int] = {}
    for node in reversed(model.get_ordered_ops()):
        readers = [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
        after[node.get_instance_id()] = max(
            (
                after[reader.get_instance_id()] + (reader.get_type_name() in _LAYERS)
                for reader in readers
                if reader.get_instance_id() in after
            ),
            default=0,
        )
    return after


def _needed(parameters: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Return the parameters on which results depend."""
    waiting, seen = list(results), set[int]()
    while waiting:
        node = waiting.pop()
        if node.get_instance_id() not in seen:
            seen.add(node.get_instance_id())
            waiting += (port.get_source_output().get_node() for port in node.inputs())
    return [parameter for parameter in parameters if parameter.get_instance_id() in seen]
