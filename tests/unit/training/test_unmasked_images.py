"""Images without mask: who takes part, with which words, and what a run remembers."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from lexiseg import describe
from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.data.splits import read_splits
from lexiseg.errors import DataError, UsageError
from lexiseg.runs.manifest import MasksRecord, TeacherRecord, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import SplitsRecord
from lexiseg.training.config import make_config
from lexiseg.training.examples import Words
from lexiseg.training.plan import Plan, plan_run
from lexiseg.training.pseudo_labelling import PseudoLabelling
from lexiseg.training.pseudo_labels import PseudoLabels
from lexiseg.training.text_source import words_of
from lexiseg.training.train import train
from lexiseg.training.unmasked_images import shuffled, take_part
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

CHEST = load_vocabulary("chest")
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def few(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 16 training images, of which all but a quarter have a mask that is no picture."""
    folder = tmp_path_factory.mktemp("few") / "data"
    shutil.copytree(phantom, folder)
    for sample in open_dataset(folder, masks=0.25).split("train"):
        if sample.mask is None:
            (folder / "Train_Folder" / "labelcol" / f"mask_{sample.id}.png").write_bytes(b"hidden")
    return folder


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
        assert plan.unmasked == "words"
        assert all(any(i != UNKNOWN for i in row) for row in plan.train.indices)

    def test_words_measured_on_hidden_masks_are_refused(self, phantom: Path, tmp_path: Path) -> None:
        file = describe(phantom, tmp_path / "words.jsonl", source="concepts").path
        with refuses("LEX-DATA-124", "hidden"):
            planned(open_dataset(phantom, masks=0.25), text=str(file))
        planned(open_dataset(phantom), text=str(file))


class TestWords:
    @pytest.fixture
    def reports(self, index: DatasetIndex) -> Words:
        return words_of(index, "train", CHEST, text="reports", side="image")[0]

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
        assert plan.val.indices == words_of(index, "val", CHEST, text="reports", side="image")[0].indices
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
        words, _ = words_of(hidden, "train", CHEST, text="concepts", side="image")
        for sample, row in zip(hidden.split("train"), words.indices, strict=True):
            assert (row == (UNKNOWN,) * 4) == (sample.mask is None)


