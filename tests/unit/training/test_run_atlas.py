"""The zone atlas of a run: of which images it is made, and where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.few_masks.word_maps import WordMaps
from lexiseg.training.inputs.examples import Words
from lexiseg.training.train import train
from lexiseg.training.zone_atlas import atlas_of, mirrored_axes, some
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
STATED, SILENT = (1, 0, 0, 7), (1, 0, UNKNOWN, UNKNOWN)


@pytest.fixture
def pixels() -> list[tuple[np.ndarray, np.ndarray]]:
    labels = np.zeros((32, 32), np.uint8)
    labels[:16, :16] = 1
    return [(np.zeros((32, 32, 1), np.uint8), labels)] * 3


def words(*rows: tuple[int, ...]) -> Words:
    return Words(CHEST, rows, source="reports", side="image")


def test_images_count_as_training_mirrors_them(pixels: Any) -> None:
    assert mirrored_axes(AugmentConfig()) == ("horizontal",)
    assert mirrored_axes(AugmentConfig(horizontal_flip=0, vertical_flip=0.1)) == ("vertical",)
    still = AugmentConfig(horizontal_flip=0)
    stated = words(STATED, STATED, SILENT)
    atlas = atlas_of(pixels, stated, [0, 1, 2], classes=1, augment=still)
    assert atlas is not None
    assert atlas.images == 2  # the third says nothing of places
    assert atlas.counts["left"][0] == 2
    assert atlas.counts["right"][0] == 0
    mirrored = atlas_of(pixels, stated, [0, 1, 2], classes=1, augment=AugmentConfig())
    assert mirrored is not None
    assert mirrored.counts["right"][0] == 2


def test_no_words_about_places_give_no_atlas(pixels: Any) -> None:
    augment = AugmentConfig()
    assert atlas_of(pixels, None, [0], classes=1, augment=augment) is None
    assert atlas_of(pixels, words(SILENT, SILENT, SILENT), [0, 1], classes=1, augment=augment) is None
    count = words(STATED, STATED, STATED).only(CHEST.only(["count"]))
    assert atlas_of(pixels, count, [0, 1], classes=1, augment=augment) is None


def test_word_maps_are_pictures_of_the_atlas(pixels: Any) -> None:
    stated = words(STATED, SILENT, STATED)
    atlas = atlas_of(pixels, stated, [0, 2], classes=1, augment=AugmentConfig())
    assert atlas is not None
    maps = WordMaps(atlas, stated, size=32)
    picture = maps.picture(0)
    assert (picture.shape, picture.dtype) == ((32, 32, 3), np.uint8)
    assert picture[8, 8, 0] == round(255 * float(atlas.word_map(STATED, (32, 32), side="image")[0, 8, 8]))
    assert (maps.picture(1)[..., :2] == 0).all()


def test_a_choice_of_images_is_seeded() -> None:
    assert some(range(5), 9, 0) == [0, 1, 2, 3, 4]
    chosen = some(range(100), 9, 0)
    assert chosen == sorted(set(chosen)) == some(range(100), 9, 0)
    assert len(chosen) == 9
    assert chosen != some(range(100), 9, 1)


def test_training_says_where_words_name_no_places(
    phantom: Path, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.training.zone_atlas.place_factors", lambda vocabulary: ())
    with open(tmp_path / "said.txt", "w") as said:
        run = train(phantom, tmp_path / "run", console=Console(file=said, width=300), **tiny_options)
    assert (
        "name no places in the training images: the run has no zone atlas"
        in (tmp_path / "said.txt").read_text()
    )
    assert run.zone_atlas is None
    assert "zone_atlas" not in (run.path / "run.json").read_text()
