"""Words that cannot change the masks of labellers: who is told, and when no labeller is trained."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.data.sample import DatasetIndex
from lexiseg.training.config import make_config
from lexiseg.training.few_masks.labeller_words import settle_labellers
from lexiseg.training.few_masks.labellers import fold_numbers
from lexiseg.training.inputs.examples import Words
from lexiseg.training.plan import Plan, plan_run
from lexiseg.training.unmasked_images import MaskUse, take_part
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
SILENT = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
#: Words that say that both halves have lesions, that the right one has none, and only the number of lesions.
BOTH, EMPTY_RIGHT, NUMBER = (0, 1, 0, 0), (1, 0, 0, 7), (UNKNOWN, 1, UNKNOWN, UNKNOWN)


@pytest.fixture(scope="module")
def hidden(phantom: Path) -> DatasetIndex:
    return open_dataset(phantom, masks=0.5)


@pytest.fixture
def settle(hidden: DatasetIndex) -> Any:
    """Return a function that settles labellers, given the words per part, and returns what was said too."""

    def settled(*of_part: tuple[int, ...], **fields: Any) -> tuple[MaskUse, Plan, str]:
        config = make_config({"text": "reports", "accelerator": "cpu", **fields})
        use = take_part(hidden, config)
        plan = plan_run(use, config, Console(quiet=True))
        samples = use.index.split("train")
        rows = [SILENT if part is None else of_part[part] for part in fold_numbers(samples, seed=config.seed)]
        if use.unmasked == "words":
            plan = replace(plan, train=Words(CHEST, rows, source="reports", side="image"))
        said = io.StringIO()
        use, plan = settle_labellers(use, plan, config, Console(file=said, width=1000))
        return use, plan, said.getvalue()

    return settled


def test_words_about_places_are_told(settle: Any) -> None:
    use, _, said = settle(BOTH, BOTH, NUMBER)
    assert (use.unmasked, use.checked, said) == ("words", True, "")


@pytest.mark.parametrize(
    ("words", "fields", "why"),
    [
        (
            (NUMBER, NUMBER, NUMBER),
            {},
            "the words of the images with a mask (vocabulary 'chest') name no places",
        ),
        ((BOTH, NUMBER, NUMBER), {}, "only the words of one part of the images with a mask"),
        ((BOTH, BOTH, BOTH), {"word_map": False}, "`word_map: false` keeps the places from teachers"),
    ],
)
def test_no_labeller_is_trained_where_words_change_no_mask(
    settle: Any, hidden: DatasetIndex, words: Any, fields: dict[str, Any], why: str
) -> None:
    use, plan, said = settle(*words, **fields)
    samples = hidden.split("train")
    left_out = [sample.id for sample in samples if sample.mask is None]
    assert why in said
    assert f"{len(left_out)} training images without mask are left out" in said
    assert "--unmasked words or --unmasked pseudo_labels" in said
    assert (use.unmasked, use.checked) == (None, False)
    assert list(use.left_out) == left_out
    assert use.images_per_pass == len(samples)
    assert len(plan.train.indices) == len(use.index.split("train")) == len(samples) - len(left_out)
    assert UNKNOWN not in {row[1] for row in plan.train.indices}  # the rows of the images with a mask
    masks = plan.manifest.data.masks
    assert (masks.unmasked, masks.left_out, masks.without_mask) == ("leave_out", len(left_out), 0)
    assert plan.manifest.data.samples["train"] == masks.with_mask == len(samples) - len(left_out)


def test_words_that_exclude_a_half_are_checked(settle: Any) -> None:
    use, _, said = settle(NUMBER, NUMBER, EMPTY_RIGHT)
    assert (use.unmasked, use.checked) == ("words", True)
    assert "Teachers are told no places: only the words of one part" in said
    assert "Words exclude halves without a lesion, and weigh the pseudo labels." in said
    use, _, said = settle(BOTH, BOTH, EMPTY_RIGHT, word_map=False)
    assert (use.unmasked, use.checked, said) == ("words", True, "")


def test_words_that_are_asked_for_weigh_the_labels(settle: Any) -> None:
    use, _, said = settle(NUMBER, NUMBER, NUMBER, unmasked="words")
    assert use.unmasked == "words"
    assert "Teachers are told no places: the words of the images with a mask" in said
    assert "name no places. Words weigh the pseudo labels." in said


def test_other_uses_are_not_changed(settle: Any) -> None:
    for unmasked in ("pseudo_labels", "leave_out"):
        use, _, said = settle(NUMBER, NUMBER, NUMBER, unmasked=unmasked)
        assert (use.unmasked, said) == (None if unmasked == "leave_out" else unmasked, "")
