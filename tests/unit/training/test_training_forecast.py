"""A dry run says what a training would do, and writes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from torch import nn
from typer.testing import CliRunner

import lexiseg
from lexiseg.cli.app import app
from lexiseg.data.image_fit import tiles
from lexiseg.data.phantom import write_phantom
from lexiseg.data.sample import DatasetIndex
from lexiseg.runs.run import Run
from lexiseg.systems.configuration import LoopSettings
from lexiseg.training.forecast import TrainingForecast, forecast_training
from lexiseg.training.loop import Training
from lexiseg.training.machine import step_times
from lexiseg.training.machine.step_times import phases_of
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 2 s."""
    monkeypatch.setattr(step_times, "step_seconds", lambda *_, **__: 2.0)


def forecast_of(index: DatasetIndex, out: Path, options: dict[str, Any], **changes: Any) -> TrainingForecast:
    return forecast_training(index.root, out, **{**options, **changes})


@pytest.mark.usefixtures("seconds")
def test_steps_minutes_and_files(index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
    train, val = len(index.split("train")), len(index.split("val"))
    options = {**tiny_options, "text": "reports"}
    found = forecast_of(index, tmp_path / "run", {**options, "epochs": None}, steps=50)
    assert found.images == {"train": train, "val": val, "test": len(index.split("test"))}
    assert (found.with_mask, found.steps, found.text, found.vocabulary) == (train, 50, "reports", "chest")
    # 50 steps of 2 s; validation every 25 steps and at the end, a third of the time of a step per image. The
    # zone atlas is fitted on the training images; there are too few images to describe.
    assert found.minutes == pytest.approx((50 * 2 + (3 * val + train) * 2 / 8 / 3) / 60)
    assert {"run.json", "weights.safetensors", "bank.safetensors"} <= set(found.files)
    assert "pseudo_labels.safetensors" not in found.files
    assert "Length: 50 steps" in found.sentences()[2]
    assert found.teacher_minutes == 0
    assert "teachers" not in found.sentences()[3]
    assert list(tmp_path.iterdir()) == []

    timed = forecast_of(index, tmp_path / "run", {**options, "epochs": None}, max_minutes=5.0)
    # The budget is that of the steps and of the validations between them.
    assert timed.minutes == pytest.approx(5 + (val + train) * 2 / 8 / 3 / 60)
    assert timed.steps == int(300 / (2 + val * 2 / 8 / 3 / 25))

    plain = forecast_of(index, tmp_path / "run", {**options, "text": "none"})
    assert (plain.text, plain.vocabulary) == ("none", None)
    assert "bank.safetensors" not in plain.files
    assert "no words" in plain.sentences()[1]


@pytest.mark.usefixtures("seconds")
def test_teachers_take_their_part_of_the_time(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], tiny_run: Run
) -> None:
    options = {**tiny_options, "text": "none", "epochs": None}
    plain = forecast_of(index, tmp_path / "run", options, steps=50)
    taught = forecast_of(index, tmp_path / "run", options, steps=50, teachers=[str(tiny_run.path)])
    assert taught.teacher_minutes > 0
    assert taught.minutes == pytest.approx(plain.minutes + taught.teacher_minutes)
    assert re.search(r"\); teachers take about .+ of it before the first step\.$", taught.sentences()[3])
    timed = forecast_of(index, tmp_path / "run", options, max_minutes=5.0, teachers=[str(tiny_run.path)])
    # The limit is that of the steps and of the validations between them.
    last = len(index.split("val")) * 2 / 8 / 3 / 60
    assert timed.minutes == pytest.approx(5 + last + timed.teacher_minutes)


