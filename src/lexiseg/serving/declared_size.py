"""Refusal of images by the size that they declare, before anything is decoded."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lexiseg.clinic.detection import is_dicom, require_dicom
from lexiseg.clinic.view import AS_STORED, View
from lexiseg.data.decode import decode_header
from lexiseg.data.decoding.container import TOO_LARGE_CODE
from lexiseg.errors import DataError
from lexiseg.extras import is_installed

#: Bytes at the start of a DICOM file in which it says how it is coded; mostly some hundred are enough.
META_BYTES = 64 << 10

# Inflating is not limited by the size that such a file declares.
_DEFLATED = "1.2.840.10008.1.2.1.99"
_JPEG_2000 = b"\xff\x4f\xff\x51"
# An item of encapsulated pixels that begins with a stream of JPEG 2000 or JPEG.
_COMPRESSED_FRAME = re.compile(rb"\xfe\xff\x00\xe0.{4}(\xff\x4f\xff\x51|\xff\xd8\xff)", re.DOTALL)
# Markers of JPEG frames: SOF0 to SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS.
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_MOST_FRAMES = 4096


def check_declared_size(
    content: bytes, path: Path, view: View = AS_STORED, *, pixels: int, frames: int
) -> None:
    """Refuse an image that declares more than is allowed.

    Args:
        content: The file.
        path: Its name, for messages.
        view: The window and the frame of a DICOM file.
        pixels: Most pixels of the image.
        frames: Most frames of a DICOM file.

    Raises:
        DataError: It declares more pixels or frames; it is a DICOM file that is compressed as a whole, or
            that says too late how it is coded; or it is no image.
        UsageError: It is a DICOM file, and pydicom is not installed.
    """
    if is_dicom(content):
        why = unread_coding(content)
        if why is not None:
            raise DataError(
                f"{path} is a DICOM file that {why}, which the server does not read. Export it without "
                "compression.",
                code="LEX-DATA-1101",
            )
        _check_frames(content, path, frames)
        for height, width in _compressed_sizes(content):
            _check_pixels(height, width, path, pixels)
    try:
        header = decode_header(content, path, view)
    except DataError as error:
        # The message of the decoder names an option that a client of a server lacks.
        if error.code == TOO_LARGE_CODE:
            raise _too_many_pixels(path, "suspiciously many pixels", pixels) from error
        raise
    _check_pixels(header.height, header.width, path, pixels)


def unread_coding(content: bytes) -> str | None:
    """Return why the server does not read the coding of a DICOM file; None if it does, and for other files.

    Args:
        content: The file, or at least one byte more than its first `META_BYTES`.
    """
    if not is_dicom(content) or not is_installed("pydicom"):  # without it nothing reads the file
        return None
    from lexiseg.clinic.dataset import BROKEN

    try:
        syntax, is_complete = _transfer_syntax(content[:META_BYTES])
    except BROKEN:
        syntax, is_complete = "", False
    if syntax == _DEFLATED:
        return "is compressed as a whole (Deflated Explicit VR Little Endian)"
    if not is_complete and len(content) > META_BYTES:
        return f"does not say within its first {META_BYTES:,} bytes how it is coded"
    return None


def _transfer_syntax(head: bytes) -> tuple[str, bool]:
    """Return the transfer syntax with which pydicom reads a file, and whether other elements follow it."""
    from pydicom.filereader import read_dataset, read_preamble

    others = 0

    def is_other(tag: int, vr: str | None, length: int) -> bool:
        nonlocal others
        others += tag >> 16 != 2
        return tag >> 16 != 2

    file = io.BytesIO(head)
    read_preamble(file, force=True)
    begin = file.tell()
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=is_other)
    try:
        for tag in list(meta.keys())[:1]:
            meta[tag]
    except NotImplementedError:  # as pydicom tells that the elements state no VR
        others = 0
        file.seek(begin)
        meta = read_dataset(file, is_implicit_VR=True, is_little_endian=True, stop_when=is_other)
    return str(meta.get("TransferSyntaxUID", "")), others > 0


def _check_pixels(height: int, width: int, path: Path, most: int) -> None:
    if height * width > most:
        raise _too_many_pixels(path, f"{width} x {height} pixels", most)


def _too_many_pixels(path: Path, declared: str, most: int) -> DataError:
    return DataError(
        f"{path} declares {declared}; the server takes at most {most:,} pixels. Save it with fewer pixels.",
        code="LEX-DATA-1102",
    )


def _check_frames(content: bytes, path: Path, most: int) -> None:
    require_dicom(path)
    from lexiseg.clinic.dataset import number_of_frames, read_image_dataset

    count = number_of_frames(read_image_dataset(content, path))
    if count > most:
        raise DataError(
            f"{path} holds {count} frames; the server takes at most {most}. Split the file.",
            code="LEX-DATA-1103",
        )


def _compressed_sizes(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the sizes that the compressed frames of a DICOM file declare, which decoders trust."""
    for found in islice(_COMPRESSED_FRAME.finditer(content), _MOST_FRAMES):
        at = found.start(1)
        if found[1] == _JPEG_2000:
            values = [int.from_bytes(content[at + k : at + k + 4], "big") for k in (8, 12, 16, 20)]
            yield max(0, values[1] - values[3]), max(0, values[0] - values[2])
        elif (size := _jpeg_size(content, at + 2)) is not None:
            yield size


def _jpeg_size(content: bytes, at: int) -> tuple[int, int] | None:
    """Return the size that the frame header of a JPEG stream declares; None without one."""
    for _ in range(64):
        if content[at : at + 1] != b"\xff" or len(content) < at + 9:
            return None
        marker = content[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(content[at + 5 : at + 7], "big"), int.from_bytes(
                content[at + 7 : at + 9], "big"
            )
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
