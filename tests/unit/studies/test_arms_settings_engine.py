"""Which trainings an audit makes, that they are alike but for their words, and what is refused."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from lexiseg.data import DatasetIndex, open_dataset, splits
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.phantom import write_phantom
from lexiseg.errors import DataError, DiskError, UsageError
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.studies import shared_settings as audit_settings
from lexiseg.studies import study_data
from lexiseg.studies.arms import AuditArm, contrasts, known_arms, plan_arms, read_arms
from lexiseg.studies.audit_file import SharedSettings
from lexiseg.studies.results import read_results
from lexiseg.studies.shared_settings import audit_trials, keep_settings, shared_settings
from lexiseg.studies.study_data import has_reports, limited, open_study_data, seen_by_all
from lexiseg.studies.trials import Study, StudyArm, Trial, check_trial, plan_trials, run_study
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.examples import TrainingExamples, Words
from lexiseg.training.run_lock import training_lock
from lexiseg.training.sample_cache import DecodedSamples
from lexiseg.training.sampling_weights import draw_weights
from lexiseg.training.text_source import words_of
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

# The package exports the function under the module's name.
audit_module = importlib.import_module("lexiseg.studies.audit")

KNOWN = known_arms(reports=True)
ARMS = plan_arms(("stpnet",), ("none", "concepts"), 2, KNOWN)


def planned(
    index: DatasetIndex, options: dict[str, Any], file: Path | None = None, arms: Sequence[AuditArm] = ARMS
) -> list[TrainConfig]:
    return [trial.config for trial in audit_trials(arms, index, options, file)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    folder = tmp_path_factory.mktemp("audit") / "data"
    write_phantom(folder, num_train=8, num_val=3, num_test=3, size=64, seed=3)
    return open_dataset(folder)


@pytest.fixture(autouse=True)
def _no_text_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_settings, "load_text_encoder", lambda name: None)


def test_plan_goes_seed_by_seed() -> None:
    arms = plan_arms(("cotexnet", "stpnet"), ("reports", "none"), 2, KNOWN)
    names = [trial.name for trial in plan_trials([arm.study_arm for arm in arms], {}, None)]
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
        plan_arms(models, texts, seeds, KNOWN)


def test_what_the_arms_change() -> None:
    changes = {name: spec.changes for name, spec in KNOWN.items()}
    assert changes == {
        "none": {"text": "none", "unmasked": "leave_out"},
        "pseudo_labels": {"text": "none", "unmasked": "pseudo_labels"},
        "shuffled": {"text": "reports", "shuffle_words": True},
        "reports": {"text": "reports"},
        "concepts": {"text": "concepts", "unmasked": "leave_out"},
    }
    assert known_arms(reports=False)["shuffled"].changes == {
        "text": "concepts",
        "unmasked": "leave_out",
        "shuffle_words": True,
    }


def pairs(*names: str, reports: bool) -> tuple[tuple[str, str], ...]:
    return contrasts([spec for name, spec in known_arms(reports=reports).items() if name in names])


def test_contrasts() -> None:
    assert pairs("none", "shuffled", "reports", "concepts", reports=True) == (
        ("shuffled", "none"), ("reports", "none"), ("concepts", "none"), ("reports", "shuffled"),
    )  # fmt: skip
    # Without a sheet the shuffled words are measured ones, so these are compared with them.
    assert pairs("none", "shuffled", "concepts", reports=False)[-1] == ("concepts", "shuffled")
    assert pairs("none", "concepts", reports=True) == (("concepts", "none"),)
    assert pairs("none", "pseudo_labels", "reports", reports=True) == (
        ("pseudo_labels", "none"), ("reports", "none"), ("reports", "pseudo_labels"),
    )  # fmt: skip


SURE = """
arms:
  weak_labels:
    title: pseudo labels of half weight
    words: none
    needs: images_without_mask
    changes: {text: none, unmasked: pseudo_labels, pseudo_weight: 0.5}
    against: [pseudo_labels]
  free_halves:
    words: own
    changes: {text: reports, word_map: false}
