"""Decoding of one frame: from the bytes of a transfer syntax to stored values, or to colours as RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from lexiseg.clinic.dataset import BROKEN, number_of_frames, numbers
from lexiseg.errors import DataError
from lexiseg.extras import install_hint
from lexiseg.printable import counted

#: Photometric interpretations of grey images.
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")

# The first that is installed is used, so that a file always gives the same pixels: decoders of JPEG differ in
# colour by a few grey values, and Pillow reads JPEG 2000 with the wrong range where values are signed.
_PREFERRED = ("pylibjpeg", "pyjpegls", "gdcm", "pydicom", "pillow")


def photometric(dataset: Dataset) -> str:
    """Return the photometric interpretation, in capitals; empty where the file states none."""
    return str(dataset.get("PhotometricInterpretation", "")).strip().upper()


def frame_index(dataset: Dataset, path: Path, frame: int | None) -> int:
    """Return which frame is read, from 0.

    Args:
        dataset: The file.
        path: Its name, for messages.
        frame: The chosen frame, from 1; None if none was chosen.

    Raises:
        DataError: The file has several frames and none was chosen, or it has no such frame.
    """
    frames = number_of_frames(dataset)
    if frame is None and frames > 1:
        raise DataError(
            f"{path} holds {frames} frames; expected one image. Choose one by its number (1 to {frames}) "
            "with the option 'frame'.",
            code="LEX-DATA-948",
        )
    if frame is not None and frame > frames:
        raise DataError(
            f"{path} has {counted(frames, 'frame')}; there is no frame {frame}.", code="LEX-DATA-949"
        )
    return 0 if frame is None else frame - 1


def decode_frame(
    dataset: Dataset, path: Path, index: int, *, pixel_limit: int, as_indices: bool = False
) -> npt.NDArray[Any]:
    """Return the stored values of one frame, `(H, W)`; colours as `(H, W, 3)` RGB of the file's own depth.

    Args:
        dataset: The file.
        path: Its name, for messages.
        index: The frame, from 0; the others are not decoded.
        pixel_limit: Largest number of pixels of a frame that is read.
        as_indices: Whether the values of a palette are its indices; otherwise they are its colours.

    Raises:
        DataError: The frame declares too many pixels, no decoder is installed for its transfer syntax, its
            data are damaged, or its photometric interpretation is not supported.
    """
    height, width = (numbers(dataset.get(name))[:1] for name in ("Rows", "Columns"))
    if not height or not width or min(height[0], width[0]) < 1:
        raise DataError(f"{path} is damaged: it does not state its rows and columns.", code="LEX-DATA-950")
    if height[0] * width[0] > pixel_limit:
        raise DataError(
            f"{path} declares {int(width[0])} x {int(height[0])} pixels, above the limit of {pixel_limit:,}. "
            "If the file is right, export it with fewer pixels.",
            code="LEX-DATA-951",
        )
    kind = photometric(dataset)
    if kind not in (*GREY, PALETTE, *_COLOURS):
        raise DataError(
            f"{path} has the photometric interpretation {kind or '(none)'!r}; expected one of "
            f"{', '.join((*GREY, PALETTE, *_COLOURS))}. Export it as RGB or MONOCHROME2.",
            code="LEX-DATA-952",
        )
    plugin = _decoder_plugin(dataset, path)
    try:
        pixels = pixel_array(dataset, index=index, decoding_plugin=plugin)
        if kind == PALETTE and not as_indices:
            pixels = apply_color_lut(pixels, dataset)[..., :3]
    except BROKEN as error:
        # A decoder knows the usual kinds of a compression, not all of them.
        syntax = uid.UID(str(dataset.file_meta.TransferSyntaxUID)).name
        cause, remedy = (
            (
                f"is damaged, or decoders do not know its kind of compression ({syntax})",
                ", without compression",
            )
            if plugin
            else ("is damaged", "")
        )
        raise DataError(
            f"{path} {cause}: frame {index + 1} cannot be decoded ({_reason(error)}). Export the file "
            f"again{remedy}.",
            code="LEX-DATA-953",
        ) from error
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise DataError(
            f"{path} has pixels of shape {pixels.shape}; expected grey values or three colours.",
            code="LEX-DATA-954",
        )
    # Files of big-endian numbers keep their order of bytes, which other libraries do not know.
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def colours_to_8bit(pixels: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Return colours of any depth as `(H, W, 3)` uint8: the range that the file states becomes 0 to 255."""
    if pixels.dtype == np.uint8 and photometric(dataset) != PALETTE:
        bits = int((numbers(dataset.get("BitsStored")) or [8])[0])
    elif photometric(dataset) == PALETTE:
        bits = _palette_bits(pixels)
    else:
        bits = int((numbers(dataset.get("BitsStored")) or [pixels.dtype.itemsize * 8])[0])
    if bits == 8:
        return np.ascontiguousarray(pixels.astype(np.uint8))
    full = 2.0**bits - 1
    return np.asarray(np.rint(np.clip(pixels.astype(np.float64) / full, 0, 1) * 255), dtype=np.uint8)


def _palette_bits(colours: npt.NDArray[Any]) -> int:
    """Return the depth of palette colours; entries of 8 bits may be stored in 16, in the low or high byte."""
    return 8 if colours.dtype == np.uint8 or int(colours.max(initial=0)) < 256 else 16


def decoder_names(syntax: uid.UID) -> tuple[str, ...] | None:
    """Return the decoders for a transfer syntax in the order of their choice; None if it is not supported.

    The result is empty for a transfer syntax that needs none.
    """
    if not syntax.is_compressed or syntax == uid.DeflatedExplicitVRLittleEndian:
        return ()
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return None
    known = {*decoder.available_plugins, *(text.split(" ")[0] for text in decoder.missing_dependencies)}
    return tuple(name for name in _PREFERRED if name in known)


def _decoder_plugin(dataset: Dataset, path: Path) -> str:
    """Return the decoder for a compressed file; empty for one that is not compressed.

    Raises:
        DataError: None is installed, or the transfer syntax is not known.
    """
    syntax = uid.UID(str(dataset.file_meta.TransferSyntaxUID))
    if syntax.is_transfer_syntax and not syntax.is_private and not syntax.is_compressed:
        return ""
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        return ""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(
            f"{path} has the transfer syntax {syntax.name}, which cannot be decoded. Export it without "
            "compression.",
            code="LEX-DATA-955",
        ) from error
    for plugin in _PREFERRED:
        if plugin in decoder.available_plugins:
            return plugin
    raise DataError(
        f"{path} is compressed ({syntax.name}), and no decoder for it is installed. {install_hint('dicom')}",
        code="LEX-DATA-956",
    )


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
