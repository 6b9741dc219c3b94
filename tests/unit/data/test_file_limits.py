"""Limits of files: an image that is too large, and archives whose headers or contents swell up."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from lexiseg.data import archives, file_limits
from lexiseg.data.archives import extract
from lexiseg.data.file_limits import TarStream, refuse_large
from lexiseg.data.readers import read_image
from refusals import refuses
from threshold_predictor import write_image


def test_an_image_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = write_image(tmp_path / "a.png")
    size = image.stat().st_size
    monkeypatch.setattr(file_limits, "MAX_IMAGE_BYTES", size)
    assert read_image(image).shape == (20, 30, 3)
    monkeypatch.setattr(file_limits, "MAX_IMAGE_BYTES", size - 1)
    with refuses("LEX-DATA-1475", "a.png", f"at most {size - 1:,} bytes", f"got {size:,}"):
        read_image(image)


def test_the_limit_is_above_what_the_pixels_need() -> None:
    refuse_large("a.tif", 2 << 30)
    with refuses("LEX-DATA-1475", "a.tif", "tiles"):
        refuse_large("a.tif", (2 << 30) + 1)


def long_header(size: int) -> bytes:
    """Return the first blocks of an archive whose extended header has a declared size."""
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, size
    return header.tobuf() + bytes(1024)


def test_a_header_that_declares_gigabytes_is_not_read() -> None:
    class Counting(io.BytesIO):
        longest = 0

        def read(self, size: int | None = -1) -> bytes:
            self.longest = max(self.longest, size or 0)
            return super().read(size)

    content = Counting(long_header(3 << 30))
    with pytest.raises(tarfile.ReadError), tarfile.open(fileobj=TarStream(content), mode="r:"):
        pass
    assert content.longest <= 1 << 20


@pytest.mark.parametrize("compressed", [True, False])
def test_such_an_archive_is_refused(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.tar.gz"
    content = long_header(3 << 30)
    path.write_bytes(gzip.compress(content) if compressed else content)
    with refuses("LEX-DATA-053", "a.tar.gz"):
        extract(path, tmp_path / "out")


def test_what_lies_behind_a_bomb_is_not_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second header is behind 50 MB of zeros, which an archive of some kB may not hold."""
    monkeypatch.setattr(archives, "FREE_BYTES", 1000)
    path = tmp_path / "a.tgz"
    bomb, second = tarfile.TarInfo("bomb"), tarfile.TarInfo("second")
    bomb.size = 50 << 20
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bomb.tobuf())
        file.write(bytes(bomb.size))
        file.write(second.tobuf() + bytes(1024))
    furthest = 0

    class Watched(TarStream):
        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            nonlocal furthest
            furthest = max(furthest, offset)
            return super().seek(offset, whence)

    monkeypatch.setattr(archives, "TarStream", Watched)
    with refuses("LEX-DATA-057", "declares 52,428,800 bytes"):
        extract(path, tmp_path / "out")
    assert furthest < 1 << 20
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_of_every_compression_are_read(tmp_path: Path, mode: str) -> None:
    content = bytes(range(256)) * 10_000  # longer than any header
    with tarfile.open(tmp_path / "a.tar", mode) as tar:
        member = tarfile.TarInfo("b/" + "long" * 60 + ".bin")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    extract(tmp_path / "a.tar", tmp_path / "out")
    (found,) = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found.read_bytes() == content