@pytest.mark.usefixtures("seconds")
def test_images_without_mask_give_teachers_two_fifths_of_the_minutes(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    options = {**tiny_options, "epochs": None, "max_minutes": 5.0}
    found = forecast_of(index, tmp_path / "run", options, masks=0.5, unmasked="pseudo_labels")
    last = len(index.split("val")) * 2 / 8 / 3 / 60
    assert (found.teacher_minutes, found.minutes) == (pytest.approx(2), pytest.approx(5 + last))


@pytest.mark.parametrize(
    ("fields", "steps", "checks"),
    [
        ({"steps": 2000, "unmasked": "pseudo_labels"}, 3 * 300, 1),
        ({"steps": 40, "unmasked": "pseudo_labels"}, 3 * 10, 1),
        ({"steps": 40, "unmasked": "words", "text": "reports"}, 3 * 10, 2),
        ({"steps": 40, "unmasked": "words", "text": "reports", "teacher_steps": 70}, 210, 2),
        ({"max_minutes": 5.0, "unmasked": "pseudo_labels", "teacher_steps": 70}, 210, 1),
    ],
)
@pytest.mark.usefixtures("seconds")
def test_teachers_of_images_without_mask_take_the_time_of_their_own_steps(
    index: DatasetIndex,
    tmp_path: Path,
    tiny_options: dict[str, Any],
    fields: dict[str, Any],
    steps: int,
    checks: int,
) -> None:
    found = forecast_of(index, tmp_path / "run", {**tiny_options, "epochs": None}, masks=0.5, **fields)
    masked, others = found.with_mask, found.images["train"] - found.with_mask
    assert masked > 2
    assert others > 2
    # Images with a mask are checked, with words also without them; three teachers draw the others. All are
    # mirrored too. A step of 8 images takes 2 s, an image without gradients a third of its part.
    passes = 2 * (checks * masked + 3 * others)
    assert found.teacher_minutes == pytest.approx((steps * 2 + passes * 2 / 8 / 3) / 60)


@pytest.mark.usefixtures("seconds")
def test_no_teacher_takes_time_where_words_name_no_places(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    file = tmp_path / "number.yaml"
    file.write_text(yaml.safe_dump(load_vocabulary("chest").only(["count"]).to_dict()), encoding="utf-8")
    words = {"masks": 0.5, "text": "reports", "vocabulary": str(file)}
    found = forecast_of(index, tmp_path / "run", {**tiny_options, "epochs": None}, max_minutes=5.0, **words)
    last = len(index.split("val")) * 2 / 8 / 3 / 60
    assert (found.teacher_minutes, found.minutes) == (0, pytest.approx(5 + last))
    assert "pseudo_labels.safetensors" not in found.files


@pytest.mark.usefixtures("seconds")
def test_errors_of_the_training_are_found(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x", encoding="utf-8")
    with refuses("LEX-RUN-006", "already exists"):
        forecast_of(index, tmp_path / "taken", tiny_options)
    root = shutil.copytree(index.root, tmp_path / "data")
    for mask in (root / "Val_Folder" / "labelcol").iterdir():
        mask.unlink()
    with refuses("LEX-DATA-125", "Missing masks"):
        forecast_training(root, tmp_path / "run", **tiny_options)


@pytest.mark.usefixtures("seconds")
def test_what_several_devices_cannot_train_is_found(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], tiny_run: Run
) -> None:
    with refuses("LEX-USE-1291", "--devices 1"):
        forecast_of(index, tmp_path / "run", tiny_options, devices=2, masks=0.5, unmasked="pseudo_labels")
    with refuses("LEX-USE-1569", "--devices 1"):
        forecast_of(index, tmp_path / "run", tiny_options, devices=2, teachers=[str(tiny_run.path)])


@pytest.mark.usefixtures("seconds")
def test_the_fit_is_that_of_the_training(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], tiny_run: Run
) -> None:
    options = {**tiny_options, "text": "none"}
    assert forecast_of(index, tmp_path / "run", options, fit="auto").steps > 0
    with refuses("LEX-USE-1333", "fit: tiles"):
        forecast_of(index, tmp_path / "run", options, fit="tiles", masks=0.5, unmasked="pseudo_labels")
    with refuses("LEX-USE-1567", "fit: pad"):
        forecast_of(index, tmp_path / "run", options, fit="pad", teachers=[str(tiny_run.path)])
    with refuses("LEX-USE-1330", "fit: "):
        forecast_training(index.root, tmp_path / "run", preset="paper", text="none", fit="pad")


@pytest.mark.usefixtures("seconds")
def test_tiles_and_what_follows_the_last_step_take_time(tmp_path: Path, tiny_options: dict[str, Any]) -> None:
    data = tmp_path / "data"
    write_phantom(data, num_train=24, num_val=20, num_test=1, size=160, seed=1)
    options = {**tiny_options, "text": "none", "epochs": None, "steps": 50}
    picture = 2 / 8 / 3
    stretched = forecast_training(data, tmp_path / "run", **options)
    # 24 + 20 images are described; 20 are scored twice between steps, and once after them.
    assert stretched.minutes == pytest.approx((50 * 2 + (3 * 20 + 44) * picture) / 60)
    tiled = forecast_training(data, tmp_path / "run", **options, fit="tiles", val_cases=100)
    per_case = 1 + len(tiles((160, 160), 64))
    between = max(8, 100 // per_case)
    assert 8 <= between < 20
    pictures = (2 * between + 20) * per_case + 44
    assert tiled.minutes == pytest.approx((50 * 2 + pictures * picture) / 60)


def test_phases_by_hand() -> None:
    assert [(p.share, p.size, p.frozen) for p in phases_of(LoopSettings(), 224)] == [(1, 224, False)]
    small = phases_of(LoopSettings(small_first=0.5, freeze_early=True), 224)
    assert [(p.share, p.size, p.frozen) for p in small] == [(0.5, 160, False), (0.5, 224, True)]
    several = phases_of(LoopSettings(small_first=0.25, main_size=160, full_last=0.25), 224)
    found = [(p.share, p.size, p.frozen) for p in several]
    assert found == [(0.25, 128, False), (0.5, 160, False), (0.25, 224, False)]
    assert [p.size for p in phases_of(LoopSettings(small_first=1.0), 224)] == [160]


def test_small_images_and_frozen_layers_make_steps_faster(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(*_: object, size: int, frozen: bool, **__: object) -> float:
        return {(64, False): 1.0, (96, True): 3.0, (96, False): 4.0}[size, frozen]

    monkeypatch.setattr(step_times, "step_seconds", seconds)
    val = len(index.split("val"))
    options = {**tiny_options, "text": "none", "epochs": None, "image_size": 96, "small_first": 0.5}
    found = forecast_of(index, tmp_path / "run", options, steps=50)
    assert found.seconds_per_step == 2
    assert found.minutes == pytest.approx((50 * 2 + 3 * val * 4 / 8 / 3) / 60)
    timed = forecast_of(index, tmp_path / "run", options, max_minutes=5.0)
    validation = val * 4 / 8 / 3 / 25
    assert timed.steps == int(150 / (1 + validation) + 150 / (3 + validation))


def test_a_step_is_measured(index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any]) -> None:
    found = forecast_of(index, tmp_path / "run", {**tiny_options, "text": "none"})
    assert 0 < found.seconds_per_step < 60


def test_a_dry_run_does_not_resume(tmp_path: Path) -> None:
    line = ["train", str(tmp_path), "-o", str(tmp_path / "run"), "--dry-run", "--resume"]
    done = CliRunner().invoke(app, line)
    assert getattr(done.exception, "code", None) == "LEX-USE-1170"


def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for dry in ([], ["--dry-run"]):
        line = ["train", str(tmp_path), "-o", str(tmp_path / "run"), "--device", "cuda", *dry]
        done = CliRunner().invoke(app, line)
        assert getattr(done.exception, "code", None) == "LEX-USE-1289"
    assert list(tmp_path.glob("run/*")) == []


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ((), {"accelerator": None, "precision": None}),
        (("--device", "cpu", "--precision", "fp32"), {"accelerator": "cpu", "precision": "fp32"}),
        (("--device", "cuda", "--precision", "bf16"), {"accelerator": "cuda", "precision": "bf16"}),
        (("--device", "auto", "--precision", "auto"), {"accelerator": "auto", "precision": "auto"}),
    ],
)
def test_device_and_precision_of_the_command(
    given: tuple[str, ...], fields: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def note(data: Path, out: Path, **options: Any) -> None:
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(lexiseg, "train", note)
    CliRunner().invoke(app, ["train", str(tmp_path), "-o", str(tmp_path / "run"), *given])
    assert {name: asked[name] for name in fields} == fields


def test_a_network_that_several_devices_cannot_train_is_refused(
    index: DatasetIndex, tmp_path: Path, tiny_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = SimpleNamespace(network=nn.Sequential(nn.BatchNorm1d(2)))
    monkeypatch.setattr(Training, "module", lambda _: module)
    with refuses("LEX-USE-1290", "BatchNorm1d", "--devices 1"):
        forecast_of(index, tmp_path / "run", tiny_options, devices=2)
