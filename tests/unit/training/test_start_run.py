"""A training that starts from the weights of a finished run: what it takes, and what it refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import nn

from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.evaluation.checks import check_unseen
from lexiseg.json_records import write_record
from lexiseg.models import encoder_weights
from lexiseg.models.spec import NetworkSpec
from lexiseg.models.text_bank import TextBank
from lexiseg.runs.image_hashes import ImageHashesRecord, image_hashes, read_image_hashes
from lexiseg.runs.manifest import MasksRecord
from lexiseg.runs.run import Run
from lexiseg.runs.splits import SplitsRecord, WithMaskRecord, write_splits_record, write_with_mask
from lexiseg.studies.audit import audit
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import get
from lexiseg.training import start_run
from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import ALONE
from lexiseg.training.loop import Training
from lexiseg.training.preparation import PreparedTraining, prepare_training
from lexiseg.training.start_run import load_start
from lexiseg.training.steps.callbacks import CHECKPOINT
from lexiseg.training.train import train, train_on
from refusals import refuses

QUIET = Console(quiet=True)


@pytest.fixture
def second(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that may be changed."""
    return Run.open(shutil.copytree(tiny_run.path, tmp_path / "second"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other images, of another name."""
    folder = tmp_path_factory.mktemp("others") / "others"
    write_phantom(folder, num_train=8, num_val=4, num_test=2, size=64, seed=5)
    return folder


def started(run: Run, **fields: Any) -> TrainConfig:
    short = {
        "epochs": 1,
        "batch_size": 8,
        "precision": "fp32",
        "accelerator": "cpu",
        "encoder_weights": "none",
    }
    return make_config({"start_from": str(run.path), **short, **fields})


def prepared(index: DatasetIndex, config: TrainConfig) -> PreparedTraining:
    return prepare_training(index, config, QUIET, ranks=ALONE)


def first_weights(index: DatasetIndex, config: TrainConfig, out: Path) -> dict[str, torch.Tensor]:
    module = Training(prepared(index, config), out=out, resume=False, console=QUIET).module()
    return dict(module.network.state_dict())


class TestConfiguration:
    def test_what_makes_the_network_is_taken_from_the_run(self, tiny_run: Run) -> None:
        config = started(tiny_run)
        assert (config.model, config.preset, config.image_size) == ("stpnet", "compact", 64)
        assert (config.encoder, config.width) == ("lcnet_050", 16)  # type: ignore[attr-defined]
        assert config.start_from == str(tiny_run.path)

    def test_pictures_may_differ_and_the_network_may_not(self, tiny_run: Run, index: DatasetIndex) -> None:
        assert started(tiny_run, image_size=96).image_size == 96
        for name, value in (("width", 32), ("encoder", "lcnet_075"), ("model", "cotexnet")):
            with refuses("LEX-USE-1962", f"has {name}", f"says {value}"):
                prepared(index, started(tiny_run, **{name: value}))

    def test_a_run_that_is_not_there(self) -> None:
        with refuses("LEX-RUN-001", "run folder at runs/none"):
            make_config({"start_from": "runs/none"})

    def test_a_stored_configuration_needs_no_run(
        self, second: Run, index: DatasetIndex, tmp_path: Path
    ) -> None:
        run = train_on(index, started(second), tmp_path / "run")
        shutil.rmtree(second.path)
        config = make_config({}, run.path / "config.yaml")
        assert config.start_from == str(second.path)

    @pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
    def test_a_stored_configuration_without_encoder_and_width_needs_no_run(self, model: str) -> None:
        stored = get(model, "paper").configuration.model_validate({"start_from": "/gone/run"}).model_dump()
        assert make_config(stored).start_from == "/gone/run"

    @pytest.mark.parametrize("complete", [False, True])
    def test_the_encoder_starts_with_no_other_weights(
        self, tiny_run: Run, index: DatasetIndex, complete: bool
    ) -> None:
        given = {"start_from": str(tiny_run.path)}
        if complete:
            names = ("model", "preset", "encoder", "width", "image_size", "fit")
            given |= {name: getattr(started(tiny_run), name) for name in names}
        assert make_config(given).encoder_weights == "none"  # type: ignore[attr-defined]
        for other in ("imagenet", "start.safetensors"):
            with refuses("LEX-USE-2070", "start_from", f"encoder_weights: {other}"):
                prepared(index, make_config({**given, "encoder_weights": other}))

    def test_a_model_that_comes_with_lexiseg(self) -> None:
        config = make_config({"start_from": "covid-xray"})
        assert (config.start_from, config.image_size) == ("covid-xray", 224)

    def test_an_audit_refuses_it(self, tiny_run: Run, index: DatasetIndex, tmp_path: Path) -> None:
        file = tmp_path / "audit.yaml"
        file.write_text(f"start_from: {tiny_run.path}\nencoder_weights: none\n")
        with refuses("LEX-USE-102", "start_from"):
            audit(index.root, tmp_path / "audit", models=["stpnet"], config_file=file)


class TestWeights:
    def test_weights_of_the_preset_are_not_looked_for(
        self, tiny_run: Run, index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            encoder_weights, "encoder_state_dict", lambda *_, **__: pytest.fail("weights were looked for")
        )
        # As `config.yaml` of a run of an earlier version says.
        config = started(tiny_run).model_copy(update={"encoder_weights": "imagenet"})
        found = dataclasses.replace(prepared(index, started(tiny_run)), config=config)
        Training(found, out=tmp_path / "run", resume=False, console=QUIET).module()

    def test_all_are_taken_where_words_and_classes_are_the_same(
        self, tiny_run: Run, index: DatasetIndex, tmp_path: Path
    ) -> None:
        console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
        found = prepared(index, started(tiny_run))
        module = Training(found, out=tmp_path / "run", resume=False, console=console).module()
        wanted = load_file(tiny_run.weights_file)
        own = module.network.state_dict()
        assert own.keys() == wanted.keys()
        assert all(torch.equal(own[name], value) for name, value in wanted.items())
        assert f"all {len(wanted)} tensors" in console.export_text()

    def test_other_phrases_and_classes_start_anew(
        self, second: Run, index: DatasetIndex, tmp_path: Path
    ) -> None:
        three = dataclasses.replace(index, class_names=("background", "lesion", "scar"))
        bank = TextBank.load(second.bank_file)
        moved = {name: value + 1 for name, value in bank.embeddings.items()}
        dataclasses.replace(bank, embeddings=moved).save(second.bank_file)
        own = first_weights(three, started(second), tmp_path / "run")
        theirs = load_file(second.weights_file)
        same = {name for name, value in theirs.items() if torch.equal(own[name], value)}
        assert theirs.keys() - same - {"retrieval.text", "retrieval.bias"} == {
            "decoder.head.weight",
            "decoder.head.bias",
        }
        assert own["decoder.head.weight"].shape[0] == 3

    def test_another_number_of_factors_starts_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The published STPNet has a module per factor, so the names of its tensors differ too."""

        def network(factors: int, *, value: float) -> nn.Module:
            parts = nn.ModuleDict(
                {"body": nn.Linear(2, 2), "heads": nn.ModuleList([nn.Linear(2, 3)] * factors)}
            )
            for parameter in parts.parameters():
                nn.init.constant_(parameter, value)
            return parts

        spec = NetworkSpec(model="stpnet", preset="paper")
        monkeypatch.setattr(start_run, "_same_bank", lambda *_: False)
        monkeypatch.setattr(start_run, "_same_classes", lambda *_: True)
        for mine, theirs in ((3, 2), (2, 3)):
            state = network(theirs, value=1).state_dict()
            monkeypatch.setattr(start_run, "read_weights", lambda _, state=state: state)
            own = network(mine, value=0)
            run: Any = SimpleNamespace(manifest=None, weights_file=None)
            manifest: Any = SimpleNamespace(network=spec)
            found = load_start(own, run, manifest, None)
            assert found.taken == 2
            assert len(found.anew) == 2 * mine
            assert {name for name, value in own.state_dict().items() if value.all()} == {
                "body.weight",
                "body.bias",
            }

    def test_a_network_with_words_and_one_without_differ(self, tiny_run: Run, index: DatasetIndex) -> None:
        with refuses("LEX-USE-1964", "names words", "has none"):
            prepared(index, started(tiny_run, text="none"))

    def test_damaged_weights_are_refused(self, second: Run, index: DatasetIndex, tmp_path: Path) -> None:
        state = load_file(second.weights_file)
        del state["decoder.head.bias"]
        save_file(state, second.weights_file)
        with refuses("LEX-WEIGHTS-1965", "1 tensor", "decoder.head.bias"):
            first_weights(index, started(second), tmp_path / "run")

    def test_a_training_of_no_learning_keeps_them(
        self, tiny_run: Run, index: DatasetIndex, tmp_path: Path
    ) -> None:
        """The averaged weights start from the run too, not from those of the preset."""
        run = train_on(index, started(tiny_run, learning_rate=1e-12, weight_decay=0), tmp_path / "run")
        before, after = load_file(tiny_run.weights_file), load_file(run.weights_file)
        learned = [n for n in before if "running_" not in n and "num_batches" not in n]
        assert all(torch.allclose(before[n], after[n], atol=1e-6) for n in learned)


class TestRecord:
    def test_a_run_states_its_start_and_knows_the_images_of_it(
        self, tiny_run: Run, others: Path, index: DatasetIndex, tmp_path: Path
    ) -> None:
        run = train_on(open_dataset(others), started(tiny_run), tmp_path / "run")
        start = run.manifest.training.start
        assert start is not None
        assert (start.name, start.data, start.images_known) == (tiny_run.path.name, index.name, True)
        assert start.weights_sha256 == hashlib.sha256(tiny_run.weights_file.read_bytes()).hexdigest()
        hashes, earlier = read_image_hashes(run.path), read_image_hashes(tiny_run.path)
        assert hashes is not None
        assert earlier is not None
        assert set(hashes.train) > set(earlier.train)
        assert (
            f"Started from the weights of {tiny_run.path.name}, trained on phantom"
            in (run.path / "model_card.md").read_text()
        )

    def test_images_of_the_start_are_no_test_images_of_the_run(
        self, tiny_run: Run, others: Path, index: DatasetIndex, tmp_path: Path
    ) -> None:
        """They are images of the first run's training, in a data set of a third name."""
        run = train_on(open_dataset(others), started(tiny_run), tmp_path / "run")
        learned = dataclasses.replace(index.split("train")[0], split="test")
        third = dataclasses.replace(index, name="third", samples=(learned,))
        with refuses("LEX-DATA-1801", learned.id):
            check_unseen(third, run, "test")

    def test_a_start_without_hashes_is_not_known(self, second: Run, others: Path, tmp_path: Path) -> None:
        (second.path / "image_hashes.json").unlink()
        console = Console(record=True, width=400, file=open("/dev/null", "w"))  # noqa: SIM115
        run = train_on(open_dataset(others), started(second), tmp_path / "run", console=console)
        assert "so the files are not compared either" in console.export_text()
        start = run.manifest.training.start
        assert start is not None
        assert not start.images_known
        # Nothing can teach whose images are not known.
        with refuses("LEX-USE-1581", "learned from earlier runs", "without `start_from`"):
            train(others, tmp_path / "taught", steps=1, teachers=[run.path])


class TestRefusals:
    @pytest.mark.parametrize("split", ["val", "test"])
    def test_a_run_that_has_learned_scored_images(self, second: Run, index: DatasetIndex, split: Any) -> None:
        ids = tuple(sample.id for sample in index.split(split))
        write_splits_record(second.path, SplitsRecord(train=ids[:1]))
        with refuses("LEX-DATA-139", f"The {split} split"):
            prepared(index, started(second))

    def test_a_run_that_has_learned_the_same_files(self, second: Run, index: DatasetIndex) -> None:
        content = hashlib.sha256(index.split("test")[0].image.read_bytes()).hexdigest()
        write_record(second.path / "image_hashes.json", ImageHashesRecord(train=(content,)))
        with refuses("LEX-DATA-1654", "start_from", "test split"):
            prepared(dataclasses.replace(index, name="another"), started(second))

    def test_an_unfinished_run(self, second: Run, index: DatasetIndex) -> None:
        training = second.manifest.training.model_copy(update={"finished": False})
        second.updated(training=training)
        with refuses("LEX-RUN-1563", "start_from", "not finished"):
            prepared(index, started(second))

    def test_images_without_mask(self, tiny_run: Run, index: DatasetIndex) -> None:
        first, *rest = index.samples
        few = dataclasses.replace(index, samples=(dataclasses.replace(first, mask=None), *rest))
        with refuses("LEX-USE-1963", "--unmasked leave_out"):
            prepared(few, started(tiny_run, unmasked="words"))

    def test_masks_that_are_left_out(self, tiny_run: Run, index: DatasetIndex) -> None:
        first, *rest = index.samples
        few = dataclasses.replace(index, samples=(dataclasses.replace(first, mask=None), *rest))
        with refuses("LEX-USE-1580", "start_from", first.id):
            prepared(few, started(tiny_run, unmasked="leave_out"))

    def test_a_run_that_had_no_mask_either_reveals_none(self, second: Run, index: DatasetIndex) -> None:
        first, *rest = index.samples
        few = dataclasses.replace(index, samples=(dataclasses.replace(first, mask=None), *rest))
        had = tuple(sample.id for sample in rest if sample.split == "train")
        masks = MasksRecord(share=None, with_mask=len(had), without_mask=1, left_out=0, unmasked="words")
        second.updated(data=second.manifest.data.model_copy(update={"masks": masks}))
        write_with_mask(second.path, WithMaskRecord(with_mask=had))
        prepared(few, started(second, unmasked="leave_out"))
        write_with_mask(second.path, WithMaskRecord(with_mask=(first.id, *had)))
        with refuses("LEX-USE-1580", "start_from", first.id):
            prepared(few, started(second, unmasked="leave_out"))


class TestResume:
    def test_a_training_that_begins_again_needs_the_same_start(
        self, second: Run, index: DatasetIndex, tmp_path: Path
    ) -> None:
        config = started(second)
        run = train_on(index, config, tmp_path / "run")
        run.updated(training=run.manifest.training.model_copy(update={"finished": False}))
        (run.path / CHECKPOINT).unlink()
        # A run of an earlier version names the weights of the preset, and goes on.
        named = config.model_copy(update={"encoder_weights": "imagenet"})
        resumed = prepare_training(index, named, QUIET, ranks=ALONE, resumed=Run.open(run.path))
        assert resumed.start is not None
        with open(second.weights_file, "r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x00")
        with refuses("LEX-RUN-1966", "other weights"):
            prepare_training(index, config, QUIET, ranks=ALONE, resumed=Run.open(run.path))

    def test_a_saved_state_needs_no_start(self, second: Run, index: DatasetIndex, tmp_path: Path) -> None:
        config = started(second)
        run = train_on(index, config, tmp_path / "run")
        run.updated(training=run.manifest.training.model_copy(update={"finished": False}))
        shutil.rmtree(second.path)
        resumed = prepare_training(index, config, QUIET, ranks=ALONE, resumed=Run.open(run.path))
        assert resumed.start is None
        assert image_hashes(index) == read_image_hashes(run.path)
