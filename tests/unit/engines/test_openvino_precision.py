"""With bf16, the first layers and the last layer of a network are computed in fp32."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
from openvino import opset13 as ops  # noqa: E402

from lexiseg.engines.openvino_precision import CompiledModel, all_but_last_layers, first_layers  # noqa: E402

CORE = openvino.Core()
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def convolution(of: Any, channels: int, seed: int) -> Any:
    shape = (channels, of.get_output_partial_shape(0)[1].get_length(), 3, 3)
    weights = np.random.default_rng(seed).normal(size=shape)
    return ops.convolution(of, weights.astype(np.float32), [1, 1], [1, 1], [1, 1], [1, 1])


def named(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return node


def network(*, convolutions: int = 4, skip: bool = False, early_output: bool = False) -> Any:
    """Return convolutions one after the other; `skip` adds the first result to the last one."""
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    first = last = ops.relu(convolution(image, 4, seed=1))
    for number in range(1, convolutions):
        last = ops.relu(convolution(last, 4, seed=1 + number))
    results = [ops.result(named(ops.add(last, first) if skip else last, "out"))]
    if early_output:
        results.append(ops.result(named(ops.reduce_mean(first, [2, 3]), "early")))
    return openvino.Model(results, [image])


def types_of(model: Any) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def outputs_of(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    compiled = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(inputs)
    return {port.any_name if port.names else str(i): found[port] for i, port in enumerate(compiled.outputs)}


def test_the_first_part_ends_after_so_many_convolutions() -> None:
    first, rest, names = first_layers(network(), 2)
    assert types_of(first).count("Convolution") == 2
    assert types_of(rest).count("Convolution") == 2
    # The activation of the last convolution belongs to the first part.
    assert types_of(first).count("Relu") == 2
    assert names == ("first_layers.0",)
    assert [port.any_name for port in rest.inputs] == ["first_layers.0"]


def test_a_skip_connection_is_handed_over_too() -> None:
    _, rest, names = first_layers(network(skip=True), 2)
    assert names == ("first_layers.0", "first_layers.1")
    assert types_of(rest).count("Convolution") == 2


@pytest.mark.parametrize("options", [{}, {"skip": True}, {"early_output": True}])
def test_both_parts_give_the_outputs_of_the_whole(options: dict[str, bool]) -> None:
    whole = outputs_of(network(**options), {"image": IMAGES})
    first, rest, names = first_layers(network(**options), 2)
    between = dict(zip(names, outputs_of(first, {"image": IMAGES}).values(), strict=True))
    found = outputs_of(rest, {port.any_name: between[port.any_name] for port in rest.inputs})
    assert found.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


def test_the_second_part_holds_the_last_layer_and_what_follows_it() -> None:
    before, last, names = all_but_last_layers(network(), 1)
    assert types_of(before).count("Convolution") == 3
    assert (types_of(last).count("Convolution"), types_of(last).count("Relu")) == (1, 1)
    assert names == ("all_but_last_layers.0",)


def test_the_last_layer_of_each_output_is_in_the_second_part() -> None:
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    shared = ops.relu(convolution(convolution(image, 4, seed=1), 4, seed=2))
    mask = named(convolution(shared, 1, seed=3), "mask")
    matrix = np.random.default_rng(4).normal(size=(4, 2)).astype(np.float32)
    words = named(ops.matmul(ops.reduce_mean(shared, [2, 3]), matrix, False, False), "words")
    model = openvino.Model([ops.result(mask), ops.result(words)], [image])
    before, last, names = all_but_last_layers(model, 1)
    assert (types_of(before).count("Convolution"), types_of(before).count("MatMul")) == (2, 0)
    assert (types_of(last).count("Convolution"), types_of(last).count("MatMul")) == (1, 1)
    # The mean is no layer, so it stays with the layer before it.
    assert len(names) == 2


@pytest.mark.parametrize("options", [{}, {"skip": True}, {"early_output": True}])
def test_a_model_without_its_last_layer_and_the_rest_give_the_outputs_of_the_whole(
    options: dict[str, bool],
) -> None:
    whole = outputs_of(network(**options), {"image": IMAGES})
    before, last, names = all_but_last_layers(network(**options), 1)
    between = dict(zip(names, outputs_of(before, {"image": IMAGES}).values(), strict=True))
    known = {"image": IMAGES, **between}
    found = outputs_of(last, {port.any_name: known[port.any_name] for port in last.inputs})
    assert found.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


def test_matrix_products_and_transposed_convolutions_count_as_layers() -> None:
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    last = ops.transpose(ops.reshape(convolution(image, 4, seed=1), [0, 4, 64], True), [0, 2, 1])
    for number in range(3):
        weights = np.random.default_rng(number).normal(size=(4, 4)).astype(np.float32)
        last = ops.softmax(ops.matmul(last, weights, False, False), 2)
    square = ops.reshape(ops.transpose(last, [0, 2, 1]), [0, 4, 8, 8], True)
    larger = np.random.default_rng(9).normal(size=(4, 1, 2, 2)).astype(np.float32)
    grown = ops.convolution_backprop_data(square, larger, [2, 2])
    first, rest, names = first_layers(openvino.Model([ops.result(named(grown, "out"))], [image]), 2)
    assert (types_of(first).count("Convolution"), types_of(first).count("MatMul")) == (1, 1)
    assert (types_of(rest).count("MatMul"), types_of(rest).count("ConvolutionBackpropData")) == (2, 1)
    assert len(names) == 1


def test_sizes_and_further_inputs_are_handed_over() -> None:
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    inside = named(ops.parameter([-1, 1, 8, 8], np.float32), "inside")
    first = ops.relu(convolution(image, 4, seed=1))
    third = convolution(convolution(first, 4, seed=2), 4, seed=3)
    # Back to the size of the first result, which only the numbers of its shape tell; both parts use `inside`.
    again = ops.reshape(third, ops.shape_of(first, "i64"), False)
    model = openvino.Model([ops.result(named(ops.multiply(again, inside), "out"))], [image, inside])
    whole = outputs_of(model.clone(), {"image": IMAGES, "inside": IMAGES[:, :1]})["out"]
    compiled = CompiledModel(CORE, model, {}, "bf16")
    assert compiled.inputs == ("image", "inside")
    found = compiled({"image": IMAGES, "inside": IMAGES[:, :1]})[0]
    np.testing.assert_allclose(found, whole, atol=0.02 * np.abs(whole).max())


def test_an_output_of_the_first_layers_is_handed_through() -> None:
    whole = outputs_of(network(early_output=True), {"image": IMAGES})
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    first = named(ops.relu(convolution(image, 4, seed=1)), "early")
    last = first
    for number in range(1, 4):
        last = ops.relu(convolution(last, 4, seed=1 + number))
    model = openvino.Model([ops.result(named(last, "out")), ops.result(first)], [image])
    last_values, first_values = CompiledModel(CORE, model, {}, "bf16")({"image": IMAGES})
    np.testing.assert_allclose(last_values, whole["out"], atol=0.02 * np.abs(whole["out"]).max())
    np.testing.assert_allclose(first_values.mean((2, 3)), whole["early"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convolutions", [2, 3])
def test_a_short_network_is_computed_in_fp32_as_a_whole(convolutions: int) -> None:
    whole = outputs_of(network(convolutions=convolutions), {"image": IMAGES})["out"]
    compiled = CompiledModel(CORE, network(convolutions=convolutions), {}, "bf16")
    np.testing.assert_allclose(compiled({"image": IMAGES})[0], whole, rtol=1e-5, atol=1e-5)
    assert (compiled.inputs, compiled.outputs) == (("image",), (frozenset({"out"}),))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_calls_of_two_threads_do_not_mix(precision: Any) -> None:
    compiled = CompiledModel(CORE, network(convolutions=6), {"INFERENCE_NUM_THREADS": 1}, precision)
    inputs = [np.random.default_rng(seed).normal(size=(4, 3, 8, 8)).astype(np.float32) for seed in range(2)]
    alone = [compiled({"image": image})[0] for image in inputs]

    def call(number: int) -> bool:
        return np.array_equal(compiled({"image": inputs[number % 2]})[0], alone[number % 2])

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(call, range(400)))


def test_a_network_without_convolutions_is_not_taken_apart() -> None:
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    model = openvino.Model([ops.result(named(ops.relu(image), "out"))], [image])
    assert first_layers(model, 2)[2] == ()
    compiled = CompiledModel(CORE, model, {}, "bf16")
    np.testing.assert_allclose(compiled({"image": IMAGES})[0], np.maximum(IMAGES, 0), rtol=1e-2)


def test_small_differences_on_a_large_number_are_kept() -> None:
    if "BF16" not in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("This processor has no bf16.")
    image = named(ops.parameter([-1, 1, 8, 8], np.float32), "image")
    one = np.ones((1, 1, 1, 1), np.float32)
    edges = np.array([[[[-1.0, 1.0]]]], np.float32)
    first = ops.add(
        ops.convolution(image, one, [1, 1], [0, 0], [0, 0], [1, 1]), np.full((1, 1, 1, 1), 100.0, np.float32)
    )
    last = ops.convolution(first, edges, [1, 1], [0, 0], [0, 0], [1, 1])
    for _ in range(2):  # one layer in bf16, and the last one
        last = ops.convolution(last, one, [1, 1], [0, 0], [0, 0], [1, 1])
    model = openvino.Model([ops.result(named(last, "out"))], [image])
    pixels = np.random.default_rng(3).uniform(0, 0.4, (1, 1, 8, 8)).astype(np.float32)
    # In bf16, 100 to 100.4 are one number: all edges would be 0.
    found = CompiledModel(CORE, model, {}, "bf16")({"image": pixels})[0]
    np.testing.assert_allclose(found, np.diff(pixels), atol=2e-3)


def test_the_last_layer_adds_small_numbers_to_a_large_one() -> None:
    if "BF16" not in CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("This processor has no bf16.")
    image = named(ops.parameter([-1, 3, 8, 8], np.float32), "image")
    hidden = image
    for number in range(4):
        hidden = ops.relu(convolution(hidden, 4, seed=number))
    weights = np.full((1, 4, 1, 1), 1e-4, np.float32)
    score = ops.convolution(hidden, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    last = named(ops.add(score, np.full((1, 1, 1, 1), 100.0, np.float32)), "out")
    model = openvino.Model([ops.result(last)], [image])
    whole = outputs_of(model.clone(), {"image": IMAGES})["out"]
    found = CompiledModel(CORE, model, {}, "bf16")({"image": IMAGES})[0]
    # In bf16, the numbers around 100 are 0.5 apart.
    assert 0.02 < np.abs(whole - 100).max() < 0.5
    np.testing.assert_allclose(found - 100, whole - 100, atol=0.02 * np.abs(whole - 100).max())
