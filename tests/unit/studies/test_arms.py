"""The arms of an audit: which trainings it makes, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lexiseg.data import DatasetIndex
from lexiseg.errors import UsageError
from lexiseg.studies.arms import AuditArm, contrasts, known_arms, plan_arms, read_arms
from lexiseg.studies.shared_settings import audit_trials, shared_settings
from lexiseg.studies.trials import plan_trials
from lexiseg.systems import registry
from lexiseg.systems.configuration import TrainConfig
from refusals import refuses
from registry_copy import copy_registry
from toy_system import TOY, ToyConfig

pytestmark = pytest.mark.usefixtures("no_text_model")

KNOWN = known_arms(reports=True)


ARMS = plan_arms(("stpnet",), ("none", "concepts"), 2, KNOWN)


def planned(
    index: DatasetIndex, options: dict[str, Any], file: Path | None = None, arms: Sequence[AuditArm] = ARMS
) -> list[TrainConfig]:
    return [trial.config for trial in audit_trials(arms, index, options, file)]


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


def test_an_arm_may_change_what_a_system_says_is_about_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Worded(ToyConfig):
        word_fields = TrainConfig.word_fields | {"channels"}

    file = tmp_path / "arms.yaml"
    file.write_text("arms: {wide: {words: own, changes: {text: concepts, channels: 8}}}\n")
    copy_registry(monkeypatch)
    registry.register(TOY)
    with refuses("LEX-USE-556", "changes channels"):
        read_arms(file)
    registry.register(dataclasses.replace(TOY, configuration=Worded))
    assert [spec.name for spec in read_arms(file)] == ["wide"]


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
