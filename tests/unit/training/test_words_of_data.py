from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lexiseg.data.sample import DatasetIndex
from lexiseg.describing.vocabulary_choice import find_vocabulary
from lexiseg.errors import DataError
from lexiseg.training.text_source import WordSource, choose_text
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

CHEST = load_vocabulary("chest")


def with_reports(index: DatasetIndex, *sentences: str | None, **changes: Any) -> DatasetIndex:
    """Return the data set with these reports, in turn."""
    samples = tuple(
        replace(sample, report=sentences[i % len(sentences)]) for i, sample in enumerate(index.samples)
    )
    return replace(index, samples=samples, **changes)


def test_auto_takes_reports_where_all_have_one_and_concepts_where_none_has(index: DatasetIndex) -> None:
    samples = list(index.split("train"))
    assert choose_text("auto", samples) == choose_text("reports", samples) == "reports"
    without = [replace(samples[0], report=None), *samples[1:]]
    with pytest.raises(DataError, match=f"1 of {len(samples)} have none .*--text concepts"):
        choose_text("auto", without)
    nobody = [replace(sample, report=None) for sample in samples]
    assert choose_text("auto", nobody) == "concepts"
    assert choose_text("none", without) == "none"
    assert choose_text("concepts", samples) == "concepts"
    with pytest.raises(DataError, match=rf"1 of 16 have none \({samples[0].id}\)\. .* --text concepts"):
        choose_text("reports", without)
    nothing = [replace(sample, report="") for sample in samples]
    with pytest.raises(DataError, match=r"16 of 16 have none \((\S+, ){5}\.\.\.\)"):
        choose_text("reports", nothing)


class TestVocabulary:
    def find(self, index: DatasetIndex, encoder: Any, text: Any = "reports", wanted: Any = None) -> Any:
        return find_vocabulary(index, text=text, wanted=wanted, encoder=encoder)

    def test_named_ones_are_taken(self, index: DatasetIndex, hash_encoder: Any) -> None:
        assert self.find(index, hash_encoder)[0].name == "chest"  # from dataset.yaml
        assert self.find(index, hash_encoder, wanted="polyp") == (load_vocabulary("polyp"), ())

    def test_a_sheet_in_a_known_grammar_finds_its_own(self, index: DatasetIndex, hash_encoder: Any) -> None:
        unnamed = replace(index, vocabulary=None)
        vocabulary, notes = self.find(unnamed, hash_encoder)
        assert vocabulary.name == "chest"
        assert notes == ("The sheet is read with the vocabulary 'chest'.",)
        vocabulary, notes = self.find(unnamed, hash_encoder, text="concepts")
        assert vocabulary.name == "chest"
        assert "measured with the vocabulary 'chest'" in notes[0]

    def test_measured_words_have_a_default(self, index: DatasetIndex, hash_encoder: Any) -> None:
        bare = with_reports(index, None, vocabulary=None)
        assert self.find(bare, hash_encoder, text="concepts")[0].name == "polyp"

    def test_an_unknown_grammar_becomes_one_factor(self, index: DatasetIndex, hash_encoder: Any) -> None:
        sheet = ["The nuclei density in the upper left is high.", "The nuclei density in the center is low."]
        vocabulary, notes = self.find(with_reports(index, *sheet, vocabulary=None), hash_encoder)
        assert len(vocabulary.factors) == 1
        assert "its 2 distinct sentences form one factor" in notes[0]

    def test_the_test_split_is_not_looked_at(self, index: DatasetIndex, hash_encoder: Any) -> None:
        samples = tuple(
            replace(s, report="Free prose, never seen.") if s.split == "test" else s for s in index.samples
        )
        vocabulary, _ = self.find(replace(index, samples=samples, vocabulary=None), hash_encoder)
        assert vocabulary.name == "chest"


def test_side_is_the_sheets_or_the_images(index: DatasetIndex) -> None:
    patient = replace(index, side="patient")
    assert WordSource("reports").side(patient, CHEST) == "patient"
    assert WordSource("reports").side(replace(index, side=None), CHEST) == CHEST.side
    assert WordSource("concepts").side(patient, CHEST) == "image"


def test_reports_of_the_phantom_say_what_is_measured(index: DatasetIndex) -> None:
    read, notes = WordSource("reports").words(index, "train", CHEST, side="image")
    measured, _ = WordSource("concepts").words(index, "train", CHEST, side="image")
    assert (read.source, measured.source, notes) == ("reports", "concepts", ())
    assert read.indices == measured.indices
    assert len(read.indices) == 16
    mirrored, _ = WordSource("concepts").words(index, "train", CHEST, side="patient")
    assert [(a[2], a[3]) for a in mirrored.indices] == [(b[3], b[2]) for b in measured.indices]


def test_reports_that_cannot_be_read_are_named(index: DatasetIndex) -> None:
    sentence = index.split("train")[0].report
    mixed = with_reports(index, sentence, "Something else entirely.")
    words, notes = WordSource("reports").words(mixed, "train", CHEST, side="image")
    assert UNKNOWN not in words.indices[0]
    assert words.indices[1] == (UNKNOWN,) * 4
    first = mixed.split("train")[1].id
    assert notes[0].startswith(f"8 of 16 train reports could not be read in full ({first}, ")
    assert "..." in notes[0]


def test_a_sheet_nothing_can_be_read_of_is_refused(index: DatasetIndex) -> None:
    with refuses("LEX-DATA-134", "(for example: 'Hello.')"):
        WordSource("reports").words(with_reports(index, "Hello."), "train", CHEST, side="image")


def test_measuring_refuses_a_mask_of_another_size(index: DatasetIndex, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(tmp_path / "odd.png")
    samples = (replace(index.samples[0], image=tmp_path / "odd.png"), *index.samples[1:])
    with pytest.raises(DataError, match=r"is 64 x 64 pixels, but its image \S+odd.png is 20 x 10"):
        WordSource("concepts").words(replace(index, samples=samples), "train", CHEST, side="image")
