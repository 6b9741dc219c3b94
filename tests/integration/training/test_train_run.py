"""From a data folder to a run folder, on a data set of 24 images."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from lexiseg.cli import main
from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import DataError, RunError
from lexiseg.inference.predictor import Predictor
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.manifest import FORMAT_VERSION, TrainingRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import SplitsRecord
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.plan import Plan, plan_run
from lexiseg.training.resume import resumed_config
from lexiseg.training.train import train, train_on
from lexiseg.training.unmasked_images import take_part
from refusals import refuses

QUIET = Console(quiet=True)


@pytest.fixture
def interrupted(tiny_run: Run, tmp_path: Path) -> Path:
    """A run as it stands before its end."""
    folder = tmp_path / "interrupted"
    shutil.copytree(tiny_run.path, folder)
    run = Run.open(folder)
    run.updated(training=TrainingRecord(finished=False, seed=0))
    return folder


def planned(index: DatasetIndex, **options: Any) -> Plan:
    config = make_config(options)
    return plan_run(take_part(index, config), config, QUIET)


class TestPlan:
    def test_everything_is_settled(self, index: DatasetIndex, tiny_options: dict[str, Any]) -> None:
        plan = planned(index, **{**tiny_options, "seed": 3})
        manifest = plan.manifest
        assert (plan.text, plan.vocabulary.name, manifest.side) == ("reports", "chest", "image")
        assert dict(plan.bank.phrases) == {f.name: f.phrases for f in plan.vocabulary.factors}
        assert (len(plan.train.indices), len(plan.val.indices)) == (16, 5)
        assert manifest.network.encoder == "lcnet_050"
        assert (manifest.network.out_channels, manifest.image_size) == (1, 64)
        assert manifest.data.samples == {"train": 16, "val": 5}
        assert manifest.training == TrainingRecord(finished=False, seed=3)
        assert manifest.class_names == index.class_names

    def test_without_text(self, index: DatasetIndex, tiny_options: dict[str, Any]) -> None:
        plan = planned(index, **{**tiny_options, "text": "none"})
        assert (plan.bank, plan.vocabulary, plan.train, plan.val) == (None,) * 4
        assert (plan.manifest.text, plan.manifest.vocabulary) == ("none", None)

    def test_several_classes(self, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
        write_phantom(tmp_path / "two", num_train=4, num_val=2, num_test=1, size=64, classes=2)
        plan = planned(open_dataset(tmp_path / "two"), **tiny_options)
        assert plan.manifest.network.out_channels == 3
        assert plan.manifest.class_names == ("background", "opacity", "nodule")

    def test_the_image_size_is_checked_first(self, index: DatasetIndex, tiny_options: dict[str, Any]) -> None:
        with refuses("LEX-USE-023", "multiple of 32"):
            planned(index, **{**tiny_options, "image_size": 100})


class TestRunFolder:
    def test_it_holds_the_atlas_of_its_masks(self, tiny_run: Run) -> None:
        atlas, summary = tiny_run.zone_atlas, tiny_run.manifest.zone_atlas
        assert atlas is not None
        assert summary is not None
        assert (atlas.images, atlas.strength) == (16, summary.strength)
        assert sum(atlas.counts["left"]) == 32  # each image, and each mirrored
        assert tiny_run.zone_atlas is atlas

    def test_it_holds_everything(self, tiny_run: Run, index: DatasetIndex) -> None:
        assert {path.name for path in tiny_run.path.iterdir()} == {
            "run.json",
            "config.yaml",
            "weights.safetensors",
            "bank.safetensors",
            "zone_atlas.safetensors",
            "history.csv",
            "splits.json",
            "image_hashes.json",
            "model_card.md",
            "checkpoint.ckpt",
            "tensorboard",
        }
        lists = {split: [sample.id for sample in index.split(split)] for split in ("train", "val", "test")}
        assert tiny_run.splits == SplitsRecord.model_validate(lists)
        assert json.loads((tiny_run.path / "splits.json").read_text()) == lists
        assert Run.open(tiny_run.path).manifest == tiny_run.manifest

    def test_an_opened_data_set_gives_the_same_weights(
        self, tiny_run: Run, index: DatasetIndex, tiny_options: dict[str, Any], tmp_path: Path
    ) -> None:
        run = train_on(index, make_config(tiny_options), tmp_path / "run")
        first, second = load_file(tiny_run.weights_file), load_file(run.weights_file)
        assert all(torch.equal(value, second[name]) for name, value in first.items())
        assert train_on(index, make_config(tiny_options), run.path, resume=True).manifest == run.manifest
        with refuses("LEX-RUN-006", "already exists and"):
            train_on(index, make_config(tiny_options), run.path)

    def test_manifest(self, tiny_run: Run) -> None:
        manifest = tiny_run.manifest
        assert manifest.training.finished is True
        assert (manifest.training.steps, manifest.training.selected_step) == (2, 2)
        assert 0 <= manifest.training.validation.dice <= 1
        assert manifest.review_below == manifest.training.validation.review_below
        assert manifest.network.num_parameters > 100_000

    def test_configuration_is_resolved(self, tiny_run: Run, tiny_options: dict[str, Any]) -> None:
        stored = make_config({}, tiny_run.path / "config.yaml")
        assert stored.precision == "fp32"
        assert isinstance(stored.workers, int)
        assert stored.cache is True
        assert all(getattr(stored, name) == value for name, value in tiny_options.items())

    def test_its_command_repeats_it_however_it_was_started(
        self, phantom: Path, tiny_options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.argv", ["some-program", "--its", "options"])
        # Most of these are no option of the command line; no teacher is trained for the images without mask.
        changed = {"retrieval_weight": 0.1, "masks": 0.5, "unmasked": "leave_out"}
        run = train(phantom, tmp_path / "my run", **tiny_options, **changed, seed=4)
        command = shlex.split(Run.open(run.path).manifest.training.command)
        again = tmp_path / "my run-again"
        assert command == [
            *("lexiseg", "train", str(phantom), "--out", str(again)),
            *("--config", str(run.path / "config.yaml")),
        ]
        assert shlex.join(command) in (run.path / "model_card.md").read_text(encoding="utf-8")
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert (again / "config.yaml").read_text() == (run.path / "config.yaml").read_text()
        for name, value in load_file(again / "weights.safetensors").items():
            assert torch.equal(value, load_file(run.weights_file)[name]), name

    def test_a_resumed_run_has_the_same_command(
        self, phantom: Path, interrupted: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.argv", ["lexiseg", "train", str(phantom), "--resume"])
        resumed = train(phantom, interrupted, resume=True)
        assert resumed.manifest.training.command.endswith(f" --config {interrupted}/config.yaml")
        assert "--resume" not in resumed.manifest.training.command

    def test_history(self, tiny_run: Run) -> None:
        with open(tiny_run.path / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in rows] == ["2"]
        assert {"train/total", "train/dice", "train/retrieval", "val/dice", "val/retrieval/left"} <= set(
            rows[0]
        )

    def test_it_predicts(self, tiny_run: Run, index: DatasetIndex) -> None:
        prediction = Predictor(tiny_run.path).predict(index.split("val")[0].image)
        assert prediction.mask.shape == (64, 64)
        assert [word.factor for word in prediction.words] == ["laterality", "count", "left", "right"]

    def test_the_averaged_weights_are_selected(self, tiny_run: Run) -> None:
        checkpoint = torch.load(tiny_run.path / "checkpoint.ckpt", weights_only=True)["state_dict"]
        for name, value in load_file(tiny_run.weights_file).items():
            assert torch.equal(value, checkpoint[f"average.module.{name}"]), name

    def test_the_bank_is_that_of_the_vocabulary(self, tiny_run: Run) -> None:
        bank = TextBank.load(tiny_run.bank_file)
        assert dict(bank.phrases) == {f.name: f.phrases for f in tiny_run.vocabulary.factors}
        assert bank.encoder == "hash"

    def test_nothing_half_written_is_left(self, tiny_run: Run) -> None:
        assert list(tiny_run.path.rglob(".partial-*")) == []

    def test_a_finished_run_is_not_trained_on(self, phantom: Path, tiny_run: Run) -> None:
        before = tiny_run.weights_file.stat().st_mtime_ns
        assert train(phantom, tiny_run.path, resume=True).manifest == tiny_run.manifest
        assert tiny_run.weights_file.stat().st_mtime_ns == before


class TestRefusals:
    def test_an_output_folder_in_use(self, phantom: Path, tiny_run: Run, tmp_path: Path) -> None:
        with refuses("LEX-RUN-006", "empty. Add --resume"):
            train(phantom, tiny_run.path)
        (tmp_path / "notes.txt").write_text("mine")
        with refuses("LEX-RUN-006", "Choose another --out"):
            train(phantom, tmp_path)
        with refuses("LEX-RUN-006", "already exists"):
            train(phantom, tmp_path / "notes.txt")

    def test_an_empty_split(self, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
        data = tmp_path / "data"
        write_phantom(data, num_train=3, num_val=0, num_test=1, size=64)
        with refuses("LEX-DATA-118", "but training needs some"):
            train(data, tmp_path / "run", **tiny_options)
        assert not (tmp_path / "run").exists()

    def test_an_encoder_that_does_not_fit_leaves_nothing_behind(
        self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any]
    ) -> None:
        with refuses("LEX-USE-017", "'vit_tiny_patch16_224' has"):
            train(phantom, tmp_path / "run", **{**tiny_options, "encoder": "vit_tiny_patch16_224"})
        assert not (tmp_path / "run").exists()

    def test_too_little_memory(
        self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lexiseg.training.machine.resources.available_memory", lambda: 2**20)
        with refuses("LEX-USE-080", "--batch-size or --image-size"):
            train(phantom, tmp_path / "run", **tiny_options)
        assert not (tmp_path / "run").exists()

    def test_resuming_nothing(self, phantom: Path, tmp_path: Path) -> None:
        with refuses("LEX-RUN-001", "Expected a run folder at"):
            train(phantom, tmp_path / "nowhere", resume=True)
        with refuses("LEX-RUN-002", "has no run.json"):
            train(phantom, tmp_path, resume=True)

    def test_resuming_with_other_options(self, phantom: Path, interrupted: Path) -> None:
        with refuses("LEX-USE-068", "keeps its configuration,"):
            train(phantom, interrupted, resume=True, seed=1, width=32, batch_size=8)
        with refuses("LEX-USE-068", "seed was 0, now 1"):
            train(phantom, interrupted, resume=True, seed=1)
        with refuses("LEX-USE-068", "it would change: --config. Remove"):
            train(phantom, interrupted, resume=True, config_file=interrupted / "config.yaml")
        with refuses("LEX-USE-068", "it would change: widht. Remove"):
            train(phantom, interrupted, resume=True, widht=32)
        with refuses("LEX-USE-068", "preset was 'compact', now 'paper'"):
            train(phantom, interrupted, resume=True, preset="paper")
        with refuses("LEX-USE-069", "seed: "):
            train(phantom, interrupted, resume=True, seed="no")
        with refuses("LEX-USE-068", "fit was 'stretch', now 'tiles'"):
            train(phantom, interrupted, resume=True, fit="tiles")

    def test_resuming_with_the_options_of_the_start(
        self, interrupted: Path, tiny_options: dict[str, Any]
    ) -> None:
        stored = resumed_config(interrupted, {}, None)
        assert stored is not None
        settled = {"fit": "auto", "precision": "auto", "workers": 0}
        augment = stored.augment.model_dump()
        given = {**tiny_options, **settled, "augment": augment, "batch_size": float(stored.batch_size)}
        assert resumed_config(interrupted, given, None) == stored.model_copy(update={"workers": 0})
        with refuses("LEX-USE-068", "augment.gamma was 0.25, now 0.5"):
            resumed_config(interrupted, {"augment": {**augment, "gamma": 0.5}}, None)

    def test_resuming_on_other_data(self, phantom: Path, interrupted: Path, tmp_path: Path) -> None:
        fewer = tmp_path / "fewer"
        shutil.copytree(phantom, fewer)
        next((fewer / "Train_Folder" / "labelcol").iterdir()).unlink()
        next((fewer / "Train_Folder" / "img").iterdir()).unlink()
        other = tmp_path / "other"
        shutil.copytree(phantom, other)
        for kind, prefix in (("img", ""), ("labelcol", "mask_")):
            place = other / "Val_Folder" / kind
            first = sorted(place.iterdir())[0]
            first.rename(place / f"{prefix}renamed.png")
        with pytest.raises((RunError, DataError)):
            train(fewer, interrupted, resume=True)
        splits = json.loads((interrupted / "splits.json").read_text())
        splits["val"][0] = "renamed"
        (interrupted / "splits.json").write_text(json.dumps(splits))
        with refuses("LEX-RUN-015", "lacks 1 of the run's 5 images and holds 1 other image"):
            train(phantom, interrupted, resume=True)
        (interrupted / "splits.json").write_text("[]")
        with refuses("LEX-RUN-008", "splits.json is damaged"):
            train(phantom, interrupted, resume=True)
        (interrupted / "splits.json").unlink()
        with refuses("LEX-RUN-014", "resumed: its splits.json"):
            train(phantom, interrupted, resume=True)

    @pytest.mark.parametrize("kind", ["img", "labelcol"])
    def test_resuming_on_changed_files(
        self, phantom: Path, interrupted: Path, tmp_path: Path, kind: str
    ) -> None:
        data = tmp_path / "changed"
        shutil.copytree(phantom, data)
        place = data / "Train_Folder" / kind
        first = sorted(place.iterdir())[0]
        with Image.open(first) as picture:  # another content under the same name
            changed = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        changed.save(first)
        with refuses("LEX-RUN-1883", first.stem if kind == "img" else "masks", "start a new run"):
            train(data, interrupted, resume=True)


class TestOpening:
    def change(self, folder: Path, **changes: Any) -> None:
        file = folder / "run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    def test_a_newer_format_is_refused(self, interrupted: Path) -> None:
        self.change(interrupted, format_version=FORMAT_VERSION + 1, lexiseg_version="9.9", new_field=1)
        with refuses("LEX-RUN-004", "newer Lexiseg (9.9, format"):
            Run.open(interrupted)

    def test_the_configuration_of_a_run_of_0_1_0_holds_fields_of_all_systems(self, interrupted: Path) -> None:
        config = interrupted / CONFIG_FILE
        config.write_text(
            config.read_text() + "teach: both\ndistillation_weight: 0.2\nreference_compat: false\n"
        )
        with refuses("LEX-USE-500", "Delete these lines", "teach"):
            resumed_config(interrupted, {}, None)
        self.change(interrupted, format_version=1)
        assert resumed_config(interrupted, {}, None) is not None

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "{}", '{"format_version": "new"}', '{"format_version": 1}']
    )
    def test_a_damaged_manifest_is_refused(self, interrupted: Path, content: str) -> None:
        (interrupted / "run.json").write_text(content)
        with pytest.raises(RunError, match=r"run.json is damaged"):
            Run.open(interrupted)

    def test_unknown_fields_are_refused(self, interrupted: Path) -> None:
        self.change(interrupted, surprise=1)
        with refuses("LEX-RUN-005", "surprise"):
            Run.open(interrupted)

    def test_missing_weights_are_refused(self, interrupted: Path) -> None:
        (interrupted / "weights.safetensors").unlink()
        with refuses("LEX-WEIGHTS-016", "no weights at"):
            Predictor(interrupted)

    def test_a_missing_bank_is_refused(self, interrupted: Path) -> None:
        (interrupted / "bank.safetensors").unlink()
        with refuses("LEX-WEIGHTS-002", "no text bank at"):
            Predictor(interrupted)


def test_the_trained_weights_depend_on_the_seed_alone(
    phantom: Path, tiny_run: Run, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    again = train(phantom, tmp_path / "again", **tiny_options)
    first, second = load_file(tiny_run.weights_file), load_file(again.weights_file)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert yaml.safe_load((again.path / "config.yaml").read_text())["seed"] == 0
    other = train(phantom, tmp_path / "other", **tiny_options, seed=1)
    third = load_file(other.weights_file)
    assert not np.array_equal(first["decoder.head.weight"], third["decoder.head.weight"])
