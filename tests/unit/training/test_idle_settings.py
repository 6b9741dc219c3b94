"""Settings that are given and have no effect are said."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from lexiseg.data.sample import DatasetIndex
from lexiseg.systems.configuration import WithoutEffect
from lexiseg.systems.registry import systems
from lexiseg.training.config import make_config
from lexiseg.training.forecast import forecast_training
from lexiseg.training.idle_settings import idle_settings
from lexiseg.training.machine import step_times

NO_WORDS = "(the training has no words)"
NO_IMAGE = "(no training image without a mask takes part)"


@pytest.mark.parametrize(
    ("options", "text", "unmasked", "said"),
    [
        ({"teacher_share": 0.3}, "none", None, ["teacher_share (`teachers` names no run)"]),
        ({"teacher_share": 0.3, "teachers": ["a"]}, "none", None, []),
        ({"full_last": 0.2}, "none", None, ["full_last (there is no `main_size`)"]),
        ({"full_last": 0.2, "main_size": 160}, "none", None, []),
        ({"vocabulary": "polyp"}, "none", None, [f"vocabulary {NO_WORDS}"]),
        ({"vocabulary": "polyp"}, "concepts", None, []),
        ({"retrieval_weight": 1}, "none", None, [f"retrieval_weight {NO_WORDS}"]),
        ({"teacher_steps": 9, "word_map": False}, "reports", None, [f"word_map {NO_IMAGE}", "teacher_steps"]),
        ({"teacher_steps": 9, "word_map": False}, "reports", "words", []),
        ({"word_map": False}, "none", "pseudo_labels", ["word_map (`unmasked` is pseudo_labels)"]),
        ({"augment": {"max_noise": 0.1}}, "none", None, ["augment.max_noise (`augment.noise` is 0)"]),
        ({"augment": {"max_noise": 0.1, "noise": 0.5}}, "none", None, []),
        ({"model": "cotexnet", "teach": "none", "distillation_weight": 1}, "reports", None, ["`teach`"]),
        ({"preset": "paper", "vocabulary": "chest"}, "reports", None, []),
        # Values that every run has.
        ({"teacher_share": 0.5, "full_last": 0.15, "text_encoder": "minilm"}, "none", None, []),
    ],
)
def test_settings_without_effect(
    options: dict[str, Any], text: str, unmasked: str | None, said: list[str]
) -> None:
    use: Any = SimpleNamespace(unmasked=unmasked)
    plan: Any = SimpleNamespace(text=text)
    sentence = idle_settings(make_config(options), use, plan)
    if not said:
        assert sentence is None
    else:
        assert sentence is not None
        assert sentence.startswith("Settings without effect: ")
        assert all(part in sentence for part in said)


def test_rules_name_fields_of_their_system() -> None:
    for system in systems():
        fields = system.configuration.model_fields
        rules: tuple[WithoutEffect, ...] = system.configuration.without_effect
        assert all({*rule.fields, rule.other} <= fields.keys() for rule in rules), system.called


def test_a_training_says_it(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_times, "step_seconds", lambda *_, **__: 2.0)
    shown = io.StringIO()
    options = {**tiny_options, "text": "none", "teacher_steps": 7}
    forecast_training(index.root, tmp_path / "run", console=Console(file=shown, width=300), **options)
    assert f"Settings without effect: teacher_steps {NO_IMAGE}." in shown.getvalue()
