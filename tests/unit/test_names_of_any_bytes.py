"""Names of files can hold bytes that are not UTF-8; what is chosen by a hash of names works with them."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data import DatasetIndex, Sample
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.splits import seeded_split
from lexiseg.evaluation.provenance import describe_data
from lexiseg.studies.fold_suspicions import make_folds
from lexiseg.studies.study_data import limited
from lexiseg.training.few_masks.labellers import fold_numbers
from lexiseg.training.inputs.examples import Words
from lexiseg.training.unmasked_images import shuffled
from lexiseg.words.vocabulary import load_vocabulary

NAMES = [f"case{number}\udcff" for number in range(12)]
SAMPLES = tuple(Sample(id=name, image=Path("a.png"), mask=Path("b.png"), split="train") for name in NAMES)
INDEX = DatasetIndex(
    root=Path("data"), name="data", layout="folders", samples=SAMPLES, coding=MaskCoding(kind="values"),
    class_names=("background", "lesion"),
)  # fmt: skip


def test_splits_folds_and_choices() -> None:
    assert set(seeded_split({name: name for name in NAMES}, seed=0).values()) == {"train", "val", "test"}
    assert sum(sample.mask is None for sample in hide_masks(SAMPLES, share=0.5, seed=0)) == 6
    assert len(limited(INDEX, 5).samples) == 5
    assert len(set(fold_numbers(SAMPLES, seed=0))) > 1
    assert sorted(sample.id for fold in make_folds(INDEX, 2) for sample in fold.checked) == sorted(NAMES)


def test_shuffled_words() -> None:
    vocabulary = load_vocabulary("chest")
    words = Words(vocabulary, [(number % 2,) * 4 for number in range(12)], source="reports", side="image")
    assert sorted(shuffled(words, SAMPLES, seed=0).indices) == sorted(words.indices)


def test_the_record_of_an_evaluation() -> None:
    found, other = describe_data(INDEX, SAMPLES, "train"), describe_data(INDEX, SAMPLES[1:], "train")
    assert found.ids_sha256 != other.ids_sha256
