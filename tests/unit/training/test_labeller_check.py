"""The check of the labellers: what the atlas is worth, and which masks it may know."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from lexiseg.data.sample import Sample
from lexiseg.runs.manifest import LabellerRecord
from lexiseg.training.config import make_config
from lexiseg.training.few_masks import pseudo_labelling
from lexiseg.training.few_masks.labellers import LabellerInputs, fold_numbers
from lexiseg.training.few_masks.pseudo_labelling import PseudoLabelling
from lexiseg.training.inputs.examples import Words
from lexiseg.training.unmasked_images import MaskUse
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from lexiseg.words.zone_correction import CorrectionCase

CHEST = load_vocabulary("chest")
UPPER_LEFT, SILENT = (1, 0, 0, 7), (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
SAMPLES = tuple(
    Sample(id=f"i{n}", image=Path(f"{n}.png"), mask=Path("m.png"), split="train", patient=f"p{n}")
    for n in range(6)
)
PARTS = fold_numbers(SAMPLES, seed=0)


class Unsure(nn.Module):
    """Gives the same score, a little below the threshold, to each pixel."""

    def forward(self, image: Tensor) -> Any:
        return SimpleNamespace(logits=torch.full((len(image), 1, *image.shape[-2:]), -0.5))


class UnsureLabellers:
    """Stands for the labellers."""

    atlases: ClassVar[list[Any]] = []

    def __init__(self, _: object, atlases: Any) -> None:
        self.atlases.append(atlases)

    def train(self) -> None:
        pass

    def networks(self) -> list[nn.Module]:
        return [Unsure()] * 3


@pytest.fixture(autouse=True)
def labellers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the labellers are told, one item per training."""
    monkeypatch.setattr(UnsureLabellers, "atlases", [])
    monkeypatch.setattr(pseudo_labelling, "Labellers", UnsureLabellers)
    return UnsureLabellers.atlases


def check(
    rows: Sequence[tuple[int, ...]], out: Path, **fields: object
) -> tuple[PseudoLabelling, LabellerRecord]:
    """Check labellers on six images, each with a lesion in its upper left quarter."""
    labels = np.zeros((32, 32), np.uint8)
    labels[:16, :16] = 1
    manifest = SimpleNamespace(network=SimpleNamespace(out_channels=1), mean=(0, 0, 0), std=(1, 1, 1))
    words = Words(CHEST, rows, source="reports", side="image")
    plan: Any = SimpleNamespace(train=words, manifest=manifest)
    index: Any = SimpleNamespace(split=lambda _: SAMPLES)
    use = MaskUse(index=index, images_per_pass=6, left_out=(), unmasked="words", checked=True)
    config: Any = make_config({"image_size": 32, "accelerator": "cpu", **fields})
    inputs = LabellerInputs(
        use=use, plan=plan, config=config, pixels=[(np.zeros((32, 32, 1), np.uint8), labels)] * 6,
        weights=None, student_steps=1, segment_steps=1, folder=out, console=Console(quiet=True),
    )  # fmt: skip
    labelling = PseudoLabelling(inputs, out / "pseudo_labels.safetensors")
    return labelling, labelling._check()


@pytest.mark.parametrize("word_map", [True, False])
def test_the_atlas_is_tried_whether_labellers_are_told_words_or_not(
    tmp_path: Path, labellers: list[Any], word_map: bool
) -> None:
    labelling, record = check([UPPER_LEFT] * 6, tmp_path, word_map=word_map)
    assert labelling.atlas is not None
    assert record.strength_without_words > 0
    assert (record.strength > 0) == word_map
    assert (labellers[0] is not None) == word_map


def test_an_atlas_does_not_know_the_masks_that_it_is_checked_on(tmp_path: Path, labellers: list[Any]) -> None:
    # Only words of the first part name places: its labeller could learn them from this part alone.
    rows = [UPPER_LEFT if part == 0 else SILENT for part in PARTS]
    labelling, record = check(rows, tmp_path)
    assert labellers == [None]
    assert labelling.atlas is None
    assert record.strength == 0
    two = [SILENT if part == 0 else UPPER_LEFT for part in PARTS]
    labelling, record = check(two, tmp_path)
    assert [atlas.images for atlas in labellers[1]] == [4, 2, 2]
    assert record.strength > 0


def test_the_check_holds_one_set_of_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases come one after the other, and scores replace those before."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    class Counted(CorrectionCase):
        def __init__(self, **fields: Any) -> None:
            nonlocal most
            super().__init__(**fields)
            alive.add(self)
            most = max(most, len(alive))

    monkeypatch.setattr(pseudo_labelling, "CorrectionCase", Counted)
    _, record = check([UPPER_LEFT] * 6, tmp_path)
    assert record.strength > 0
    assert 0 < most <= 2
