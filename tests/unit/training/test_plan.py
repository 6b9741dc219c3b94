"""What is settled before the first step."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import lexiseg
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.systems.configuration import AugmentConfig
from lexiseg.training.config import make_config
from lexiseg.training.inputs.examples import Words
from lexiseg.training.plan import plan_run
from lexiseg.training.text_supervision import _known_factors, _notes_on_factors
from lexiseg.training.unmasked_images import take_part
from lexiseg.words.description import UNKNOWN
from lexiseg.words.flips import flip
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

POLYP = load_vocabulary("polyp")
GREY = [(0, 4, 1, 2, UNKNOWN), (1, UNKNOWN, 0, 1, UNKNOWN)]


def words(indices: list[tuple[int, ...]]) -> Words:
    return Words(POLYP, indices, source="concepts", side="image")


def test_a_factor_nobody_speaks_of_is_not_learned() -> None:
    known = _known_factors(POLYP, words(GREY))
    assert known == ("number", "location", "shape", "size")
    vocabulary = POLYP.only(known)
    assert vocabulary.names == known
    assert words(GREY).only(vocabulary).indices == ((0, 4, 1, 2), (1, UNKNOWN, 0, 1))
    spoken = vocabulary.sentence_for((0, 4, 1, 2))
    assert spoken.startswith("One oval large polyp area")
    assert "{" not in spoken


CHEST = load_vocabulary("chest")


def test_a_factor_brings_its_mirror_image() -> None:
    """Data in which only the left lung is spoken of teach the right one too, by flips."""
    vocabulary = CHEST.only(("count", "left"))
    assert vocabulary.names == ("count", "left", "right")
    assert flip(vocabulary, (0, 1, UNKNOWN), "horizontal") == (0, UNKNOWN, 1)
    assert "{" not in vocabulary.sentence_for((0, 1, UNKNOWN))
    notes = _notes_on_factors(CHEST, vocabulary, ("count", "left"), AugmentConfig())
    titles = {factor.name: factor.title for factor in CHEST.factors}
    assert notes == [
        f"No training image has words for these factors: {titles['laterality']}.",
        f"These factors are learned from mirrored images alone: {titles['right']}.",
    ]


def test_a_mirror_image_that_is_never_shown_is_not_learned() -> None:
    vocabulary = CHEST.only(("count", "left"))
    augment = AugmentConfig(horizontal_flip=0, vertical_flip=0.5)
    with pytest.raises(UsageError, match=rf"{vocabulary.factor('right').title}\. .* horizontal_flip"):
        _notes_on_factors(CHEST, vocabulary, ("count", "left"), augment)
    whole = CHEST.only(("left", "right"))
    assert _notes_on_factors(whole, whole, whole.names, augment) == []


def test_a_data_set_that_speaks_of_one_lung_can_be_planned(
    index: DatasetIndex, tmp_path: Path, phantom: Path
) -> None:
    lexiseg.describe(phantom, tmp_path / "d.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    for line in lines:
        line["factors"] = {"left": line["factors"]["left"]}
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = io.StringIO()
    config = make_config({"text": tmp_path / "d.jsonl"})
    plan = plan_run(take_part(index, config), config, Console(file=said, width=500))
    assert plan.vocabulary is not None
    assert plan.vocabulary.names == ("left", "right")
    assert plan.train is not None
    assert all(right == UNKNOWN for _, right in plan.train.indices)
    assert "learned from mirrored images alone" in said.getvalue()


def test_words_about_nothing_are_refused() -> None:
    with refuses("LEX-DATA-130", "--text none"):
        _known_factors(POLYP, words([(UNKNOWN,) * 5]))


def test_a_vocabulary_without_its_coarse_factor_still_reads_regions() -> None:
    chest = load_vocabulary("chest")
    regions = chest.only(("count", "left", "right")).grammar.regions
    assert regions is not None
    assert regions.exactly is None
    assert regions.at_most == chest.grammar.regions.at_most  # type: ignore[union-attr]
    assert chest.only(("laterality", "count")).grammar.regions is None
