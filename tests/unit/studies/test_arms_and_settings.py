"""Which trainings an audit makes, that they are alike but for their words, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from lexiseg.data import DatasetIndex, open_dataset
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.phantom import write_phantom
from lexiseg.errors import DataError, RunError, UsageError
from lexiseg.studies import settings as audit_settings
from lexiseg.studies import work
from lexiseg.studies.arms import arm_options, contrasts, plan_arms
from lexiseg.studies.settings import (
    arm_configs,
    check_arm,
    has_reports,
    keep_settings,
    limited,
    seen_by_all,
    shared_settings,
)
from lexiseg.training.balance import draw_weights
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.examples import TrainingExamples, Words
from lexiseg.training.pixels import DecodedSamples
from lexiseg.training.words import words_of
from lexiseg.words.vocabulary import load_vocabulary

# The package exports the function under the module's name.
audit_module = importlib.import_module("lexiseg.studies.audit")

ARMS = plan_arms(("stpnet",), ("none", "concepts"), 2)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    folder = tmp_path_factory.mktemp("audit") / "data"
    write_phantom(folder, num_train=8, num_val=3, num_test=3, size=64, seed=3)
    return open_dataset(folder)


@pytest.fixture(autouse=True)
def _no_text_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_settings, "load_text_encoder", lambda name: None)


def test_plan_goes_seed_by_seed() -> None:
    names = [arm.name for arm in plan_arms(("cotexnet", "stpnet"), ("reports", "none"), 2)]
    assert names == [
        "stpnet-none-s0", "stpnet-reports-s0", "cotexnet-none-s0", "cotexnet-reports-s0",
        "stpnet-none-s1", "stpnet-reports-s1", "cotexnet-none-s1", "cotexnet-reports-s1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("models", "texts", "seeds", "message"),
    [
        (("unet",), ("none", "reports"), 3, "--models to list some of stpnet, cotexnet"),
        (
            ("stpnet",),
            ("none", "poems"),
            3,
            "--arms to list some of none, pseudo_labels, shuffled, reports",
        ),
        (("stpnet",), ("none", "none"), 3, "each once; got 'none,none'"),
        (("stpnet",), ("shuffled", "reports"), 3, "--arms needs 'none' and reports, concepts"),
        (("stpnet",), ("none",), 3, "or both; got 'none'"),
        (("stpnet",), ("none", "shuffled"), 3, "compares arms with true words"),
        (("stpnet",), ("none", "reports"), 0, "at least 1; got 0"),
        ((), ("none", "reports"), 1, "--models to list some"),
    ],
)
def test_plans_that_compare_nothing_are_refused(
    models: tuple[str, ...], texts: tuple[str, ...], seeds: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_arms(models, texts, seeds)


def test_options_of_the_arms() -> None:
    assert arm_options("none", reports=True) == {"text": "none", "unmasked": "leave_out"}
    assert arm_options("concepts", reports=True) == {"text": "concepts", "unmasked": "leave_out"}
    assert arm_options("pseudo_labels", reports=True) == {"text": "none", "unmasked": "pseudo_labels"}
    assert arm_options("shuffled", reports=True) == {"text": "reports", "shuffle_words": True}
    assert arm_options("shuffled", reports=False) == {
        "text": "concepts",
        "unmasked": "leave_out",
        "shuffle_words": True,
    }


def test_contrasts() -> None:
    assert contrasts(("none", "shuffled", "reports", "concepts"), reports=True) == (
        ("shuffled", "none"), ("reports", "none"), ("concepts", "none"), ("reports", "shuffled"),
    )  # fmt: skip
    # Without a sheet the shuffled words are measured ones, so these are what they are held against.
    assert contrasts(("none", "shuffled", "concepts"), reports=False)[-1] == ("concepts", "shuffled")
    assert contrasts(("none", "concepts"), reports=True) == (("concepts", "none"),)
    assert contrasts(("none", "pseudo_labels", "reports"), reports=True) == (
        ("pseudo_labels", "none"), ("reports", "none"), ("reports", "pseudo_labels"),
    )  # fmt: skip


def test_pseudo_labels_need_images_without_mask(index: DatasetIndex) -> None:
    arms = plan_arms(("stpnet",), ("none", "pseudo_labels", "concepts"), 1)
    for share in (None, 1.0, 0.99):  # of 8 masks, 99 % are all
        with pytest.raises(UsageError, match=r"every training image has one\. Hide some with --masks"):
            arm_configs(arms, index, {"masks": share}, None)
    hidden = arm_configs(arms, index, {"masks": 0.5}, None)
    assert [(c.text, c.masks, c.unmasked) for c in hidden.values()] == [
        ("none", 0.5, "leave_out"), ("none", 0.5, "pseudo_labels"), ("concepts", 0.5, "leave_out"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="with `pseudo_weight: 0` teaches nothing"):
        arm_configs(arms, index, {"masks": 0.5, "pseudo_weight": 0.0}, None)
    first = index.split("train")[0]
    some = tuple(dataclasses.replace(s, mask=None) if s is first else s for s in index.samples)
    assert len(arm_configs(arms, dataclasses.replace(index, samples=some), {}, None)) == 3


def test_arms_share_everything_but_words_and_seed(index: DatasetIndex) -> None:
    configs = arm_configs(ARMS, index, {"epochs": 2, "image_size": 64}, None)
    dumps = [config.model_dump(exclude={"text", "seed"}) for config in configs.values()]
    assert all(dump == dumps[0] for dump in dumps)
    assert {(c.text, c.seed) for c in configs.values()} == {
        ("none", 0), ("none", 1), ("concepts", 0), ("concepts", 1),
    }  # fmt: skip
    # A probe of the precision could answer differently from arm to arm.
    assert dumps[0]["precision"] == "fp32"
    assert arm_configs(ARMS, index, {"precision": "bf16"}, None)[ARMS[0]].precision == "bf16"


@pytest.mark.parametrize("vocabulary", ["chest", "polyp"])
def test_order_of_images_and_random_changes_do_not_depend_on_the_words(
    index: DatasetIndex, vocabulary: str
) -> None:
    """The keys of sampler and changes are seed, position and sample; the same pixels come in every arm."""
    config = make_config({"image_size": 64, "source_weights": {}})
    samples = index.split("train")
    pixels = DecodedSamples(samples, index.coding, size=64)
    words, _ = words_of(index, "train", load_vocabulary(vocabulary), text="concepts", side="image")
    turned = Words(words.vocabulary, words.indices[::-1], source="reports", side="image")
    arms = [TrainingExamples(pixels, said, augment=config.augment, seed=5) for said in (None, words, turned)]
    for drawn in range(24):
        first, *others = [arm[drawn, drawn % len(samples)] for arm in arms]
        for other in others:
            assert np.array_equal(first["image"], other["image"])
            assert np.array_equal(first["labels"], other["labels"])
    for said in (None, words.indices):
        assert draw_weights(samples, said, source_weights={}, balance_words=config.balance_words) is None


def test_images_are_not_shifted_where_the_words_of_one_arm_could_not_follow(
    index: DatasetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_settings, "words_follow", lambda vocabulary: False)
    configs = arm_configs(ARMS, index, {}, None)
    assert {config.augment.affine for config in configs.values()} == {0.0}
    assert {config.augment.horizontal_flip for config in configs.values()} == {0.5}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"balance_words": 0.5}, "`balance_words: 0.5`: the arms would see other images"),
        ({"patience": 3}, "`patience: 3`: the arms would take different numbers of steps"),
        ({"preset": "paper"}, "`preset: paper`: its network has no form without text"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_unfair_fields_are_refused(index: DatasetIndex, tmp_path: Path, field: Any, message: str) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(yaml.safe_dump(field))
    with pytest.raises(UsageError, match=message):
        arm_configs(ARMS, index, {}, file)


def test_limit_takes_the_same_images_everywhere(index: DatasetIndex) -> None:
    some, fewer = limited(index, 5), limited(index, 3)
    kept = [{sample.id for sample in part.split("train")} for part in (index, some, fewer)]
    assert [len(ids) for ids in kept] == [8, 5, 3]
    assert kept[2] < kept[1] < kept[0]
    for split in ("val", "test"):
        assert some.split(split) == index.split(split)
    # The choice is by the ids, not by the order they come in.
    backwards = dataclasses.replace(index, samples=index.samples[::-1])
    assert {s.id for s in limited(backwards, 3).split("train")} == kept[2]
    assert limited(index, None) is index
    with pytest.raises(UsageError, match="--limit 9 is more than the 8 training images"):
        limited(index, 9)


def test_masks_that_every_arm_sees(index: DatasetIndex) -> None:
    def seen(limit: int | None, share: float, seeds: int) -> set[str]:
        found = seen_by_all(index.samples, limit=limit, share=share, seeds=seeds)
        assert {s.id for s in found if s.split != "train"} == {
            s.id for s in index.samples if s.split != "train"
        }
        return {s.id for s in found if s.split == "train"}

    by_seed = [
        {s.id for s in hide_masks(index.samples, share=0.5, seed=seed) if s.split == "train" and s.mask}
        for seed in range(2)
    ]
    assert by_seed[0] != by_seed[1]
    assert seen(None, 0.5, 1) == by_seed[0]
    assert seen(None, 0.5, 2) == by_seed[0] & by_seed[1]
    assert seen(3, 1.0, 2) == {s.id for s in limited(index, 3).split("train")}


@pytest.mark.parametrize("limit", [None, 6])
def test_an_audit_opens_no_mask_that_is_hidden_from_an_arm(
    index: DatasetIndex, tmp_path: Path, limit: int | None
) -> None:
    folder = Path(shutil.copytree(index.root, tmp_path / "data"))
    part = limited(index, limit)
    for sample in part.split("train"):
        hidden = [
            sample.id in {s.id for s in hide_masks(part.samples, share=0.5, seed=seed) if s.mask is None}
            for seed in range(2)
        ]
        if any(hidden):
            assert sample.mask is not None
            (folder / sample.mask.relative_to(index.root)).write_bytes(b"hidden")
    found = audit_module._open(folder, 2, limit, 0.5)
    assert [s.id for s in found.samples if s.mask is None] == []  # those of other seeds can still be found
    assert found.class_names == index.class_names
    with pytest.raises(DataError):
        audit_module._open(folder, 2, None, None)


def test_arms_are_evaluated_without_the_masks_that_are_hidden_from_them(
    index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[DatasetIndex] = []

    def evaluated(predictor: object, index: DatasetIndex, **options: object) -> SimpleNamespace:
        given.append(index)
        return SimpleNamespace(metrics={"dice": {"mean": 1.0}}, cases=())

    monkeypatch.setattr(work, "train", lambda *args, **options: None)
    monkeypatch.setattr(work, "Predictor", lambda run: None)
    monkeypatch.setattr(work, "evaluate_predictor", evaluated)
    lesson = work.Lesson(data=index.root, index=index, limit=False, split="test")
    for seed in range(2):
        config = make_config({"masks": 0.5, "seed": seed})
        work.train_and_evaluate(lesson, config, tmp_path / "arm", console=Console(quiet=True))
        assert given[-1].samples == hide_masks(index.samples, share=0.5, seed=seed)


def test_hidden_masks_are_not_scored_against(index: DatasetIndex, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--split train would score the arms against the very masks"):
        audit_module.audit(index.root, tmp_path / "out", masks=0.5, split="train")
    assert not (tmp_path / "out").exists()


def test_reports_are_needed_for_every_image(index: DatasetIndex) -> None:
    assert has_reports(index)
    first = index.split("train")[0]
    without = tuple(dataclasses.replace(s, report=None) if s is first else s for s in index.samples)
    assert not has_reports(dataclasses.replace(index, samples=without))


def settings_of(index: DatasetIndex, limit: int | None = None, **options: Any) -> dict[str, Any]:
    part = limited(index, limit)
    return shared_settings(part, arm_configs(ARMS, part, options, None), limit)


def test_an_audit_goes_on_with_the_same_settings_only(index: DatasetIndex, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    keep_settings(folder, settings_of(index, epochs=2))
    keep_settings(folder, settings_of(index, epochs=2, workers=3, cache=False))
    with pytest.raises(RunError, match=r"other settings: training\.epochs was 2, now 3\. All its arms"):
        keep_settings(folder, settings_of(index, epochs=3))
    with pytest.raises(RunError, match=r"limit was None, now 5"):
        keep_settings(folder, settings_of(index, limit=5, epochs=2))
    (folder / "settings.json").write_text("[]")
    with pytest.raises(RunError, match="is damaged"):
        keep_settings(folder, settings_of(index, epochs=2))


def test_a_folder_that_holds_something_else_is_refused(index: DatasetIndex, tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(RunError, match="exists and holds no audit"):
        keep_settings(tmp_path, settings_of(index))


def test_an_arm_with_other_settings_is_refused(tmp_path: Path) -> None:
    trained = make_config({"text": "none", "epochs": 2, "precision": "fp32", "workers": 1, "cache": True})
    (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(trained.model_dump(mode="json")))
    check_arm(tmp_path, trained.model_copy(update={"workers": None, "cache": None}))
    with pytest.raises(RunError, match=r"other settings than this audit's: seed was 0, now 1"):
        check_arm(tmp_path, trained.model_copy(update={"seed": 1}))
