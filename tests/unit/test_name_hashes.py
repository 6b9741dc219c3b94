"""Splits, folds and choices by a hash of names: they stay the same from version to version."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.data.splits import seeded_split, split_lists
from lexiseg.inference.inputs.target_list import Shard
from lexiseg.studies.fold_suspicions import make_folds
from lexiseg.studies.study_data import limited
from lexiseg.training.few_masks.labellers import fold_numbers
from lexiseg.training.inputs.examples import Words
from lexiseg.training.unmasked_images import shuffled
from lexiseg.words.vocabulary import load_vocabulary

#: Names of any bytes, and of other alphabets.
NAMES = [f"i{number}" for number in range(14)] + ["M\udcfcller", "見本"]


def sample(number: int) -> Sample:
    """Return an image: five patients have three or so each, one image of four has no patient or no mask."""
    return Sample(
        id=NAMES[number],
        image=Path(f"{number}.png"),
        mask=None if number % 4 == 3 else Path("m.png"),
        split="train",
        patient=None if number % 4 == 1 else f"p{number % 5}",
    )


SAMPLES = tuple(map(sample, range(len(NAMES))))
INDEX = DatasetIndex(
    root=Path("data"), name="data", layout="folders", samples=SAMPLES,
    coding=MaskCoding(kind="values"), class_names=("background", "lesion"),
)  # fmt: skip


def test_splits() -> None:
    split = seeded_split({s.id: s.patient or s.id for s in SAMPLES}, seed=0)
    assert split_lists(split) == {
        "train": ["i0", "i1", "i10", "i11", "i13", "i3", "i5", "i6", "i8", "i9", "\u898b\u672c"],
        "val": ["M\udcfcller", "i4"],
        "test": ["i12", "i2", "i7"],
    }


def test_hidden_masks() -> None:
    shown = {seed: hide_masks(SAMPLES, share=0.5, seed=seed) for seed in (0, 1)}
    assert {seed: "".join("01"[s.mask is not None] for s in of) for seed, of in shown.items()} == {
        0: "1100110000100010",
        1: "0010100010001110",
    }


def test_shuffled_words() -> None:
    vocabulary = load_vocabulary("polyp")
    rows = [(number,) * len(vocabulary.factors) for number in range(len(SAMPLES))]
    words = shuffled(Words(vocabulary, rows, source="reports", side="image"), SAMPLES, seed=3)
    assert [row[0] for row in words.indices] == [10, 6, 0, 15, 1, 13, 14, 11, 4, 5, 8, 2, 7, 12, 3, 9]


def test_folds_of_a_training() -> None:
    assert fold_numbers(SAMPLES, seed=5) == [2, 1, 0, None, 1, 0, 0, None, 2, 2, 2, None, 0, 1, 1, None]


def test_images_of_a_limited_study() -> None:
    assert [s.id for s in limited(INDEX, 6).samples] == ["i4", "i5", "i6", "i10", "i11", "i12"]


def test_folds_of_a_data_set() -> None:
    folds = make_folds(INDEX, 3)
    assert ["".join(s.split[1] for s in fold.index.samples) for fold in folds] == [
        "arrrerreearrrr",
        "eerrrarrrrerrer",
        "rrereaerrrerer",
    ]
    assert [[s.id for s in fold.checked] for fold in folds] == [
        ["i3", "i5", "i8", "i9"],
        ["i0", "i1", "i10", "i13", "\u898b\u672c"],
        ["i2", "i4", "i6", "i7", "i11", "i12", "M\udcfcller"],
    ]


def test_shards() -> None:
    shards = [Shard(number=number, count=3) for number in (1, 2, 3)]
    assert [[name for name in NAMES if shard.holds_name(name)] for shard in shards] == [
        ["i1", "i5", "i7", "i10"],
        ["i0", "i2", "i6", "i8", "i9", "i13"],
        ["i3", "i4", "i11", "i12", "M\udcfcller", "\u898b\u672c"],
    ]
