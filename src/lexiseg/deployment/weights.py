"""How an ONNX model holds its weights: in half precision, or shared with the weights of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from lexiseg.errors import WeightsError
from lexiseg.structured_text import MAX_JSON_BYTES, UnusableTextError, parse_json

# Vectors (biases, norms) keep 32 bits: they take little space, and masks depend on them.
_LEAST_DIMENSIONS = 2
# Shared weights may differ from the exported ones by what rounding explains, against the largest weight.
_ROUNDING = 1e-5
# A safetensors file begins with the length of its header.
_LENGTH_BYTES = 8
_TYPES = {"F16": (TensorProto.FLOAT16, np.float16), "F32": (TensorProto.FLOAT, np.float32)}


def halve_weights(model: onnx.ModelProto) -> None:
    """Store matrices and kernels in 16 bits; the engine turns them into 32 bits when it loads the model."""
    for position, weights in enumerate(model.graph.initializer):
        if weights.data_type == TensorProto.FLOAT and len(weights.dims) >= _LEAST_DIMENSIONS:
            values = numpy_helper.to_array(weights)
            half = numpy_helper.from_array(values.astype(np.float16), f"{weights.name}.half")
            _cast(model, half.name, weights.name)  # before the copy, which changes `weights`
            model.graph.initializer[position].CopyFrom(half)


def share_weights(model: onnx.ModelProto, file: Path) -> None:
    """Let a model read its weights from the weights file of the run, which lies beside it.

    A batch norm that was folded into a convolution changed its weights by one factor per output channel; the
    model then holds these factors. What is not found in the file stays in the model.

    Args:
        model: Exported from a network whose parameters have the names of the file.
        file: A safetensors file.
    """
    stored = _read_header(file)
    content = np.memmap(file, mode="r")
    for position, weights in enumerate(list(model.graph.initializer)):
        name = weights.name
        kept = stored.get(name.removeprefix("network."))
        if kept is None or list(weights.dims) != kept.shape or weights.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weights)
        original = kept.read(content).astype(np.float32)
        factors = _row_factors(original, values)
        if factors is None:
            continue
        model.graph.initializer[position].CopyFrom(kept.reference(f"{name}.stored", file.name))
        _scale(model, f"{name}.stored", name, factors)


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """One tensor of a safetensors file."""

    dtype: str
    shape: list[int]
    offset: int
    length: int

    def read(self, content: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        data = content[self.offset : self.offset + self.length].tobytes()
        return np.frombuffer(data, _TYPES[self.dtype][1]).reshape(self.shape)

    def reference(self, name: str, location: str) -> TensorProto:
        tensor = TensorProto(
            name=name, data_type=_TYPES[self.dtype][0], dims=self.shape, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", location), ("offset", self.offset), ("length", self.length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _read_header(file: Path) -> dict[str, _Stored]:
    """Return where the tensors of a safetensors file lie, by name; the file has been loaded before.

    Raises:
        WeightsError: Its header cannot be read.
    """
    with open(file, "rb") as content:
        length = int.from_bytes(content.read(_LENGTH_BYTES), "little")
        text = content.read(min(length, MAX_JSON_BYTES + 1))
    try:
        header = parse_json(text)
    except UnusableTextError as error:
        raise WeightsError(
            f"The header of the weights {file} cannot be read ({error}). Restore the file, or train again.",
            code="LEX-WEIGHTS-1020",
        ) from error
    start = _LENGTH_BYTES + length
    return {
        name: _Stored(
            dtype=entry["dtype"],
            shape=entry["shape"],
            offset=start + entry["data_offsets"][0],
            length=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] in _TYPES
    }


def _row_factors(
    original: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32] | None:
    """Return one factor per row that turns the original weights into others; None where there is none."""
    rows, others = (array.reshape(len(array), -1).astype(np.float64) for array in (original, values))
    squares = (rows * rows).sum(axis=1)
    factors = np.divide((rows * others).sum(axis=1), squares, out=np.zeros_like(squares), where=squares > 0)
    allowed = _ROUNDING * max(float(np.abs(others).max()), 1e-12)
    if np.abs(rows * factors[:, None] - others).max() > allowed:
        return None
    column: npt.NDArray[np.float32] = factors.reshape(-1, *[1] * (original.ndim - 1)).astype(np.float32)
    return column


def _scale(model: onnx.ModelProto, name: str, output: str, factors: npt.NDArray[np.float32]) -> None:
    """Make `output` of a stored tensor: 32 bits, times the factors where they are not all 1."""
    if np.all(factors == 1):
        _cast(model, name, output)
        return
    model.graph.initializer.append(numpy_helper.from_array(factors, f"{name}.factors"))
    # Each node goes to the front, so the last one computes first.
    model.graph.node.insert(0, helper.make_node("Mul", [f"{name}.float", f"{name}.factors"], [output]))
    _cast(model, name, f"{name}.float")


def _cast(model: onnx.ModelProto, name: str, output: str) -> None:
    model.graph.node.insert(0, helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT))
