from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lexiseg.errors import UsageError
from lexiseg.training.config import TrainConfig, make_config


def write(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


def test_a_training_lasts_40_epochs_unless_told() -> None:
    assert (make_config({}).epochs, make_config({}).max_minutes) == (40, None)
    assert (make_config({"max_minutes": 3}).epochs, make_config({"max_minutes": 3}).max_minutes) == (None, 3)


def test_epochs_and_minutes_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="configuration: give epochs or max_minutes, not both"):
        make_config({"epochs": 3, "max_minutes": 3})


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 4\nmax_minutes: 5\nwidth: 64\naugment:\n  vertical_flip: 0.5\n")
    config = make_config({"seed": 5, "epochs": 2, "encoder": None}, file)
    assert (config.seed, config.epochs, config.max_minutes, config.width) == (5, 2, None, 64)
    assert config.augment.vertical_flip == 0.5
    assert config.augment.horizontal_flip == 0.5
    assert config.encoder == "tf_efficientnet_lite0"


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert make_config({}, write(tmp_path, "")) == make_config({})


def test_unknown_fields_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"learning_rat: Extra inputs .* Fields are: .*learning_rate"):
        make_config({"learning_rat": 1e-3})
    file = write(tmp_path, "augment: {flip: 1}")
    with pytest.raises(UsageError, match=rf"{file}: augment\.flip: Extra inputs"):
        make_config({}, file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("max_minutes", 0),
        ("batch_size", 1),
        ("width", 10),
        ("ema_decay", 1.0),
        ("preset", "huge"),
        ("seed", -1),
        ("val_cases", 0),
        ("small_first", 1.5),
        ("learning_rate", 0),
    ],
)
def test_impossible_values_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{name}: "):
        make_config({name: value})


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.yaml cannot be read: No such file"):
        make_config({}, tmp_path / "nowhere.yaml")
    with pytest.raises(UsageError, match="is not valid YAML"):
        make_config({}, write(tmp_path, "seed: [1"))
    with pytest.raises(UsageError, match=r"must hold fields such as `seed: 0`, not a list"):
        make_config({}, write(tmp_path, "- 1"))
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UsageError, match="is not valid YAML"):
        make_config({}, tmp_path / "config.yaml")


def test_presets_set_what_is_not_given() -> None:
    compact, paper = make_config({}), make_config({"preset": "paper"})
    assert (compact.batch, compact.peak_learning_rate, compact.phrase_encoder) == (16, 1e-3, "minilm")
    assert (paper.batch, paper.peak_learning_rate) == (24, 3e-4)
    assert paper.phrase_encoder == "emilyalsentzer/Bio_ClinicalBERT"
    assert (compact.size, make_config({"image_size": 96}).size) == (224, 96)
    given = make_config({"preset": "paper", "batch_size": 4, "learning_rate": 0.1, "text_encoder": "x"})
    assert (given.batch, given.peak_learning_rate, given.phrase_encoder) == (4, 0.1, "x")


def test_a_stored_configuration_comes_back(tmp_path: Path) -> None:
    config = make_config({"max_minutes": 2.5, "image_size": 96, "patience": 3})
    file = write(tmp_path, yaml.safe_dump(config.model_dump(mode="json")))
    assert make_config({}, file) == config
    assert isinstance(config, TrainConfig)
