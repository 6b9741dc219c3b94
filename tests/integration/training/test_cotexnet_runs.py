"""CoTexNet from a data folder to a run folder: every pair of model and text source, both presets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.evaluation import evaluate
from lexiseg.inference.predictor import Predictor
from lexiseg.models.plain_network import PlainNetwork
from lexiseg.runs.run import Run
from lexiseg.systems.cotexnet.paper_network import CoTexNetStudent
from lexiseg.training.config import make_config
from lexiseg.training.distributed.ranks import ALONE
from lexiseg.training.loop import Training
from lexiseg.training.plan import plan_run
from lexiseg.training.preparation import PreparedTraining, prepare_training
from lexiseg.training.train import train
from lexiseg.training.unmasked_images import take_part
from refusals import refuses
from tiny_clipseg import write_clipseg

QUIET = Console(quiet=True)


def of_paper(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return options without those that the paper preset does not have."""
    return {name: value for name, value in {**options, **more}.items() if name not in ("encoder", "width")}


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "two"
    write_phantom(folder, num_train=8, num_val=3, num_test=2, size=64, seed=1, classes=2)
    return folder


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clipseg(tmp_path_factory.mktemp("clipseg"))


@pytest.fixture(scope="module")
def taught(phantom: Path, tiny_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(phantom, tmp_path_factory.mktemp("run") / "taught", model="cotexnet", **tiny_options)


@pytest.fixture(scope="module")
def published(
    phantom: Path, clipseg: Path, tiny_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    options = of_paper(tiny_options, encoder_weights=str(clipseg), precision="bf16")
    out = tmp_path_factory.mktemp("run") / "published"
    return train(phantom, out, model="cotexnet", preset="paper", **options)


def history(run: Run) -> list[dict[str, str]]:
    with open(run.path / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
@pytest.mark.parametrize("text", ["reports", "concepts"])
def test_every_model_takes_every_text(
    phantom: Path, index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], model: str, text: str
) -> None:
    run = train(phantom, tmp_path / "run", model=model, text=text, **tiny_options)
    assert (run.manifest.network.model, run.manifest.text) == (model, text)
    prediction = Predictor(run.path).predict(index.split("val")[0].image)
    assert [word.factor for word in prediction.words] == ["laterality", "count", "left", "right"]
    assert prediction.agreement is not None
    assert ("val/gap" in history(run)[0]) == (model == "cotexnet")
    assert f": {model}, compact" in (run.path / "model_card.md").read_text()


def test_weights_for_prediction_have_no_text_supervisor_but_the_checkpoint_has(taught: Run) -> None:
    kept = load_file(taught.weights_file)
    assert not [name for name in kept if "pseudo_word" in name or "noise" in name or "centre" in name]
    stored = torch.load(taught.path / "checkpoint.ckpt", weights_only=True)["state_dict"]
    for place in ("teacher.", "average_teacher.module."):
        assert {f"{place}noise", f"{place}centre", f"{place}pseudo_word.0.weight"} <= stored.keys()
    for name, value in kept.items():
        assert torch.equal(value, stored[f"average.module.{name}"]), name


def test_the_distillation_is_logged_and_drawn(taught: Run, phantom: Path, tmp_path: Path) -> None:
    (row,) = history(taught)
    assert float(row["train/distillation"]) > 0
    assert 0 < float(row["val/gap"]) < 2
    evaluate(taught, phantom, split="test", out=tmp_path)
    report = (tmp_path / "report.html").read_text()
    assert "the gap between image and text embeddings" in report
    assert "Distillation loss in training" in report


def test_the_same_seed_gives_the_same_weights(
    taught: Run, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    again = train(phantom, tmp_path / "again", model="cotexnet", **tiny_options)
    first, second = load_file(taught.weights_file), load_file(again.weights_file)
    assert all(torch.equal(first[name], second[name]) for name in first)


def module_of(index: DatasetIndex, out: Path, **options: Any) -> Any:
    config = make_config({"model": "cotexnet", **options})
    use = take_part(index, config)
    plan = plan_run(use, config, QUIET)
    return Training(
        PreparedTraining(use=use, plan=plan, config=config), out=out, resume=False, console=QUIET
    ).module()


@pytest.mark.parametrize(
    ("teach", "reads", "sees", "only_read"),
    [
        ("both", True, True, False),
        ("sentence", True, False, False),
        ("pseudo_word", False, True, True),
    ],
)
def test_what_teaches_is_a_choice(
    index: DatasetIndex,
    tmp_path: Path,
    tiny_options: dict[str, Any],
    teach: str,
    reads: bool,
    sees: bool,
    only_read: bool,
) -> None:
    module = module_of(index, tmp_path, teach=teach, **tiny_options)
    assert (module.text_supervisor.reads_sentence, module.text_supervisor.pseudo_word is not None) == (
        reads,
        sees,
    )
    assert module.network.words_only_read is only_read
    assert module.average.module.words_only_read is only_read
    optimised = {id(p) for group in module.configure_optimizers().param_groups for p in group["params"]}
    assert optimised == {id(p) for p in [*module.network.parameters(), *module.text_supervisor.parameters()]}


def test_nothing_teaches(index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
    module = module_of(index, tmp_path, teach="none", **tiny_options)
    assert (module.text_supervisor, module.text_inputs, module.network.words_only_read) == (None, None, True)
    assert module.network.embedding is not None
    wordless = module_of(index, tmp_path, text="none", **tiny_options)
    assert (wordless.text_supervisor, type(wordless.network)) == (None, PlainNetwork)


def test_several_classes_have_a_region_each(
    two_kinds: Path, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    run = train(two_kinds, tmp_path / "run", model="cotexnet", **tiny_options)
    stored = torch.load(run.path / "checkpoint.ckpt", weights_only=True)["state_dict"]
    assert stored["teacher.pseudo_word.0.weight"].shape[1] == 2 * (16 + 1)
    image = next((two_kinds / "images").rglob("*.png"))
    assert Predictor(run).predict(image).probability.shape[0] == 2


class TestPublished:
    def test_the_run(self, published: Run, clipseg: Path) -> None:
        network = published.manifest.network
        assert (network.model, network.preset, network.encoder) == ("cotexnet", "paper", str(clipseg))
        assert network.clipseg is not None
        assert network.clipseg["extract_layers"] == [0, 1, 2]
        assert not published.bank_file.exists()
        assert published.vocabulary is not None
        assert published.spoken_vocabulary is None
        row = history(published)[-1]
        assert {"train/distillation", "train/dice", "val/gap"} <= row.keys()
        assert "predictions name no words" in (published.path / "model_card.md").read_text()

    def test_it_predicts_without_its_text_side(
        self, published: Run, index: DatasetIndex, phantom: Path, tmp_path: Path
    ) -> None:
        assert not [name for name in load_file(published.weights_file) if name.startswith(("text", "pseudo"))]
        predictor = Predictor(published)
        assert type(predictor.engine.network) is CoTexNetStudent
        prediction = predictor.predict(index.split("val")[0].image)
        assert prediction.mask.shape == (64, 64)
        assert (prediction.words, prediction.agreement, prediction.flagged) == ((), None, False)
        evaluate(published, phantom, split="test", out=tmp_path)
        assert "it retrieves no words" in (tmp_path / "report.html").read_text()

    def test_frozen_parts_are_frozen_and_stored_once(self, published: Run, clipseg: Path) -> None:
        stored = torch.load(published.path / "checkpoint.ckpt", weights_only=True)
        start = load_file(clipseg / "model.safetensors")
        tower = [name for name in stored["state_dict"] if "vision_model.embeddings.class_embedding" in name]
        assert tower == ["network.vision_model.embeddings.class_embedding"]
        for name in start:
            if name.startswith(("clip.vision_model.", "clip.text_model.", "clip.text_projection.")):
                ours = f"network.{name.removeprefix('clip.')}"
                assert torch.equal(stored["state_dict"][ours], start[name]), name
        decoder = "decoder.film_mul.weight"
        assert not torch.equal(stored["state_dict"][f"network.{decoder}"], start[decoder])

    def test_optimiser_and_losses_are_the_published(
        self, index: DatasetIndex, clipseg: Path, tmp_path: Path
    ) -> None:
        module = module_of(
            index,
            tmp_path,
            preset="paper",
            encoder_weights=str(clipseg),
            image_size=64,
            reference_compat=True,
        )
        optimiser = module.configure_optimizers()
        assert type(optimiser) is torch.optim.AdamW
        (group,) = optimiser.param_groups
        assert (group["lr"], group["weight_decay"]) == (3e-4, 1e-4)
        learning = {id(p) for p in group["params"]}
        names = {n.split(".")[0] for n, p in module.network.named_parameters() if id(p) in learning}
        assert names == {
            "pseudo_word", "image_projection", "noise_share", "condition_scale", "condition_shift", "decoder",
        }  # fmt: skip
        assert module.objective.reference_compat is True
        assert module.average is None
        assert (module.config.batch_size, module.config.patience) == (16, 50)

    def test_several_classes_and_sizes_between_patches(
        self, two_kinds: Path, clipseg: Path, tmp_path: Path, tiny_options: dict[str, Any]
    ) -> None:
        options = of_paper(tiny_options, encoder_weights=str(clipseg), image_size=72)
        run = train(two_kinds, tmp_path / "run", model="cotexnet", preset="paper", **options)
        image = next((two_kinds / "images").rglob("*.png"))
        assert Predictor(run).predict(image).probability.shape == (2, 64, 64)

    def test_a_training_that_starts_from_a_run_has_the_text_side_of_the_clipseg(
        self, index: DatasetIndex, published: Run, clipseg: Path, tmp_path: Path
    ) -> None:
        """A run holds only what predicts."""
        # Another seed than that of the small CLIPSeg, whose weights are random.
        config = make_config({"start_from": published.path, "encoder_weights": clipseg, "seed": 7})
        prepared = prepare_training(index, config, QUIET, ranks=ALONE)
        module = Training(prepared, out=tmp_path / "run", resume=False, console=QUIET).module()
        start, own = load_file(clipseg / "model.safetensors"), module.network.state_dict()
        text = [name for name in start if name.startswith("clip.text_model.")]
        assert text
        assert all(torch.equal(own[name.removeprefix("clip.")], start[name]) for name in text)
        theirs = load_file(published.weights_file)
        assert all(torch.equal(own[name], value) for name, value in theirs.items())

    @pytest.mark.parametrize("start", ["imagenet", "none"])
    def test_a_start_that_is_no_clipseg_is_refused(
        self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any], start: str
    ) -> None:
        options = of_paper(tiny_options, encoder_weights=start)
        with pytest.raises(UsageError, match=f"frozen, so it cannot start from '{start}'"):
            train(phantom, tmp_path / "run", model="cotexnet", preset="paper", **options)
        assert not (tmp_path / "run").exists()

    def test_without_text_it_is_refused(
        self, phantom: Path, clipseg: Path, tmp_path: Path, tiny_options: dict[str, Any]
    ) -> None:
        options = of_paper(tiny_options, encoder_weights=str(clipseg), text="none")
        with refuses("LEX-USE-019", "preset of CoTexNet"):
            train(phantom, tmp_path / "run", model="cotexnet", preset="paper", **options)

    def test_a_hub_that_cannot_be_reached_says_what_to_do(
        self, phantom: Path, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lexiseg.hub.hub_is_reachable", lambda: False)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        options = of_paper(tiny_options, encoder_weights="nobody/no-such-clipseg")
        with refuses("LEX-WEIGHTS-027", "of 'nobody/no-such-clipseg'"):
            train(phantom, tmp_path / "run", model="cotexnet", preset="paper", **options)
        assert not (tmp_path / "run").exists()
