"""Hashes of files and of pixels: by hand, and in one place each."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import lexiseg
from lexiseg.data.pixel_hashes import pixels_sha256
from lexiseg.file_hashes import file_sha256

SOURCE = Path(lexiseg.__file__).parent


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "b")


def test_the_hash_of_pixels_is_that_of_shape_and_values() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert pixels_sha256(pixels) == hashlib.sha256(b"(2, 3)\0\1\2\3\4\5").hexdigest()
    assert pixels_sha256(np.asfortranarray(pixels)) == pixels_sha256(pixels)
    assert pixels_sha256(pixels.reshape(3, 2)) != pixels_sha256(pixels)


@pytest.mark.parametrize(
    ("words", "place"),
    [("hashlib.file_digest(", "file_hashes.py"), ('.shape}".encode', "data/pixel_hashes.py")],
)
def test_each_hash_is_made_in_one_place(words: str, place: str) -> None:
    found = [path for path in SOURCE.rglob("*.py") if words in path.read_text(encoding="utf-8")]
    assert [path.relative_to(SOURCE).as_posix() for path in found] == [place]
