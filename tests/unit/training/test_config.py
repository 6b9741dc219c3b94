from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lexiseg.errors import UsageError
from lexiseg.systems.configuration import TrainConfig
from lexiseg.systems.registry import systems
from lexiseg.systems.system import System
from lexiseg.training.config import make_config
from lexiseg.training.options import TrainOptions
from refusals import refuses


def write(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


def test_a_training_lasts_40_epochs_unless_told() -> None:
    assert (make_config({}).epochs, make_config({}).max_minutes) == (40, None)
    assert (make_config({"max_minutes": 3}).epochs, make_config({"max_minutes": 3}).max_minutes) == (None, 3)


def test_epochs_and_minutes_exclude_each_other() -> None:
    with refuses("LEX-USE-069", "epochs and max_minutes"):
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
    with refuses("LEX-USE-069", "learning_rate"):
        make_config({"learning_rat": 1e-3})
    file = write(tmp_path, "augment: {flip: 1}")
    with refuses("LEX-USE-069", "augment.flip: there is no") as got:
        make_config({}, file)
    assert "learning_rate" not in str(got.value)
    with refuses("LEX-USE-069", "3: expected a name; got 3"):
        make_config({}, write(tmp_path, "3: 4"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", 0, "a whole number of at least 1; got 0"),
        ("epochs", 1.5, "a whole number of at least 1; got 1.5"),
        ("max_minutes", 0, "a number above 0; got 0"),
        ("masks", 2, "a number above 0 and at most 1; got 2"),
        ("masks", "some", "a number above 0 and at most 1; got 'some'"),
        ("width", 10, "a whole number of at least 8 and at most 4096 and a multiple of 4; got 10"),
        ("ema_decay", 1.0, "a number of at least 0 and below 1; got 1.0"),
        ("preset", "huge", "one of compact, paper; got 'huge'"),
        ("unmasked", "no", "one of words, pseudo_labels, leave_out; got 'no'"),
        ("image_size", "big", "a whole number; got 'big'"),
        ("cache", "perhaps", "true or false; got 'perhaps'"),
        ("encoder", 3, "text; got 3"),
        ("source_weights", 3, "names, each with a number above 0; got 3"),
    ],
)
def test_impossible_values_are_answered_by_what_is_possible(name: str, value: object, said: str) -> None:
    with pytest.raises(UsageError) as got:
        make_config({name: value})
    assert str(got.value) == f"{name}: expected {said}."


@pytest.mark.parametrize("system", systems(), ids=lambda system: f"{system.name}-{system.preset}")
def test_every_field_says_what_it_expects(system: System) -> None:
    named = {"model": system.name, "preset": system.preset}
    for name in system.configuration.model_fields:
        with pytest.raises(UsageError, match=f"^{name}: expected "):
            make_config({**named, name: object()})


def test_the_options_of_train_are_the_fields_of_all_systems() -> None:
    fields = {name for system in systems() for name in system.configuration.model_fields}
    assert set(TrainOptions.__annotations__) == fields


@pytest.mark.parametrize(
    ("system", "field", "value"),
    [
        ({"preset": "paper"}, "encoder", "resnet18"),
        ({"preset": "paper"}, "width", 64),
        ({"preset": "paper"}, "weight_decay", 0.1),
        ({"preset": "paper"}, "small_first", 0.5),
        ({"preset": "paper"}, "reference_compat", True),
        ({}, "teach", "both"),
        ({}, "distillation_weight", 1.0),
        ({}, "reference_compat", True),
        ({"preset": "paper"}, "word_map", False),
        ({"model": "cotexnet"}, "reference_compat", True),
        ({"model": "cotexnet", "preset": "paper"}, "encoder", "resnet18"),
        ({"model": "cotexnet", "preset": "paper"}, "teach", "both"),
        ({"model": "cotexnet", "preset": "paper"}, "ema_decay", 0.9),
    ],
)
def test_a_field_that_the_system_lacks_is_refused_with_those_it_has(
    tmp_path: Path, system: dict[str, str], field: str, value: object
) -> None:
    with refuses("LEX-USE-500", "no such field") as got:
        make_config({**system, field: value})
    assert str(got.value).startswith(f"{field}: the ")
    fields = str(got.value).partition("Its fields are: ")[2]
    assert "learning_rate" in fields
    assert field not in fields.rstrip(".").split(", ")
    file = write(tmp_path, yaml.safe_dump({**system, field: value}))
    with pytest.raises(UsageError, match=f"^{file}: {field}: the "):
        make_config({}, file)


def test_a_system_that_learns_from_masks_takes_nothing_else() -> None:
    assert make_config({"preset": "paper", "unmasked": "leave_out"}).unmasked == "leave_out"
    with refuses("LEX-USE-069", "leave_out; got 'words'"):
        make_config({"preset": "paper", "unmasked": "words"})


def test_values_inside_a_field_are_refused_by_their_place() -> None:
    with refuses("LEX-USE-069", "source_weights.a: expected a"):
        make_config({"source_weights": {"a": -1}})
    with refuses("LEX-USE-069", "at most 1; got 3."):
        make_config({"augment": {"affine": 3}})
    with refuses("LEX-USE-069", "source_weights.3: expected a"):
        make_config({"source_weights": {3: 1.0}})


def test_the_file_is_blamed_for_its_own_values_only(tmp_path: Path) -> None:
    file = write(tmp_path, "masks: 2\nseed: -1\n")
    with pytest.raises(UsageError) as got:
        make_config({"masks": 3, "width": 9}, file)
    first, second, third = str(got.value).split(". ")
    assert first == "masks: expected a number above 0 and at most 1; got 3"
    assert second.startswith(f"{file}: seed: expected")
    assert third.startswith("width: expected")
    lengths = write(tmp_path, "epochs: 2\nsteps: 3\n")
    with pytest.raises(UsageError, match=f"^{lengths}: epochs, max_minutes, steps: expected only one"):
        make_config({}, lengths)
    with refuses("LEX-USE-069", "max_minutes, steps: expected"):
        make_config({"epochs": 2, "max_minutes": 3}, lengths)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with refuses("LEX-USE-070", "nowhere.yaml cannot be"):
        make_config({}, tmp_path / "nowhere.yaml")
    with refuses("LEX-USE-071", "not valid YAML"):
        make_config({}, write(tmp_path, "seed: [1"))
    with refuses("LEX-USE-072", "`seed: 0`, not"):
        make_config({}, write(tmp_path, "- 1"))
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\xfa")
    with refuses("LEX-USE-071", "not UTF-8"):
        make_config({}, tmp_path / "config.yaml")


def test_each_system_has_its_own_defaults() -> None:
    compact, paper = make_config({}), make_config({"preset": "paper"})
    assert (compact.batch_size, compact.learning_rate, compact.text_encoder) == (16, 1e-3, "minilm")
    assert (paper.batch_size, paper.learning_rate) == (24, 3e-4)
    assert paper.text_encoder == "emilyalsentzer/Bio_ClinicalBERT"
    assert (compact.image_size, make_config({"image_size": 96}).image_size) == (224, 96)
    given = make_config({"preset": "paper", "batch_size": 4, "learning_rate": 0.1, "text_encoder": "x"})
    assert (given.batch_size, given.learning_rate, given.text_encoder) == (4, 0.1, "x")
    published = make_config({"model": "cotexnet", "preset": "paper"})
    assert (published.batch_size, published.learning_rate, published.patience) == (16, 3e-4, 50)
    assert (published.weight_decay, published.encoder_weights) == (1e-4, "CIDAS/clipseg-rd64-refined")


def test_patience_can_be_switched_off(tmp_path: Path) -> None:
    file = write(tmp_path, "model: cotexnet\npreset: paper\npatience: null\n")
    assert make_config({}, file).patience is None
    assert make_config({"model": "cotexnet", "preset": "paper"}).patience == 50
    assert make_config({"patience": 3}, file).patience == 3
    stored = make_config({}, file)
    again = write(tmp_path, yaml.safe_dump(stored.model_dump(mode="json")))
    assert make_config({}, again) == stored  # as a resumed run reads it


def test_a_null_in_a_file_is_not_given(tmp_path: Path) -> None:
    assert make_config({}, write(tmp_path, "batch_size: null\npreset: null\n")) == make_config({})


def test_a_stored_configuration_comes_back(tmp_path: Path) -> None:
    config = make_config({"max_minutes": 2.5, "image_size": 96, "patience": 3})
    file = write(tmp_path, yaml.safe_dump(config.model_dump(mode="json")))
    assert make_config({}, file) == config
    assert isinstance(config, TrainConfig)


@pytest.mark.parametrize(
    "values", [{"preset": [1]}, {"preset": {"a": 1}}, {"model": [1]}, {"model": 3, "preset": 4}]
)
def test_names_of_systems_that_are_no_names(tmp_path: Path, values: dict[str, object]) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UsageError, match=r"(model|preset): expected one of"):
        make_config({}, tmp_path / "config.yaml")


