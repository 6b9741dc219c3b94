"""What prediction takes as an image: a file, its bytes, a PIL image, an array or a tensor.

The same pixels give the same result in every form: 16 bits are scaled as those of a file, and transparent
pixels are drawn on black.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decode import pillow_pixels
from lexiseg.data.decoded_image import DecodedImage, decode_with_facts
from lexiseg.data.decoding.stored_pixels import StoredPixels, to_8bit
from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import UsageError
from lexiseg.printable import counted

Pixels = npt.NDArray[np.uint8]

#: A path, the bytes of a file, an open binary file, a PIL image, a numpy array, or a torch tensor. A tensor
#: is recognised without torch, so its type stands here as `Any`.
ImageInput: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[Any] | Any
)

#: Numbers of channels: grey, RGB, RGBA.
_CHANNELS = (1, 3, 4)

#: Names of images without a file, for messages.
_BYTES, _FILE = Path("The image (bytes)"), Path("The open file")
_PIL, _ARRAY = Path("The PIL image"), Path("The array")


def decoded_image(image: ImageInput, view: View = AS_STORED) -> DecodedImage:
    """Return an image as prediction takes it.

    Arrays and tensors have the shape `(H, W)` or `(H, W, 1)` (grey), `(H, W, 3)` (RGB) or `(H, W, 4)` (RGBA).
    Their type is uint8 (0..255), uint16 (scaled between the 0.5th and the 99.5th percentile, as a file of 16
    bits is) or float (0..1).

    Args:
        image: A path, the bytes of a file, an open binary file, a PIL image, a numpy array, or a torch
            tensor.
        view: The window and the frame of a DICOM file.

    Raises:
        DataError: The file cannot be read, or all of its pixels are transparent.
        UsageError: It is no such object, or the array is not an image.
    """
    if isinstance(image, str | os.PathLike):
        return read_image_with_facts(Path(image), view)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_with_facts(bytes(image), _BYTES, view)
    if callable(getattr(image, "read", None)) and not isinstance(image, Image.Image):
        return decode_with_facts(_content(image), _name(image), view)
    return DecodedImage(pixels=image_pixels(image), facts=None)


def image_pixels(image: Image.Image | npt.NDArray[Any] | Any) -> Pixels:
    """Return a PIL image, an array or a tensor as `(H, W, 3)` uint8 pixels; see `decoded_image`.

    Raises:
        DataError: All pixels are transparent, or a PIL image cannot be decoded.
        UsageError: It is no such object, or not an image.
    """
    if isinstance(image, Image.Image):
        return _pixels_of_pil(image)
    if _is_tensor(image):
        return _pixels_of_array(_array_of_tensor(image), to_end="image.permute(1, 2, 0)")
    if isinstance(image, np.ma.MaskedArray):
        raise UsageError(
            "Expected an array without masked pixels. Fill them first, for example with `image.filled(0)`.",
            code="LEX-USE-1160",
        )
    if isinstance(image, np.ndarray):
        return _pixels_of_array(image, to_end="image.transpose(1, 2, 0)")
    raise UsageError(
        "Expected an image as a path, bytes, an open binary file, a PIL image, a numpy array or a torch "
        f"tensor; got {_type_name(type(image))}.",
        code="LEX-USE-1161",
    )


def _type_name(kind: type) -> str:
    """Return the name of a type as a message shows it: "int", "pandas.DataFrame"."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _content(file: Any) -> bytes:
    """Return the bytes of an open file, from where it stands."""
    content = file.read()
    if not isinstance(content, bytes):
        raise UsageError(
            f"Expected a file that is open for reading bytes, got one that returns {type(content).__name__}. "
            "Open it with mode 'rb'.",
            code="LEX-USE-1162",
        )
    return content


def _name(file: Any) -> Path:
    """Return the name of an open file, for messages."""
    name = getattr(file, "name", None)
    return Path(name) if isinstance(name, str) and name else _FILE