class TestRuns:
    @pytest.fixture(scope="class")
    def trained_with_words(
        self, few: Path, tmp_path_factory: pytest.TempPathFactory, tiny_options: dict[str, Any]
    ) -> Path:
        """A run with pseudo labels that fit the words; not to be changed."""
        return train(
            few, tmp_path_factory.mktemp("run") / "words", masks=0.25, unmasked="words", **tiny_options
        ).path

    @pytest.mark.parametrize(
        ("model", "options"),
        [
            ("stpnet", {"unmasked": "words"}),
            ("stpnet", {"unmasked": "words", "word_map": False}),
            ("cotexnet", {"unmasked": "words"}),
            ("stpnet", {"unmasked": "pseudo_labels", "text": "none"}),
            ("stpnet", {"unmasked": "leave_out", "text": "concepts"}),
        ],
    )
    def test_hidden_masks_are_never_read(
        self,
        few: Path,
        tmp_path: Path,
        tiny_options: dict[str, Any],
        trained_with_words: Path,
        model: str,
        options: dict[str, Any],
    ) -> None:
        if (model, options) == ("stpnet", {"unmasked": "words"}):
            run = Run.open(trained_with_words)
        else:
            run = train(few, tmp_path / "run", model=model, masks=0.25, **{**tiny_options, **options})
        assert run.manifest.training.steps == 2  # 16 images, 8 a step, whoever has a mask
        kept = json.loads((run.path / "masks.json").read_text())["with_mask"]
        assert kept == [s.id for s in open_dataset(few, masks=0.25).split("train") if s.mask is not None]
        assert run.manifest.data.masks.with_mask == len(kept)
        row = (run.path / "history.csv").read_text().splitlines()[0].split(",")
        assert ("train/pseudo" in row) == (options["unmasked"] != "leave_out")
        teacher = run.manifest.data.masks.teacher
        if options["unmasked"] == "leave_out":
            assert teacher is None
            return
        assert (teacher.folds, teacher.images, teacher.used) == (3, len(kept), True)
        assert (teacher.gain is None) == (options["unmasked"] == "pseudo_labels")
        labels = PseudoLabels.load(run.path / "pseudo_labels.safetensors")
        assert sorted([*labels.ids, *kept]) == sorted(
            s.id for s in open_dataset(few, masks=0.25).split("train")
        )
        assert labels.probability.shape[1:] == (1, 32, 32)  # half of 64 pixels
        assert teacher.mean_weight == pytest.approx(labels.weight.mean(), abs=1e-5)
        assert not (run.path / "teachers").exists()
        assert (run.manifest.training.selected_step, run.manifest.training.selection) == (2, "last")
        assert "the last step; validation Dice selects nothing" in (run.path / "model_card.md").read_text()

    def test_several_classes_have_pseudo_labels_of_their_own(
        self, tmp_path: Path, tiny_options: dict[str, Any]
    ) -> None:
        write_phantom(tmp_path / "data", num_train=12, num_val=2, num_test=1, size=64, seed=1, classes=2)
        run = train(tmp_path / "data", tmp_path / "run", masks=0.5, unmasked="words", **tiny_options)
        labels = PseudoLabels.load(run.path / "pseudo_labels.safetensors")
        assert labels.probability.shape[1:] == (2, 32, 32)
        assert (labels.probability.astype(int).sum(axis=1) <= 256).all()  # rounded shares of one
        assert run.zone_atlas is not None
        assert run.zone_atlas.classes == 2

    def test_images_without_mask_are_left_out_where_words_do_not_help(
        self, few: Path, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check = PseudoLabelling._check

        def hopeless(self: PseudoLabelling) -> TeacherRecord:
            record = check(self)
            assert record.gain is not None
            assert record.used == (record.gain_ci95[0] > 0)
            return record.model_copy(update={"used": False, "gain": -0.1, "gain_ci95": (-0.2, 0.0)})

        monkeypatch.setattr(PseudoLabelling, "_check", hopeless)
        said = io.StringIO()
        run = train(few, tmp_path / "run", masks=0.25, console=Console(file=said, width=500), **tiny_options)
        assert "Gain -0.100 (-0.200 to +0.000): the images without mask are left out." in said.getvalue()
        assert not (run.path / "pseudo_labels.safetensors").exists()
        assert "train/pseudo" not in (run.path / "history.csv").read_text()
        assert run.manifest.data.masks.teacher.used is False
        assert run.zone_atlas is not None
        masks = run.manifest.data.masks
        assert masks.teacher.mean_weight is None
        assert run.zone_atlas.strength == masks.teacher.strength_without_words
        # The records say what the console says.
        samples = open_dataset(few, masks=0.25).split("train")
        left_out = tuple(s.id for s in samples if s.mask is None)
        assert run.manifest.training.selection == "best"
        assert (masks.unmasked, masks.without_mask, masks.left_out) == ("leave_out", 0, len(left_out))
        assert masks.with_mask == run.manifest.data.samples["train"] == 16 - len(left_out)
        assert run.splits.left_out == left_out
        assert run.splits.train == tuple(sorted(s.id for s in samples))
        # A run that is stopped after the check is resumed, and decides the same.
        lists, weights = (run.path / "splits.json").read_text(), load_file(run.weights_file)
        training = TrainingRecord(finished=False, seed=0)
        stopped = masks.model_copy(update={"teacher": None})
        run.updated(training=training, data=run.manifest.data.model_copy(update={"masks": stopped}))
        again = train(few, run.path, resume=True)
        assert again.manifest.training.finished is True
        assert again.manifest.data.masks == masks
        assert (run.path / "splits.json").read_text() == lists
        assert all(torch.equal(value, weights[name]) for name, value in load_file(run.weights_file).items())
        # The images that are left out must be there, as at the start.
        run.updated(training=training)
        file = run.path / "splits.json"
        record = json.loads(lists)
        record["train"].append("gone")
        record["left_out"].append("gone")
        file.write_text(json.dumps(record))
        with refuses("LEX-RUN-015", "was started on other data"):
            train(few, run.path, resume=True)

    @pytest.fixture(scope="class")
    def trained_without(
        self, phantom: Path, tmp_path_factory: pytest.TempPathFactory, tiny_options: dict[str, Any]
    ) -> Path:
        options = {"masks": 0.25, "unmasked": "leave_out", "text": "none", **tiny_options}
        return train(phantom, tmp_path_factory.mktemp("run") / "without", **options).path

    @pytest.fixture
    def without(self, trained_without: Path, tmp_path: Path) -> Run:
        """A run that left out the training images whose masks are hidden; to be changed."""
        return Run.open(shutil.copytree(trained_without, tmp_path / "without"))

    def test_images_that_are_left_out_are_named(self, without: Run, hidden: DatasetIndex) -> None:
        assert without.splits == SplitsRecord(
            **{
                split: tuple(sample.id for sample in hidden.split(split))
                for split in ("train", "val", "test")
            },
            left_out=tuple(s.id for s in hidden.split("train") if s.mask is None),
        )
        assert len(without.splits.left_out) == without.manifest.data.masks.left_out > 0
        # Copied beside the data, as evaluate's message advises, the file puts every image where it was.
        copied = read_splits(without.path / "splits.json")
        assert copied == {sample.id: sample.split for sample in hidden.samples}

    @pytest.mark.parametrize("named", [True, False], ids=["named", "by an early version"])
    def test_resuming_where_images_are_left_out(self, without: Run, phantom: Path, named: bool) -> None:
        without.updated(training=TrainingRecord(finished=False, seed=0))
        if not named:
            file = without.path / "splits.json"
            lists = json.loads(file.read_text())
            left_out = lists.pop("left_out")
            lists["train"] = [name for name in lists["train"] if name not in left_out]
            file.write_text(json.dumps(lists))
        assert train(phantom, without.path, resume=True).manifest.training.finished is True

    def test_shuffled_runs_say_so(
        self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any], tiny_run: Run
    ) -> None:
        with open(tmp_path / "said.txt", "w") as said:
            console = Console(file=said, width=200)
            run = train(phantom, tmp_path / "run", shuffle_words=True, console=console, **tiny_options)
        assert "SHUFFLED WORDS" in (tmp_path / "said.txt").read_text()
        assert "**SHUFFLED WORDS" in (run.path / "model_card.md").read_text()
        first, second = load_file(run.weights_file), load_file(tiny_run.weights_file)
        assert not all(torch.equal(value, second[name]) for name, value in first.items())

    def test_resuming_with_other_masks_is_refused(
        self, few: Path, trained_with_words: Path, tmp_path: Path
    ) -> None:
        run = Run.open(shutil.copytree(trained_with_words, tmp_path / "run"))
        run.updated(training=TrainingRecord(finished=False, seed=0))
        file = run.path / "masks.json"
        stored = json.loads(file.read_text())
        file.write_text(json.dumps({"with_mask": stored["with_mask"][1:]}))
        with refuses("LEX-RUN-013", "was started with other masks"):
            train(few, run.path, resume=True)
        file.unlink()
        with refuses("LEX-RUN-007", "masks.json cannot be read"):
            train(few, run.path, resume=True)
        file.write_text(json.dumps(stored))
        assert Run.open(train(few, run.path, resume=True).path).manifest.training.finished is True

    def test_steps_set_the_length(self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
        options = {name: value for name, value in tiny_options.items() if name != "epochs"}
        assert train(phantom, tmp_path / "run", steps=3, **options).manifest.training.steps == 3
        with refuses("LEX-USE-069", "them; got epochs"):
            make_config({"epochs": 1, "steps": 3})
