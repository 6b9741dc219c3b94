"""The fit of a training: suggested, chosen, refused, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.data.fit_suggestion import ImageFacts, lesion_width, suggest_fit
from lexiseg.training.config import make_config
from lexiseg.training.fit_choice import kept_pixels, settle_fit
from lexiseg.training.unmasked_images import take_part
from refusals import refuses


def test_the_width_of_lesions() -> None:
    labels = np.zeros((60, 60), np.uint8)
    assert lesion_width(labels) is None
    labels[0:10, 0:10] = 1
    assert lesion_width(labels) == pytest.approx(np.sqrt(400 / np.pi))
    labels[30:32, 30:32] = 2  # regions of 100, 4 and 4 pixels
    labels[50:52, 30:32] = 1
    assert lesion_width(labels) == pytest.approx(np.sqrt(16 / np.pi))


@pytest.mark.parametrize(
    ("size", "lesion", "fit"),
    [
        ((1000, 1000), 20.0, "tiles"),  # 4.5 px in a picture
        ((1000, 1000), 60.0, "stretch"),  # 13 px
        ((1000, 1000), None, "stretch"),
        ((330, 330), 5.0, "stretch"),  # not large
        ((336, 100), 5.0, "tiles"),  # exactly 1.5 times the picture
        ((9000, 9000), 120.0, "stretch"),  # 3 px, but more than half of a tile wide
    ],
)
def test_tiles_are_for_small_lesions_in_large_images(
    size: tuple[int, int], lesion: float | None, fit: str
) -> None:
    found = suggest_fit([ImageFacts(size=size, lesion_px=lesion)] * 5, 224)
    assert found.fit == fit
    assert (found.sentence() is None) == (fit == "stretch")


def test_the_reason_is_said() -> None:
    said = suggest_fit([ImageFacts(size=(800, 1000), lesion_px=20.0)] * 3, 224).sentence()
    assert said == (
        "fit: tiles is likely better than stretch, because lesions are 20 pixels wide in images of 1000 x "
        "800 pixels, and only 4.5 pixels in a picture of 224 x 224 (medians)."
    )


def test_padding_is_for_shapes_that_differ() -> None:
    wide, square = ImageFacts(size=(100, 200)), ImageFacts(size=(100, 100))
    assert suggest_fit([wide] * 10, 224).fit == "stretch"  # all are deformed alike
    assert suggest_fit([wide] * 5 + [square] * 5, 224).fit == "pad"
    assert suggest_fit([wide] + [square] * 40, 224).fit == "stretch"  # a single one is no reason
    said = str(suggest_fit([wide, square] * 5, 224).sentence())
    assert said.startswith("fit: pad may be better than stretch, because ")
    assert "1 to 2 times as wide as high" in said


def dots(folder: Path, size: tuple[int, int], *, masks: bool = True, count: int = 12) -> Path:
    """Write images with 30 dots of 5 x 5 pixels each."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        labels = np.zeros(size, np.uint8)
        for row, column in zip(*(rng.integers(0, length - 5, 30) for length in size), strict=True):
            labels[row : row + 5, column : column + 5] = 255
        noise = rng.integers(0, 40, size, dtype=np.uint8)
        Image.fromarray(labels // 2 + noise).save(folder / "images" / f"case{number:02}.png")
        if masks or number % 3:
            Image.fromarray(labels).save(folder / "masks" / f"case{number:02}.png")
    return folder


def settled(data: Path, **options: Any) -> tuple[str, str, int]:
    """Return the fit of a training, what is said of it, and the pixels that are kept."""
    config = make_config({"image_size": 64, **options})
    index = open_dataset(data, allow_missing_masks=True)
    console = Console(record=True, width=1000)
    config = settle_fit(take_part(index, config), config, console)
    return config.fit, console.export_text(), kept_pixels(index, config)


def test_stretch_stays_and_the_suggestion_is_said(tmp_path: Path) -> None:
    data = dots(tmp_path / "data", (150, 150))
    fit, said, kept = settled(data)
    assert fit == "stretch"
    assert said.startswith("fit: tiles is likely better than stretch, because lesions are ")
    assert said.endswith("This training stretches its images; --fit chooses.\n")
    images = sum(len(open_dataset(data).split(name)) for name in ("train", "val"))  # type: ignore[arg-type]
    assert kept == images * 64 * 64
    fit, said, kept = settled(data, fit="auto")
    assert (fit, said[:27]) == ("tiles", "fit: tiles, because lesions")
    assert kept == images * 150 * 150
    assert settled(data, fit="pad")[:2] == ("pad", "")


def test_nothing_is_said_of_usual_images(tmp_path: Path) -> None:
    data = dots(tmp_path / "data", (64, 64))
    assert settled(data)[:2] == ("stretch", "")
    assert settled(data, fit="auto")[:2] == ("stretch", "fit: stretch.\n")


def test_images_smaller_than_a_tile_are_counted(tmp_path: Path) -> None:
    fit, said, _ = settled(dots(tmp_path / "data", (50, 90)), fit="tiles")
    assert fit == "tiles"
    assert "8 of 8 training images" in said
    assert "smaller than a tile of 64 x 64 pixels and are padded" in said


def test_the_paper_presets_stretch(tmp_path: Path) -> None:
    data = dots(tmp_path / "data", (400, 400))
    with refuses("LEX-USE-1330", "paper preset of STPNet", "stretch only, not tiles", "--fit"):
        settled(data, preset="paper", image_size=224, fit="tiles")
    assert settled(data, preset="paper", image_size=224, fit="auto")[:2] == (
        "stretch",
        "fit: stretch, because the paper preset of STPNet takes no other fit.\n",
    )
    assert settled(data, preset="paper", image_size=224)[:2] == ("stretch", "")


def test_teachers_stretch(tmp_path: Path) -> None:
    data = dots(tmp_path / "data", (150, 150), masks=False, count=30)
    splits = '{"train": [%s], "val": ["case01"], "test": ["case02"]}'
    names = ", ".join(f'"case{n:02}"' for n in range(30) if n not in (1, 2))
    (data / "splits.json").write_text(splits % names)
    with refuses("LEX-USE-1333", "pad", "--unmasked leave_out"):
        settled(data, fit="pad", unmasked="pseudo_labels")
    assert settled(data, fit="pad", unmasked="leave_out")[0] == "pad"
    drawn = "fit: stretch, because teachers draw masks on stretched images.\n"
    assert settled(data, fit="auto", unmasked="pseudo_labels")[:2] == ("stretch", drawn)
    runs = {"unmasked": "leave_out", "teachers": ["runs/first"]}
    with refuses("LEX-USE-1567", "pad", "leave `teachers` out"):
        settled(data, fit="pad", **runs)
    assert settled(data, fit="auto", **runs)[:2] == ("stretch", drawn)