def test_paths_that_are_there_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("bert", "minilm", "chest", "clipseg", "nobody"):
        (tmp_path / folder).mkdir()
    for file in ("start.safetensors", "my.yaml", "none", "covid-xray"):
        (tmp_path / file).write_text("x")
    paths = {"text_encoder": "bert", "vocabulary": "my.yaml", "encoder_weights": "start.safetensors"}
    for preset in ("compact", "paper"):
        config = make_config({**paths, "preset": preset})
        found = {name: getattr(config, name) for name in paths}
        assert found == {name: str(tmp_path / value) for name, value in paths.items()}
    clipseg = make_config({"model": "cotexnet", "preset": "paper", "encoder_weights": Path("clipseg")})
    assert getattr(clipseg, "encoder_weights") == str(tmp_path / "clipseg")  # noqa: B009
    names = {"text_encoder": "minilm", "vocabulary": "chest", "encoder_weights": "none"}
    named = make_config({**names, "teachers": ["covid-xray"]})
    assert {name: getattr(named, name) for name in names} == names
    assert getattr(named, "teachers") == ("covid-xray",)  # noqa: B009
    assert make_config({"text_encoder": "nobody/bert"}).text_encoder == "nobody/bert"


def test_a_path_that_cannot_be_looked_at_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr(Path, "is_dir", refuse)
    values = {"encoder_weights": "/home/jane/w.pt", "text_encoder": "/home/jane/bert"}
    config = make_config(values)
    assert {name: getattr(config, name) for name in values} == values


def test_the_home_of_an_unknown_user_stays_as_it_is() -> None:
    assert (
        make_config({"text_encoder": "~nobody-of-this-name/bert"}).text_encoder == "~nobody-of-this-name/bert"
    )
