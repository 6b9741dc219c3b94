from __future__ import annotations

import asyncio
import io
import sys
import zlib
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from dicom_files import dicom_dataset
from lexiseg.clinic import detection
from lexiseg.clinic.view import AS_STORED
from lexiseg.data.decoded_image import decode_with_facts
from lexiseg.data.grey import grey_of
from lexiseg.errors import ResourceError
from lexiseg.extras import install_hint
from lexiseg.serving import declared_size
from lexiseg.serving.declared_size import check_declared_size
from lexiseg.serving.isolated_decoding import IsolatedDecoding, UploadedImage
from lexiseg.serving.limits import Limits
from pictures import png_file, soft_picture
from refusals import refuses

Found = TypeVar("Found")


def with_decoder(limits: Limits, use: Callable[[IsolatedDecoding], Awaitable[Found]]) -> Found:
    async def run() -> Found:
        decoding = IsolatedDecoding(1, limits)
        await decoding.start()
        try:
            return await use(decoding)
        finally:
            await decoding.stop()

    return asyncio.run(run())


def upload(content: bytes, name: str = "a") -> UploadedImage:
    return UploadedImage(name=name, content=content, view=AS_STORED)


def dicom_file(pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    dicom_dataset(pixels, PatientOrientation=["P", "F"], PixelSpacing=[0.5, 0.25]).save_as(
        buffer, enforce_file_format=True
    )
    return buffer.getvalue()


def test_images_are_decoded_as_in_this_process_whatever_came_before() -> None:
    contents = [
        png_file(soft_picture(1)),
        b"no image",
        dicom_file(soft_picture(2)),
        b"",
        png_file(np.dstack([soft_picture(3)] * 3)),
    ]

    async def use(decoding: IsolatedDecoding) -> None:
        for content in contents:
            if len(content) < 10:
                with refuses("LEX-DATA-013", "a is not a readable image"):
                    await decoding.decode(upload(content))
                continue
            found = await decoding.decode(upload(content))
            expected = decode_with_facts(content, Path("a"))
            assert np.array_equal(found.pixels, expected.pixels)
            assert (found.facts, found.orientation) == (expected.facts, expected.orientation)
            # A grey file is one channel on its way, and stays one.
            assert (grey_of(found.pixels) is None) == (grey_of(expected.pixels) is None)

    with_decoder(Limits(), use)


def test_a_bomb_ends_its_process_or_its_decoding_and_not_the_server() -> None:
    # One strip of 4 x 4 pixels whose data inflate to 256 MB.
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((4, 4), np.float32), compression="deflate")
    packed = zlib.compressobj(1)
    bomb = b"".join(packed.compress(bytes(1 << 24)) for _ in range(16)) + packed.flush()
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as tiff:
        page = tiff.pages.first
        at = page.tags["StripByteCounts"].valueoffset, page.tags["StripOffsets"].valueoffset
    content = bytearray(buffer.getvalue())
    for place, value in zip(at, (len(bomb), len(content)), strict=True):
        content[place : place + 4] = value.to_bytes(4, "little")
    content += bomb
    picture = png_file(soft_picture(1))

    async def use(decoding: IsolatedDecoding) -> None:
        with refuses("LEX-DATA-1100", "memory"):
            await decoding.decode(upload(bytes(content)))
        assert (await decoding.decode(upload(picture))).pixels.shape == (64, 80, 3)

    with_decoder(Limits(decode_bytes=400 << 20), use)


def test_decoding_that_takes_too_long_is_ended() -> None:
    picture = png_file(soft_picture(1))

    async def use(decoding: IsolatedDecoding) -> None:
        with refuses("LEX-DATA-1104", "longer"):
            await decoding.decode(upload(picture))

    with_decoder(Limits(decode_seconds=0.001), use)


def test_a_process_that_ends_is_replaced() -> None:
    picture = png_file(soft_picture(1))

    async def use(decoding: IsolatedDecoding) -> None:
        (process,) = decoding._all
        process.kill()
        with refuses("LEX-DATA-1105", "ends its decoder"):
            await decoding.decode(upload(picture))
        assert (await decoding.decode(upload(picture))).orientation == 1
        # One that ends between two images says nothing about the next one.
        (process,) = (known for known in decoding._all if known.returncode is None)
        process.kill()
        await process.wait()
        assert (await decoding.decode(upload(picture))).orientation == 1

    with_decoder(Limits(), use)


