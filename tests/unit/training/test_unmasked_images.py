"""Images without mask: who takes part, and with which words."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lexiseg import describe
from lexiseg.data import open_dataset
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError, UsageError
from lexiseg.runs.manifest import MasksRecord
from lexiseg.systems.configuration import UnmaskedSettings
from lexiseg.training.config import make_config
from lexiseg.training.inputs.examples import Words
from lexiseg.training.plan import Plan, plan_run
from lexiseg.training.text_source import WordSource
from lexiseg.training.unmasked_images import shuffled, take_part
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses
from toy_system import ToyConfig

CHEST = load_vocabulary("chest")
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def hidden(phantom: Path) -> DatasetIndex:
    return open_dataset(phantom, masks=0.25)


@pytest.fixture
def shown(hidden: DatasetIndex) -> int:
    """Number of training images that keep their masks: a quarter, or more, as patients stay together."""
    return sum(sample.mask is not None for sample in hidden.split("train"))


def planned(index: DatasetIndex, **options: Any) -> Plan:
    config = make_config(options)
    return plan_run(take_part(index, config), config, QUIET)


class TestTakingPart:
    def test_words_are_the_default(self, hidden: DatasetIndex, shown: int) -> None:
        assert 4 <= shown <= 6
        use = take_part(hidden, make_config({"masks": 0.25}))
        assert (use.unmasked, use.checked, use.left_out, use.images_per_pass) == ("words", True, (), 16)
        assert take_part(hidden, make_config({"unmasked": "words"})).checked is False
        assert len(use.with_mask) == shown
        assert use.sentence() == (
            f"{shown} of 16 training images have a mask ({100 * shown / 16:.3g} %); for the others, teachers "
            f"draw masks that fit their words."
        )
        assert use.record(make_config({"masks": 0.25})) == MasksRecord(
            share=0.25, with_mask=shown, without_mask=16 - shown, left_out=0, unmasked="words"
        )

    def test_left_out_images_count_for_the_length_of_a_pass(self, hidden: DatasetIndex, shown: int) -> None:
        use = take_part(hidden, make_config({"unmasked": "leave_out"}))
        assert (use.unmasked, use.images_per_pass) == (None, 16)
        assert use.left_out == tuple(s.id for s in hidden.split("train") if s.mask is None)
        assert use.record(make_config({})).left_out == 16 - shown
        assert [s.id for s in use.index.split("train")] == list(use.with_mask)
        assert len(use.index.split("val")) == 5
        assert str(use.sentence()).startswith(f"{shown} of 16 training images have a mask (")
        assert str(use.sentence()).endswith(" %); the others are left out.")

    def test_what_the_check_may_decide_is_leaving_out(self, hidden: DatasetIndex) -> None:
        decided = take_part(hidden, make_config({})).with_masks_only()
        assert decided == take_part(hidden, make_config({"unmasked": "leave_out"}))
        assert decided.splits().left_out == tuple(s.id for s in hidden.split("train") if s.mask is None)

    def test_where_all_have_masks_nothing_is_said(self, index: DatasetIndex) -> None:
        use = take_part(index, make_config({}))
        assert use.sentence() is None
        assert use.index.samples == index.samples

    def test_scored_images_need_masks(self, index: DatasetIndex) -> None:
        samples = [
            dataclasses.replace(s, mask=None) if s.split == "val" and i % 2 else s
            for i, s in enumerate(index.samples)
        ]
        broken = dataclasses.replace(index, samples=tuple(samples))
        with refuses("LEX-DATA-125", ".png"):
            take_part(broken, make_config({}))

    def test_some_training_image_needs_one(self, index: DatasetIndex) -> None:
        samples = [dataclasses.replace(s, mask=None) if s.split == "train" else s for s in index.samples]
        with refuses("LEX-DATA-126", "no training image of", "(16 images)"):
            take_part(dataclasses.replace(index, samples=tuple(samples)), make_config({}))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (
                {"preset": "paper"},
                r"\d+ training images? (has|have) no mask, and the paper preset of STPNet .* --unmasked "
                r"leave_out",
            ),
        ],
    )
    def test_what_cannot_learn_from_them(
        self, hidden: DatasetIndex, options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            take_part(hidden, make_config(options))

    def test_a_system_says_that_it_learns_from_them(self, hidden: DatasetIndex) -> None:
        class Learning(ToyConfig):
            @property
            def unmasked_settings(self) -> UnmaskedSettings:
                return UnmaskedSettings(share=None, teacher_steps=None, word_map=True, pseudo_weight=1.0)

        assert take_part(hidden, Learning.model_validate({})).unmasked == "words"

    def test_teachers_need_masks_of_several_patients(self, hidden: DatasetIndex) -> None:
        samples = [
            dataclasses.replace(s, patient="one") if s.split == "train" and s.mask is not None else s
            for s in hidden.samples
        ]
        one = dataclasses.replace(hidden, samples=tuple(samples))
        with refuses("LEX-USE-830", "of 1 patient"):
            take_part(one, make_config({}))
        assert take_part(one, make_config({"unmasked": "leave_out"})).unmasked is None

    @pytest.mark.parametrize(
        ("text", "why"), [("concepts", "concepts are measured from masks"), ("none", "has no words")]
    )
    def test_words_must_come_from_elsewhere(self, hidden: DatasetIndex, text: str, why: str) -> None:
        with pytest.raises(
            DataError,
            match=rf"\d+ training images? (has|have) no mask, and no words either: .*{why}.*leave_out",
        ):
            planned(hidden, text=text)

    def test_a_description_file_gives_words(self, phantom: Path, tmp_path: Path) -> None:
        file = describe(phantom, tmp_path / "words.jsonl", source="reports").path
        index = open_dataset(phantom, masks=0.25)
        plan = planned(index, text=str(file))
        assert plan.train is not None
        assert all(any(i != UNKNOWN for i in row) for row in plan.train.indices)

    def test_words_measured_on_hidden_masks_are_refused(self, phantom: Path, tmp_path: Path) -> None:
        file = describe(phantom, tmp_path / "words.jsonl", source="concepts").path
        with refuses("LEX-DATA-124", "hidden"):
            planned(open_dataset(phantom, masks=0.25), text=str(file))
        planned(open_dataset(phantom), text=str(file))


class TestWords:
    @pytest.fixture
    def reports(self, index: DatasetIndex) -> Words:
        return WordSource("reports").words(index, "train", CHEST, side="image")[0]

    def test_shuffled_words_are_those_of_others(self, index: DatasetIndex) -> None:
        samples = index.split("train")
        numbered = Words(CHEST, [(i, 0, 0, 0) for i in range(16)], source="concepts", side="image")
        found = shuffled(numbered, samples, seed=0)
        given = [row[0] for row in found.indices]
        assert sorted(given) == list(range(16))
        assert all(a != b for a, b in enumerate(given))
        assert found.source == "reports"  # or else every change of the image would measure the true words
        assert [row[0] for row in shuffled(numbered, samples, seed=1).indices] != given
        # whoever gets whose words does not depend on the order
        turned = Words(CHEST, numbered.indices[::-1], source="reports", side="image")
        assert shuffled(turned, samples[::-1], seed=0).indices[::-1] == found.indices
        with refuses("LEX-DATA-128", "at least two training images"):
            shuffled(numbered, samples[:1], seed=0)

    def test_only_training_words_are_shuffled(self, index: DatasetIndex, reports: Words) -> None:
        config, said = make_config({"shuffle_words": True}), io.StringIO()
        plan = plan_run(take_part(index, config), config, Console(file=said, width=500))
        assert plan.train is not None
        assert plan.val is not None
        assert sorted(plan.train.indices) == sorted(reports.indices)
        assert plan.train.indices != reports.indices
        assert plan.val.indices == WordSource("reports").words(index, "val", CHEST, side="image")[0].indices
        assert plan.manifest.data.shuffled_words is True
        pairs = list(zip(plan.train.indices, reports.indices, strict=True))
        side = 100 * sum(a[0] == b[0] for a, b in pairs) / 16
        assert f"true by chance: {CHEST.factors[0].title} {side:.1f} %, " in said.getvalue()
        with refuses("LEX-USE-077", "needs words"):
            planned(index, shuffle_words=True, text="none")

    def test_pseudo_labels_alone_use_no_words_of_images_without_mask(
        self, hidden: DatasetIndex, reports: Words
    ) -> None:
        plan = planned(hidden, unmasked="pseudo_labels")
        assert plan.train is not None
        for sample, row, said in zip(hidden.split("train"), plan.train.indices, reports.indices, strict=True):
            assert row == (said if sample.mask is not None else (UNKNOWN,) * 4)

    def test_words_measured_from_masks_are_those_of_the_shown_ones(self, hidden: DatasetIndex) -> None:
        words, _ = WordSource("concepts").words(hidden, "train", CHEST, side="image")
        for sample, row in zip(hidden.split("train"), words.indices, strict=True):
            assert (row == (UNKNOWN,) * 4) == (sample.mask is None)
