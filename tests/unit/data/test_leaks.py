"""The same image or patient in two splits is found, refused, and told if the user insists."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import save_image, save_mask
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.check.dataset_check import check_dataset
from lexiseg.data.leaks import find_leaks, refuse_leaks, showing_something
from lexiseg.data.sample import Split
from refusals import refuses

Copy = Callable[[Path, Path], object]


def made(root: Path, **names: tuple[str, ...]) -> Path:
    """Write images of different content into splits."""
    for place, (split, stems) in enumerate(names.items()):
        for number, stem in enumerate(stems):
            save_image(root / split / "images" / f"{stem}.png", 100 * place + number)
            save_mask(root / split / "masks" / f"{stem}.png")
    return root


def three(root: Path) -> Path:
    return made(root, train=("a", "b"), val=("c",), test=("d", "e"))


def pairs(index: DatasetIndex, scored: Split | None = None) -> list[list[str]]:
    return [[sample.id for sample in group] for group in find_leaks(index.samples, scored=scored).images]


def bytes_of(source: Path, copy: Path) -> None:
    shutil.copy(source, copy)


def linked(source: Path, copy: Path) -> None:
    copy.unlink()
    copy.symlink_to(source)


def with_text(source: Path, copy: Path) -> None:
    note = PngInfo()
    note.add_text("Comment", "copied")
    Image.open(source).save(copy, pnginfo=note, compress_level=1)


def in_colour(source: Path, copy: Path) -> None:
    Image.open(source).convert("RGB").save(copy)


def as_bmp(source: Path, copy: Path) -> None:
    copy.unlink()
    Image.open(source).save(copy.with_suffix(".bmp"))


def as_webp(source: Path, copy: Path) -> None:
    copy.unlink()
    Image.open(source).convert("RGB").save(copy.with_suffix(".webp"), lossless=True)


@pytest.mark.parametrize("copy", [bytes_of, linked, with_text, in_colour, as_bmp, as_webp])
def test_the_same_picture_in_two_splits(tmp_path: Path, copy: Copy) -> None:
    root = three(tmp_path)
    index = open_dataset(root)
    assert not find_leaks(index.samples)
    assert refuse_leaks(index, allow=False).leaks == ()
    copy(root / "train/images/b.png", root / "test/images/d.png")
    index = open_dataset(root)
    assert pairs(index) == [["b", "d"]]
    with refuses("LEX-DATA-700", "train/images/b.png = test/images/d.", "--allow-leak", "(1)"):
        refuse_leaks(index, allow=False)
    told = refuse_leaks(index, allow=True).leaks
    assert len(told) == 1
    assert "train/images/b.png = test/images/d." in told[0]
    finding = check_dataset(root).of("duplicate-image")
    assert finding is not None
    assert (finding.severity, finding.count) == ("error", 1)


def test_jpeg_files_of_few_pixels(tmp_path: Path) -> None:
    root = three(tmp_path)
    for split, stem, grey in (("train", "a", 20), ("test", "d", 20), ("test", "e", 200)):
        (root / split / "images" / f"{stem}.png").unlink()
        picture = Image.new("L", (3, 40), grey)
        picture.paste(grey + 40, (0, 20, 3, 40))
        picture.save(root / split / "images" / f"{stem}.jpg", comment=stem)
        Image.new("L", (3, 40)).save(root / split / "masks" / f"{stem}.png")
    assert pairs(open_dataset(root)) == [["a", "d"]]


def test_jpeg_files_with_other_metadata(tmp_path: Path) -> None:
    root = three(tmp_path)
    for split, stem in (("train", "a"), ("train", "b"), ("val", "c"), ("test", "d"), ("test", "e")):
        path = root / split / "images" / f"{stem}.png"
        Image.open(path).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    assert pairs(open_dataset(root)) == []
    original = (root / "train/images/a.jpg").read_bytes()
    comment = b"\xff\xfe\x00\x05abc"
    (root / "val/images/c.jpg").write_bytes(original[:2] + comment + original[2:])
    assert pairs(open_dataset(root)) == [["a", "c"]]


def test_pictures_of_one_colour_are_no_leak(tmp_path: Path) -> None:
    root = three(tmp_path)
    size = Image.open(root / "train/images/a.png").size
    for place in ("train/images/a.png", "val/images/c.png", "test/images/d.png"):
        Image.new("L", size).save(root / place)
    index = open_dataset(root)
    assert refuse_leaks(index, allow=False).leaks == ()
    assert check_dataset(root).of("duplicate-image") is None
    assert showing_something([sample.image for sample in index.samples]) == {
        root / "train/images/b.png",
        root / "test/images/e.png",
    }


def test_different_pictures_are_no_leak(tmp_path: Path) -> None:
    root = three(tmp_path)
    pixels = np.array(Image.open(root / "train/images/a.png"))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(root / "test/images/d.png")
    shutil.copy(root / "train/images/a.png", root / "train/images/b.png")  # in one split
    shutil.copy(root / "train/masks/a.png", root / "test/masks/e.png")
    assert pairs(open_dataset(root)) == []


def test_only_what_was_learned_from_counts_for_a_score(tmp_path: Path) -> None:
    root = three(tmp_path)
    shutil.copy(root / "val/images/c.png", root / "test/images/e.png")
    index = open_dataset(root)
    assert pairs(index) == pairs(index, "test") == [["c", "e"]]
    assert pairs(index, "val") == pairs(index, "train") == []


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    root = three(tmp_path)
    index = open_dataset(root)
    assert pairs(index) == []
    shutil.copy(root / "train/images/a.png", root / "val/images/c.png")
    assert pairs(index) == [["a", "c"]]


def test_unreadable_images_are_left_to_those_who_read_them(tmp_path: Path) -> None:
    root = three(tmp_path)
    for path in ("train/images/a.png", "test/images/d.png"):
        (root / path).write_bytes(b"no image")
    assert pairs(open_dataset(root)) == []


def test_patients_in_two_splits(tmp_path: Path) -> None:
    root = made(tmp_path, train=("s1-e1", "s2-e1"), val=("s2-e2",), test=("s3-e1", "s1-e2"))
    index = open_dataset(root)
    assert find_leaks(index.samples).patients == {"s1": ("train", "test"), "s2": ("train", "val")}
    assert find_leaks(index.samples, scored="val").patients == {"s2": ("train", "val")}
    assert find_leaks(index.samples, scored="train").patients == {}
    with refuses("LEX-DATA-700", "s1 (train, test), s2 (train, val)", "(2)", "cases.csv"):
        refuse_leaks(index, allow=False)
    finding = check_dataset(root).of("patient-in-splits")
    assert finding is not None
    assert finding.severity == "error"