"""


def test_arms_from_a_file(index: DatasetIndex, tmp_path: Path) -> None:
    file = tmp_path / "arms.yaml"
    file.write_text(SURE)
    known = known_arms(reports=True, further=read_arms(file))
    assert list(known)[-2:] == ["weak_labels", "free_halves"]
    assert (known["weak_labels"].shown, known["free_halves"].shown) == (
        "pseudo labels of half weight",
        "free halves",
    )
    arms = plan_arms(("stpnet",), ("none", "pseudo_labels", "weak_labels", "free_halves"), 1, known)
    assert contrasts([arm.spec for arm in arms]) == (
        ("pseudo_labels", "none"), ("weak_labels", "none"), ("free_halves", "none"),
        ("weak_labels", "pseudo_labels"),
    )  # fmt: skip
    configs = planned(index, {"masks": 0.5}, arms=arms)
    assert [(c.unmasked, c.model_dump()["pseudo_weight"]) for c in configs] == [
        ("leave_out", 1.0), ("pseudo_labels", 1.0), ("pseudo_labels", 0.5), (None, 1.0),
    ]  # fmt: skip
    # What an arm changes is not shared: the settings are those of the arm without words.
    settings = shared_settings(index, arms, audit_trials(arms, index, {"masks": 0.5}, None), None)
    assert settings == shared_settings(
        index, arms[:2], audit_trials(arms[:2], index, {"masks": 0.5}, None), None
    )


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("", "is not a file of arms", "LEX-USE-555"),
        ("arms: [none]\n", "a mapping of names to arms", "LEX-USE-555"),
        ("arms: {}\nseeds: 3\n", "a mapping of names to arms", "LEX-USE-555"),
        ("arms: {a: {words: none}}\n", "changes: Field required", "LEX-USE-554"),
        ("arms: {A b: {words: none, changes: {}}}\n", "name: String should match", "LEX-USE-554"),
        ("arms: {a: {words: some, changes: {}}}\n", "words: Input should be 'none', 'own'", "LEX-USE-554"),
        ("arms: {a: {words: none, changes: {epochs: 3}}}\n", "changes epochs, which must be", "LEX-USE-556"),
        ("arms: {none: {words: none, changes: {}}}\n", "two arms 'none'", "LEX-USE-552"),
        ("arms: {a: {words: none, changes: {}, against: [b]}}\n", "compared with b; there", "LEX-USE-553"),
    ],
)
def test_files_of_arms_that_are_refused(tmp_path: Path, text: str, message: str, code: str) -> None:
    file = tmp_path / "arms.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        known_arms(reports=True, further=read_arms(file))
    assert refused.value.code == code


def test_pseudo_labels_need_images_without_mask(index: DatasetIndex) -> None:
    arms = plan_arms(("stpnet",), ("none", "pseudo_labels", "concepts"), 1, KNOWN)
    for share in (None, 1.0, 0.99):  # of 8 masks, 99 % are all
        with refuses("LEX-USE-103", "some with --masks"):
            planned(index, {"masks": share}, arms=arms)
    hidden = planned(index, {"masks": 0.5}, arms=arms)
    assert [(c.text, c.masks, c.unmasked) for c in hidden] == [
        ("none", 0.5, "leave_out"), ("none", 0.5, "pseudo_labels"), ("concepts", 0.5, "leave_out"),
    ]  # fmt: skip
    first = index.split("train")[0]
    some = tuple(dataclasses.replace(s, mask=None) if s is first else s for s in index.samples)
    assert len(planned(dataclasses.replace(index, samples=some), {}, arms=arms)) == 3


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
    configs = planned(index, {})
    assert {config.augment.affine for config in configs} == {0.0}
    assert {config.augment.horizontal_flip for config in configs} == {0.5}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"balance_words": 0.5}, "`balance_words: 0.5`: the arms would see other images"),
        ({"patience": 3}, "`patience: 3`: the arms would take different numbers of steps"),
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


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[DatasetIndex, TrainConfig, bool]]:
    """Replace training and evaluation of trials; keep what is trained, and whether it resumes."""
    calls: list[tuple[DatasetIndex, TrainConfig, bool]] = []

    def train_on(index: Any, config: TrainConfig, out: Path, *, resume: bool, console: Console) -> Path:
        calls.append((index, config, resume))
        return out

    def evaluate_on(index: DatasetIndex, run: Path, options: object, *, out: Path) -> SimpleNamespace:
        assert index is calls[-1][0]
        out.mkdir(parents=True)
        (out / "metrics.json").touch()
        return SimpleNamespace(metrics=SimpleNamespace(dice=SimpleNamespace(mean=1.0), num_cases=3))

    monkeypatch.setattr("lexiseg.studies.trials.train_on", train_on)
    monkeypatch.setattr("lexiseg.studies.trials.evaluate_on", evaluate_on)
    return calls


QUIET = Console(quiet=True)


def study_of(index: DatasetIndex, out: Path, trials: tuple[Trial, ...]) -> Study:
    return Study(index=index, trials=trials, folder=out / "runs", claims_folder=out / "claims")


def test_arms_are_trained_and_evaluated_without_the_masks_that_are_hidden_from_them(
    index: DatasetIndex, tmp_path: Path, trained: list[tuple[DatasetIndex, TrainConfig, bool]]
) -> None:
    trials = plan_trials([StudyArm(name="few", changes={"masks": 0.5}, seeds=(0, 1))], {}, None)
    run_study(study_of(index, tmp_path, trials), console=QUIET)
    assert [given.samples for given, _, _ in trained] == [
        hide_masks(index.samples, share=0.5, seed=seed) for seed in range(2)
    ]


def test_a_study_does_each_trial_once_and_resumes_what_was_begun(
    index: DatasetIndex, tmp_path: Path, trained: list[tuple[DatasetIndex, TrainConfig, bool]]
) -> None:
    arms = [StudyArm(name="a", changes={}, seeds=(0, 2)), StudyArm(name="b", changes={"epochs": 3})]
    trials = plan_trials(arms, {"epochs": 2}, None)
    assert [(trial.name, trial.config.epochs, trial.config.seed) for trial in trials] == [
        ("a-s0", 2, 0), ("b-s0", 3, 0), ("a-s2", 2, 2),
    ]  # fmt: skip
    study = study_of(index, tmp_path, trials)
    begun = tmp_path / "runs" / "b-s0"
    begun.mkdir(parents=True)
    (begun / "run.json").touch()
    resolved = trials[1].config.model_copy(update={"workers": 3})
    half = (begun / ".partial-abcd1234.safetensors", tmp_path / "runs" / ".partial-a-s0-abcd1234")
    half[0].touch()  # as a killed process leaves it
    half[1].mkdir()
    (begun / CONFIG_FILE).write_text(yaml.safe_dump(resolved.model_dump(mode="json")))
    run_study(study, console=QUIET)
    assert [(config.epochs, config.workers, resume) for _, config, resume in trained] == [
        (2, None, False), (3, 3, True), (2, None, False),
    ]  # fmt: skip
    assert not any(path.exists() for path in half)
    run_study(study, console=QUIET)
    assert len(trained) == 3
    other = plan_trials(arms, {"epochs": 2, "image_size": 64}, None)
    with refuses("LEX-RUN-022", "this study: image_size"):
        run_study(study_of(index, tmp_path, other), console=QUIET)


def test_an_arm_that_a_person_resumes_is_waited_for(
    index: DatasetIndex,
    tmp_path: Path,
    trained: list[tuple[DatasetIndex, TrainConfig, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arms = [StudyArm(name="a", changes={}), StudyArm(name="b", changes={})]
    study = study_of(index, tmp_path, plan_trials(arms, {}, None))
    resumed = FolderLock.beside(tmp_path / "runs" / "a-s0")
    assert resumed.take() is None
    waited = []

    def end_of_training(seconds: float) -> None:
        waited.append([config.seed for _, config, _ in trained])
        if len(waited) == 2:
            resumed.release()

    monkeypatch.setattr("lexiseg.studies.trial_claims.time", SimpleNamespace(sleep=end_of_training))
    console = Console(record=True, width=200)
    run_study(study, console=console)
    # The other arm is done first, and what is waited for is said once.
    assert [len(seeds) for seeds in waited] == [1, 1]
    assert len(trained) == 2
    said = console.export_text()
    assert said.count(f"a-s0: worked on by process {os.getpid()} on ") == 1
    assert said.index("Arm b-s0 (0 of 2") < said.index("Arm a-s0 (1 of 2")


def test_an_arm_that_is_trained_is_not_resumed_by_a_person(
    index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(index, tmp_path, plan_trials([StudyArm(name="a", changes={})], {}, None))

    def resume(*_: object, **__: object) -> None:
        with refuses("LEX-RUN-740", "in use"), training_lock(tmp_path / "runs" / "a-s0", QUIET):
            pass
        raise DataError("seen")

    monkeypatch.setattr("lexiseg.studies.trials.train_and_evaluate", resume)
    with pytest.raises(DataError, match="seen"):
        run_study(study, console=QUIET)
    assert not (tmp_path / "runs").exists()


def test_a_damaged_result_is_one_clear_error(index: DatasetIndex, tmp_path: Path) -> None:
    study = study_of(index, tmp_path, plan_trials([StudyArm(name="a", changes={})], {}, None))
    file = tmp_path / "runs" / "a-s0" / "test" / "metrics.json"
    for content in (None, "{", '{"dice": 1}'):
        if content is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        with refuses("LEX-RUN-017", "metrics.json cannot be read") as bad:
            read_results(study)
        assert bad.value.code == "LEX-RUN-017"


def test_an_audit_opens_its_data_once(
    index: DatasetIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained: list[tuple[DatasetIndex, TrainConfig, bool]],
) -> None:
    opened: list[Path] = []

    def open_once(folder: Path, **options: Any) -> DatasetIndex:
        opened.append(folder)
        return open_dataset(folder, **options)

    def stopped(study: Study) -> None:
        raise InterruptedError

    monkeypatch.setattr(study_data, "open_dataset", open_once)
    monkeypatch.setattr(audit_module, "read_results", stopped)
    with pytest.raises(InterruptedError):
        audit_module.audit(
            index.root, tmp_path / "out", models=["stpnet"], arms=["none", "concepts"], seeds=2
        )
    assert len(trained) == 4
    assert opened == [index.root]


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


def test_a_folder_that_holds_something_else_is_refused(index: DatasetIndex, tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with refuses("LEX-RUN-019", "exists, but it contains no audit"):
        keep_settings(tmp_path, settings_of(index))


def test_an_arm_with_other_settings_is_refused(tmp_path: Path) -> None:
    trained = make_config({"text": "none", "epochs": 2, "precision": "fp32", "workers": 1, "cache": True})
    (tmp_path / CONFIG_FILE).write_text(yaml.safe_dump(trained.model_dump(mode="json")))
    check_trial(tmp_path, trained.model_copy(update={"workers": None, "cache": None}))
    with refuses("LEX-RUN-022", "those of this study:"):
        check_trial(tmp_path, trained.model_copy(update={"seed": 1}))