def test_no_place_is_lost_where_requests_are_cancelled_and_no_process_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = png_file(soft_picture(1))

    async def use(decoding: IsolatedDecoding) -> None:
        started = decoding._new

        async def slow() -> Process:
            await asyncio.sleep(60)
            raise AssertionError

        async def refused() -> Process:
            raise ResourceError("No process.", code="LEX-RES-1100")

        (process,) = decoding._all
        process.kill()
        await process.wait()
        monkeypatch.setattr(decoding, "_new", slow)
        for _ in range(2):  # the second one finds no process to replace
            waiting = asyncio.create_task(decoding.decode(upload(picture)))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        monkeypatch.setattr(decoding, "_new", refused)
        with refuses("LEX-RES-1100"):
            await decoding.decode(upload(picture))
        monkeypatch.setattr(decoding, "_new", started)
        found = await asyncio.wait_for(decoding.decode(upload(picture)), 30)
        assert found.orientation == 1

    with_decoder(Limits(), use)


def test_declared_sizes() -> None:
    path = Path("a.dcm")
    frames = dicom_dataset(np.zeros((8, 8), np.uint8))
    frames.NumberOfFrames = 12
    buffer = io.BytesIO()
    frames.save_as(buffer, enforce_file_format=True)
    with refuses("LEX-DATA-1103", "12 frames"):
        check_declared_size(buffer.getvalue(), path, pixels=64, frames=11)
    plain = dicom_file(np.zeros((8, 9), np.uint8))
    check_declared_size(plain, path, pixels=72, frames=1)
    with refuses("LEX-DATA-1102", "9 x 8"):
        check_declared_size(plain, path, pixels=71, frames=1)
    deflated = plain.replace(b"\x14\0001.2.840.10008.1.2.1\0", b"\x16\0001.2.840.10008.1.2.1.99")
    with refuses("LEX-DATA-1101", "Deflated"):
        check_declared_size(deflated, path, pixels=72, frames=1)
    # An element before the transfer syntax does not hide it.
    for size, words in (
        (100, "compressed as a whole"),
        (70_000, "does not say within its first 65,536 bytes"),
    ):
        element = b"\2\0\1\0OB\0\0" + size.to_bytes(4, "little") + bytes(size)
        with refuses("LEX-DATA-1101", words):
            check_declared_size(deflated[:144] + element + deflated[144:], path, pixels=72, frames=1)
    # The text alone says nothing: here the UID is a comment of the image.
    commented = dicom_dataset(np.zeros((8, 9), np.uint8), ImageComments="1.2.840.10008.1.2.1.99")
    buffer = io.BytesIO()
    commented.save_as(buffer, enforce_file_format=True)
    check_declared_size(buffer.getvalue(), path, pixels=72, frames=1)


def test_above_the_limit_of_every_decoder_the_server_states_its_own_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    grey, floats = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(grey, format="PNG")
    # Pillow opens no floats of 64 bits, so this file is measured by another reader.
    tifffile.imwrite(floats, np.zeros((8, 8), np.float64))
    for content in (grey, floats):
        with refuses("LEX-DATA-1102", "the server takes at most 40 pixels"):
            check_declared_size(content.getvalue(), Path("a"), pixels=40, frames=1)


def test_a_compressed_frame_may_not_be_larger_than_its_file_says() -> None:
    dataset = dicom_dataset(soft_picture(0))
    dataset.compress(JPEG2000Lossless)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    check_declared_size(content, Path("a.dcm"), pixels=64 * 80, frames=1)
    at = content.index(b"\xff\x4f\xff\x51") + 8
    large = content[:at] + (60_000).to_bytes(4, "big") * 2 + content[at + 8 :]
    with refuses("LEX-DATA-1102", "60000 x 60000"):
        check_declared_size(large, Path("a.dcm"), pixels=64 * 80, frames=1)


def test_without_pydicom_a_dicom_file_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    content = dicom_file(soft_picture(1))
    monkeypatch.setattr(detection, "find_spec", lambda name: None)
    monkeypatch.setattr(declared_size, "is_installed", lambda name: False)
    # As where pydicom is missing: importing it fails.
    monkeypatch.setitem(sys.modules, "lexiseg.clinic.dataset", None)
    with refuses("LEX-USE-940", "a.dcm", install_hint("dicom")):
        check_declared_size(content, Path("a.dcm"), pixels=10_000, frames=1)
