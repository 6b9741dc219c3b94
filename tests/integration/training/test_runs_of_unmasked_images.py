"""Trainings with images without mask: what is read, drawn and remembered, and resuming."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.data.splits import read_splits
from lexiseg.runs.image_hashes import read_image_hashes
from lexiseg.runs.manifest import LabellerRecord, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import SplitsRecord
from lexiseg.training.config import make_config
from lexiseg.training.few_masks.pseudo_labelling import PseudoLabelling
from lexiseg.training.soft_masks import StoredMasks
from lexiseg.training.train import train
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

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
        labels = StoredMasks.load(run.path / "pseudo_labels.safetensors")
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
        labels = StoredMasks.load(run.path / "pseudo_labels.safetensors")
        assert labels.probability.shape[1:] == (2, 32, 32)
        assert (labels.probability.astype(int).sum(axis=1) <= 256).all()  # rounded shares of one
        assert run.zone_atlas is not None
        assert run.zone_atlas.classes == 2

    def test_images_without_mask_are_left_out_where_words_do_not_help(
        self, few: Path, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check = PseudoLabelling._check

        def hopeless(self: PseudoLabelling) -> LabellerRecord:
            record = check(self)
            assert record.gain is not None
            assert record.used == (record.gain_ci95[0] > 0)
            return record.model_copy(update={"used": False, "gain": -0.1, "gain_ci95": (-0.2, 0.0)})

        monkeypatch.setattr(PseudoLabelling, "_check", hopeless)
        said = io.StringIO()
        run = train(few, tmp_path / "run", masks=0.25, console=Console(file=said, width=500), **tiny_options)
        assert "Gain -0.100 (-0.200 to +0.000): the images without mask are left out." in said.getvalue()
        assert "validation cases with the weights of step" in said.getvalue()
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
        hashes = [hashlib.sha256(s.image.read_bytes()).hexdigest() for s in samples if s.mask is not None]
        assert read_image_hashes(run.path).train == tuple(sorted(hashes))
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

    def test_no_teacher_is_trained_where_words_name_no_places(
        self, few: Path, tmp_path: Path, tiny_options: dict[str, Any]
    ) -> None:
        file = tmp_path / "number.yaml"
        file.write_text(yaml.safe_dump(load_vocabulary("chest").only(["count"]).to_dict()))
        options = {**tiny_options, "masks": 0.25, "text": "reports", "vocabulary": str(file)}
        said = io.StringIO()
        run = train(few, tmp_path / "run", console=Console(file=said, width=1000), **options)
        assert "No teacher is trained: the words of the images with a mask" in said.getvalue()
        assert "Teacher 1" not in said.getvalue()
        assert "the others are left out" in said.getvalue()
        # The run is the one that leaves these images out, and ends with the same weights when it goes on.
        without = train(few, tmp_path / "without", unmasked="leave_out", **options)
        weights = load_file(without.weights_file)
        assert run.manifest.data.masks == without.manifest.data.masks
        assert run.splits == without.splits
        assert read_image_hashes(run.path) == read_image_hashes(without.path)
        for _ in range(2):
            assert all(torch.equal(part, weights[name]) for name, part in load_file(run.weights_file).items())
            run.updated(training=TrainingRecord(finished=False, seed=0))
            (run.path / "checkpoint.ckpt").unlink()
            run = train(few, run.path, resume=True)
        assert run.manifest.data.masks == without.manifest.data.masks

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
