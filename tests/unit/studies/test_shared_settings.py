"""Trainings of an audit are alike but for their words; what is refused."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lexiseg.data import DatasetIndex, splits
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.errors import DataError, DiskError, UsageError
from lexiseg.studies import settled_trials
from lexiseg.studies.arms import AuditArm, known_arms, plan_arms
from lexiseg.studies.audit_file import SharedSettings
from lexiseg.studies.shared_settings import audit_trials, keep_settings, shared_settings
from lexiseg.studies.study_data import has_reports, limited, open_study_data, seen_by_all
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import make_config
from lexiseg.training.inputs.examples import TrainingExamples, Words
from lexiseg.training.inputs.sample_cache import DecodedSamples
from lexiseg.training.inputs.sampling_weights import draw_weights
from lexiseg.training.text_source import WordSource
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

pytestmark = pytest.mark.usefixtures("no_text_model")

# The package exports the function under the module's name.
audit_module = importlib.import_module("lexiseg.studies.audit")


KNOWN = known_arms(reports=True)


ARMS = plan_arms(("stpnet",), ("none", "concepts"), 2, KNOWN)


def planned(
    index: DatasetIndex, options: dict[str, Any], file: Path | None = None, arms: Sequence[AuditArm] = ARMS
) -> list[TrainConfig]:
    return [trial.config for trial in audit_trials(arms, index, options, file)]


def test_arms_share_everything_but_words_and_seed(index: DatasetIndex) -> None:
    configs = planned(index, {"epochs": 2, "image_size": 64})
    dumps = [config.model_dump(exclude={"text", "seed"}) for config in configs]
    assert all(dump == dumps[0] for dump in dumps)
    assert {(c.text, c.seed) for c in configs} == {
        ("none", 0), ("none", 1), ("concepts", 0), ("concepts", 1),
    }  # fmt: skip
    # A probe of the precision could answer differently from arm to arm.
    assert dumps[0]["precision"] == "fp32"
    assert planned(index, {"precision": "bf16"})[0].precision == "bf16"


@pytest.mark.parametrize("vocabulary", ["chest", "polyp"])
def test_order_of_images_and_random_changes_do_not_depend_on_the_words(
    index: DatasetIndex, vocabulary: str
) -> None:
    """The keys of sampler and changes are seed, position and sample; the same pixels come in every arm."""
    config = make_config({"image_size": 64, "source_weights": {}})
    samples = index.split("train")
    pixels = DecodedSamples(samples, index.coding, size=64)
    words, _ = WordSource("concepts").words(index, "train", load_vocabulary(vocabulary), side="image")
    turned = Words(words.vocabulary, words.indices[::-1], source="reports", side="image")
    arms = [TrainingExamples(pixels, said, augment=config.augment, seed=5) for said in (None, words, turned)]
    for drawn in range(24):
        first, *others = [arm[drawn, drawn % len(samples)] for arm in arms]
        for other in others:
            assert np.array_equal(first.image, other.image)
            assert np.array_equal(first.labels, other.labels)
    for said in (None, words.indices):
        assert draw_weights(samples, said, source_weights={}, balance_words=config.balance_words) is None


def few_arms(*names: str) -> tuple[AuditArm, ...]:
    return plan_arms(("stpnet",), names, 2, KNOWN)


@pytest.mark.parametrize(
    ("names", "options", "selection"),
    [
        # Left to choose, "none" and "concepts" would keep the best weights, "reports" those of the last step.
        (("none", "reports", "concepts"), {"masks": 0.5}, "last"),
        (("none", "pseudo_labels", "concepts"), {"masks": 0.5}, "last"),
        (("none", "shuffled", "concepts"), {"masks": 0.5}, "last"),
        (("none", "reports", "concepts"), {"masks": 0.5, "selection": "best"}, "best"),
        # Here all arms choose the best weights by themselves.
        (("none", "concepts"), {"masks": 0.5}, None),
        (("none", "reports", "concepts"), {}, None),
    ],
)
def test_all_arms_select_their_weights_by_one_rule(
    index: DatasetIndex, names: tuple[str, ...], options: dict[str, Any], selection: str | None
) -> None:
    configs = planned(index, options, arms=few_arms(*names))
    assert {config.selection for config in configs} == {selection}


def test_images_are_not_shifted_where_the_words_of_one_arm_could_not_follow(
    index: DatasetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled_trials, "words_follow", lambda vocabulary: False)
    configs = planned(index, {})
    assert {config.augment.affine for config in configs} == {0.0}
    assert {config.augment.horizontal_flip for config in configs} == {0.5}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"balance_words": 0.5}, "`balance_words: 0.5`: the arms would see other images"),
        ({"patience": 3}, "`patience: 3`: the arms would take different numbers of steps"),
        ({"teachers": ["covid-xray"]}, "`teachers: covid-xray`: an arm without words would learn"),
        ({"preset": "paper"}, "`preset: paper`: its network cannot be trained without text"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_unfair_fields_are_refused(index: DatasetIndex, tmp_path: Path, field: Any, message: str) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(yaml.safe_dump(field))
    with pytest.raises(UsageError, match=message):
        planned(index, {}, file)


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
    with refuses("LEX-USE-101", "8 training images"):
        limited(index, 9)


def test_masks_that_every_arm_sees(index: DatasetIndex) -> None:
    def seen(limit: int | None, share: float, seeds: int) -> set[str]:
        found = seen_by_all(index.samples, limit=limit, share=share, seeds=range(seeds))
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
    found = open_study_data(folder, seeds=range(2), limit=limit, share=0.5)
    assert [s.id for s in found.samples if s.mask is None] == []  # those of other seeds can still be found
    assert found.class_names == index.class_names
    with pytest.raises(DataError):
        open_study_data(folder, seeds=range(2))


def test_a_data_set_that_every_seed_splits_differently_is_refused(
    index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for sample in index.samples:
        assert sample.mask is not None
        for kind, file in (("images", sample.image), ("masks", sample.mask)):
            shutil.copy(file, tmp_path / "data" / kind / f"{sample.id}{file.suffix}")

    def refused(path: Path, value: object, *, private: bool) -> None:
        raise DiskError(f"No permission to write {path}.")

    monkeypatch.setattr(splits, "write_json", refused)
    assert open_study_data(tmp_path / "data", seeds=[1]).split("train")
    with refuses("LEX-DATA-148", "would have a different") as found:
        open_study_data(tmp_path / "data", seeds=range(2))
    assert found.value.code == "LEX-DATA-148"


def test_hidden_masks_are_not_scored_against(index: DatasetIndex, tmp_path: Path) -> None:
    with refuses("LEX-USE-100", "--split train would"):
        audit_module.audit(index.root, tmp_path / "out", masks=0.5, split="train")
    assert not (tmp_path / "out").exists()


def test_reports_are_needed_for_every_image(index: DatasetIndex) -> None:
    assert has_reports(index)
    first = index.split("train")[0]
    without = tuple(dataclasses.replace(s, report=None) if s is first else s for s in index.samples)
    assert not has_reports(dataclasses.replace(index, samples=without))


def settings_of(index: DatasetIndex, limit: int | None = None, **options: Any) -> SharedSettings:
    part = limited(index, limit)
    return shared_settings(part, ARMS, audit_trials(ARMS, part, options, None), limit)


def test_an_audit_goes_on_with_the_same_settings_only(index: DatasetIndex, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    keep_settings(folder, settings_of(index, epochs=2))
    keep_settings(folder, settings_of(index, epochs=2, workers=3, cache=False))
    with refuses("LEX-RUN-021", "settings: training.epochs was"):
        keep_settings(folder, settings_of(index, epochs=3))
    with refuses("LEX-RUN-021", "limit was None, now 5"):
        keep_settings(folder, settings_of(index, limit=5, epochs=2))
    (folder / "settings.json").write_text("[]")
    with refuses("LEX-RUN-020", "is damaged"):
        keep_settings(folder, settings_of(index, epochs=2))


def test_an_audit_whose_arms_select_their_weights_differently_does_not_go_on(
    index: DatasetIndex, tmp_path: Path
) -> None:
    def settings(*names: str, **options: Any) -> SharedSettings:
        arms = few_arms(*names)
        return shared_settings(index, arms, audit_trials(arms, index, {"masks": 0.5, **options}, None), None)

    # What the settings of an audit say whose arms were left to choose.
    unsettled = settings("none", "concepts")
    keep_settings(tmp_path / "before", unsettled)
    with refuses("LEX-RUN-021", "selection was None, now 'last'", "continues without such arms (--arms)"):
        keep_settings(tmp_path / "before", settings("none", "reports", "concepts"))
    keep_settings(tmp_path / "before", settings("none", "concepts"))

    keep_settings(tmp_path / "new", settings("none", "reports", "concepts"))
    keep_settings(tmp_path / "new", settings("none", "pseudo_labels", "concepts"))
    with refuses("LEX-RUN-021", "selection was 'last', now None", "has `selection: last`"):
        keep_settings(tmp_path / "new", settings("none", "concepts"))
    keep_settings(tmp_path / "new", settings("none", "concepts", selection="last"))


def test_a_folder_that_holds_something_else_is_refused(index: DatasetIndex, tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with refuses("LEX-RUN-019", "exists, but it contains no audit"):
        keep_settings(tmp_path, settings_of(index))