def _pixels_of_pil(image: Image.Image) -> Pixels:
    """Return the pixels of a PIL image, as those of its file."""
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise UsageError(
            f"The PIL image has {image.n_frames} frames or pages; expected one. Choose one with "  # type: ignore[attr-defined]
            "`image.seek(i)` and give `image.copy()`.",
            code="LEX-USE-1163",
        )
    if 0 in image.size:
        raise _empty((image.height, image.width))
    return pillow_pixels(image, _PIL)


def _is_tensor(image: object) -> bool:
    """Return whether an object is a torch tensor; torch is not imported."""
    return any(
        kind.__name__ == "Tensor" and kind.__module__.partition(".")[0] == "torch"
        for kind in type(image).__mro__
    )


def _array_of_tensor(tensor: Any) -> npt.NDArray[Any]:
    """Return the values of a tensor on any device."""
    try:
        return np.asarray(tensor.detach().cpu().numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise UsageError(
            f"The tensor of type {tensor.dtype} cannot be read as an array: {error}. Convert it first, for "
            "example with `image.float()`.",
            code="LEX-USE-1164",
        ) from error


def _pixels_of_array(array: npt.NDArray[Any], *, to_end: str) -> Pixels:
    """Return the pixels of an array.

    Args:
        array: Of any type and shape.
        to_end: Code that moves the channels of this kind of array from the front to the end.
    """
    _check_shape(array, to_end)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    has_alpha = array.ndim == 3 and array.shape[2] == 4
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # in any byte order
        values = array.astype(np.uint16)
        if has_alpha:
            return to_8bit(StoredPixels(values=values[..., :3], alpha=values[..., 3]), _ARRAY)
        return to_8bit(StoredPixels(values=values), _ARRAY)
    if array.dtype.kind == "f":
        array = _from_unit_range(array)
    elif array.dtype != np.uint8:
        raise UsageError(
            f"Expected pixels of type uint8 (0..255), uint16 or float (0..1), got {array.dtype}. Convert "
            "values of 0..255 with `image.astype(numpy.uint8)`; scale other grey values to 0..1.",
            code="LEX-USE-046",
        )
    if has_alpha:
        return pillow_pixels(Image.fromarray(np.ascontiguousarray(array)), _ARRAY)
    return np.ascontiguousarray(array) if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)


def _check_shape(array: npt.NDArray[Any], to_end: str) -> None:
    """Refuse arrays that are not one image with its channels at the end."""
    shape = tuple(array.shape)
    if array.ndim == 4:
        raise UsageError(
            f"Expected one image, got an array of shape {shape}, which looks like a batch. Give the images "
            "one by one, or as a list to `predict_arrays`.",
            code="LEX-USE-1165",
        )
    if array.ndim in (2, 3) and 0 in shape:
        raise _empty(shape)
    if array.ndim == 3 and shape[0] in _CHANNELS and shape[2] not in _CHANNELS:
        raise UsageError(
            f"Expected an image of shape (H, W, 3), got {shape}: the channels seem to come first. Move "
            f"them to the end with `{to_end}`.",
            code="LEX-USE-1166",
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in _CHANNELS):
        raise UsageError(
            f"Expected an image of shape (H, W), (H, W, 3) or (H, W, 4), got {shape}.", code="LEX-USE-047"
        )


def _from_unit_range(array: npt.NDArray[Any]) -> Pixels:
    """Return numbers of 0..1 as 0..255, rounded."""
    if not np.isfinite(array).all():
        raise UsageError(
            "Expected numbers of 0..1, got NaN or infinity in "
            f"{counted(int((~np.isfinite(array)).sum()), 'value')}. Replace them, for example with "
            "`numpy.nan_to_num(image)`.",
            code="LEX-USE-1167",
        )
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        advice = (
            "Divide by 255, or convert to uint8."
            if low >= 0 and high <= 255
            else "Undo a normalisation by mean and standard deviation; scale other grey values to 0..1."
        )
        raise UsageError(
            f"Expected floating-point pixels of 0..1, got {low:.4g} to {high:.4g}. {advice}",
            code="LEX-USE-1168",
        )
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


def _empty(shape: tuple[int, ...]) -> UsageError:
    return UsageError(
        f"Expected an image with pixels, got an empty one of shape {shape}.", code="LEX-USE-1169"
    )
