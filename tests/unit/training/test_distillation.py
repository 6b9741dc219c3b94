"""Distillation: the loss by hand, the averaged masks, and the runs that cannot teach."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.json_records import write_record
from lexiseg.runs.image_hashes import ImageHashesRecord, image_hashes, read_image_hashes
from lexiseg.runs.run import Run
from lexiseg.runs.splits import SplitsRecord, write_splits_record
from lexiseg.systems.configuration import TrainConfig
from lexiseg.training.config import make_config
from lexiseg.training.distillation import soft_targets as distillation
from lexiseg.training.distillation.soft_targets import DistillationModule, SoftTargets, soft_targets
from lexiseg.training.distillation.teacher_runs import (
    check_distillation,
    check_same_teachers,
    open_teachers,
    with_teachers,
)
from lexiseg.training.distributed.ranks import ALONE, Ranks
from lexiseg.training.inputs.batch import Batch
from lexiseg.training.inputs.sample_cache import DecodedSamples
from lexiseg.training.steps.progress import Progress
from lexiseg.training.train import train
from lexiseg.training.unmasked_images import MaskUse
from refusals import refuses

QUIET = Console(quiet=True)


class Fixed(nn.Module):
    """Answers with given logits."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.answer = SimpleNamespace(logits=logits, retrieval={})

    def forward(self, image: Tensor) -> Any:
        return self.answer


def config_of(**fields: Any) -> TrainConfig:
    return make_config({"steps": 2, "freeze_early": False, "ema_decay": 0, **fields})


def test_true_and_soft_masks_share_the_loss() -> None:
    def objective(output: Any, labels: Tensor, indices: Tensor) -> dict[str, Tensor]:
        return {
            "cross_entropy": torch.tensor(0.5), "dice": torch.tensor(0.25), "total": torch.tensor(0.75 + 0.1)
        }  # fmt: skip

    # A score of 0 is a probability of 1/2; the first soft mask is certain, the second is 102/255.
    module = DistillationModule(
        Fixed(torch.zeros(2, 1, 2, 2)), objective, config=config_of(teachers=["any"], teacher_share=0.25),  # type: ignore[arg-type]
        progress=Progress(total_steps=2, max_minutes=None), steps_per_epoch=2, mean=(0, 0, 0), std=(1, 1, 1),
    )  # fmt: skip
    picture = torch.full((2, 1, 2, 2), 255, dtype=torch.uint8)
    picture[1] = 102
    batch = Batch(
        image=torch.zeros(2, 3, 2, 2, dtype=torch.uint8),
        labels=torch.zeros(2, 1, 2, 2, dtype=torch.uint8),
        indices=torch.zeros(2, 0, dtype=torch.int64),
        masked=torch.tensor([True, True]),
        picture=picture,
        weight=torch.ones(2),
    )
    parts = module.loss_parts(batch)
    # Cross-entropy log 2 for both; differences over sums plus 1: 2 / (2 + 4 + 1) and 0.4 / (2 + 1.6 + 1).
    soft = math.log(2) + (2 / 7 + 0.4 / 4.6) / 2
    assert parts["soft"].item() == pytest.approx(soft)
    assert parts["total"].item() == pytest.approx(0.75 * 0.75 + 0.25 * soft + 0.1)


def test_soft_masks_are_shown_at_the_training_size() -> None:
    stored = np.full((2, 2, 4, 4), 60, np.uint8)
    stored[1, 1] = 200
    targets = SoftTargets(stored, size=8)
    assert targets.picture(0).shape == (8, 8, 2)
    assert targets.picture(1)[..., 0].tolist() == [[60] * 8] * 8
    assert targets.picture(1)[..., 1].tolist() == [[200] * 8] * 8


@pytest.fixture
def second(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that may be changed."""
    return Run.open(shutil.copytree(tiny_run.path, tmp_path / "second"))


def test_teachers_are_averaged_and_drawn_once(
    tiny_run: Run, second: Run, index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def drawn(run: Run, pixels: Any, config: Any, *, title: str, console: Console) -> npt.NDArray[np.uint8]:
        calls.append(title)
        # 60 by the first; 121 by the second, which sees images of twice the size.
        own = run.path == tiny_run.path
        return np.full(
            (len(pixels), 1, 32, 32) if own else (len(pixels), 1, 64, 64), 60 if own else 121, np.uint8
        )

    monkeypatch.setattr(distillation, "_drawn", drawn)
    large = Run(second.path, second.manifest.model_copy(update={"image_size": 128}))
    samples = index.split("train")
    pixels = DecodedSamples(samples, index.coding, size=64)
    for _ in range(2):
        found = soft_targets(
            [tiny_run, large], config_of(image_size=64), pixels=pixels, samples=samples, coding=index.coding,
            folder=tmp_path / "teachers", console=QUIET,
        )  # fmt: skip
        assert found.picture(3).shape == (64, 64, 1)
        assert set(np.unique(found.picture(3))) == {91}  # 90.5, rounded up
    assert [title.split(" (")[0] for title in calls] == ["Teacher 1 of 2", "Teacher 2 of 2"]


def test_a_teacher_draws_what_it_predicts(tiny_run: Run, index: DatasetIndex, tmp_path: Path) -> None:
    """Without mirroring, the soft mask is the probability map of the prediction, at half the size."""
    from lexiseg import load

    samples = index.split("train")[:2]
    pixels = DecodedSamples(samples, index.coding, size=64)
    config = config_of(image_size=64, augment={"horizontal_flip": 0}, accelerator="cpu")
    targets = soft_targets(
        [tiny_run],
        config,
        pixels=pixels,
        samples=samples,
        coding=index.coding,
        folder=tmp_path,
        console=QUIET,
    )
    predictor = load(tiny_run.path, engine="torch")
    for position, sample in enumerate(samples):
        wanted = predictor.predict(sample.image).probability[
            0
        ]  # images of 64 px are neither stretched nor shrunk
        halves = wanted.reshape(32, 2, 32, 2).mean(axis=(1, 3))
        stored = targets._probability[position, 0]
        assert np.abs(stored / 255 - halves).max() <= 0.5 / 255 + 1e-4


def test_a_finished_run_of_the_same_split_can_teach(tiny_run: Run, second: Run, index: DatasetIndex) -> None:
    config = config_of(teachers=[str(tiny_run.path), str(second.path)])
    runs = open_teachers(index, config, QUIET)
    assert [run.path for run in runs] == [tiny_run.path, second.path]
    manifest = with_teachers(tiny_run.manifest, runs, config)
    assert manifest.training.distillation is not None
    names = [(teacher.name, teacher.image_size) for teacher in manifest.training.distillation.teachers]
    assert names == [(tiny_run.path.name, 64), ("second", 64)]
    check_same_teachers(Run(tiny_run.path, manifest), runs, config)
    assert with_teachers(tiny_run.manifest, (), config) == tiny_run.manifest


def test_teachers_whose_weights_changed_are_refused(tiny_run: Run, second: Run, index: DatasetIndex) -> None:
    config = config_of(teachers=[str(second.path)])
    started = Run(tiny_run.path, with_teachers(tiny_run.manifest, [second], config))
    with open(second.weights_file, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x00")
    with refuses("LEX-RUN-1566", "other weights"):
        check_same_teachers(started, open_teachers(index, config, QUIET), config)


def test_runs_that_cannot_teach_are_refused(second: Run, index: DatasetIndex) -> None:
    config = config_of(teachers=[str(second.path)])
    with refuses("LEX-USE-1562", "named twice"):
        open_teachers(index, config_of(teachers=[str(second.path)] * 2), QUIET)
    with refuses("LEX-RUN-001", "run folder at runs/none"):
        open_teachers(index, config_of(teachers=["runs/none"]), QUIET)
    kept = second.manifest
    second.updated(training=kept.training.model_copy(update={"finished": False}))
    with refuses("LEX-RUN-1563", "is not finished"):
        open_teachers(index, config, QUIET)
    second.updated(fit="pad")
    with refuses("LEX-USE-1564", "fit: pad"):
        open_teachers(index, config, QUIET)
    second.updated(class_names=("background", "lesion", "scar"))
    with refuses("LEX-DATA-140", "segments lesion, scar"):
        open_teachers(index, config, QUIET)
    second.save()
    (second.path / "splits.json").unlink()
    with refuses("LEX-RUN-1565", "does not say which images"):
        open_teachers(index, config, QUIET)


@pytest.mark.parametrize(
    ("learned", "leaks"),
    [("val", True), ("test", True), ("train", False)],
)
def test_a_teacher_of_validation_or_test_images_is_refused(
    second: Run, index: DatasetIndex, learned: Any, leaks: bool
) -> None:
    ids = tuple(sample.id for sample in index.split(learned))
    write_splits_record(second.path, SplitsRecord(train=ids[:1]))
    config = config_of(teachers=[str(second.path)])
    if leaks:
        with refuses("LEX-DATA-139", f"The {learned} split", "holds 1 image", "trained or selected"):
            open_teachers(index, config, QUIET)
    else:
        open_teachers(index, config, QUIET)


def test_a_teacher_that_was_selected_on_test_images_is_refused(second: Run, index: DatasetIndex) -> None:
    write_splits_record(second.path, SplitsRecord(val=tuple(sample.id for sample in index.split("test"))))
    with refuses("LEX-DATA-139", "The test split"):
        open_teachers(index, config_of(teachers=[str(second.path)]), QUIET)


def test_a_teacher_of_other_data_is_said(second: Run, index: DatasetIndex) -> None:
    console = Console(record=True, width=400, file=open("/dev/null", "w"))  # noqa: SIM115
    named = dataclasses.replace(index, name="another name")
    open_teachers(named, config_of(teachers=[str(second.path)]), console)
    said = console.export_text()
    assert "image names of two data sets cannot be compared. No validation or test image is the same" in said
    # A run that was shared, or one of an early version.
    (second.path / "image_hashes.json").unlink()
    open_teachers(named, config_of(teachers=[str(second.path)]), console)
    assert "holds no hashes of its images, so the files are not compared either" in console.export_text()


@pytest.mark.parametrize(
    ("scored", "learned", "leaks"),
    [("val", "train", True), ("test", "train", True), ("test", "val", True), ("val", "val", False)],
)
def test_a_teacher_of_the_same_files_is_refused_whatever_their_names(
    second: Run, index: DatasetIndex, scored: Any, learned: str, leaks: bool
) -> None:
    sample = index.split(scored)[-1]
    content = hashlib.sha256(sample.image.read_bytes()).hexdigest()
    write_record(second.path / "image_hashes.json", ImageHashesRecord.model_validate({learned: (content,)}))
    # Of another data set, with other names.
    write_splits_record(second.path, SplitsRecord(train=("a",), val=("b",)))
    named = dataclasses.replace(index, name="another name")
    config = config_of(teachers=[str(second.path)])
    if leaks:
        with refuses("LEX-DATA-1654", f"1 image of the {scored} split", sample.id, "files are equal"):
            open_teachers(named, config, QUIET)
    else:
        open_teachers(named, config, QUIET)


def test_hashes_tell_what_was_changed_under_the_same_names(index: DatasetIndex) -> None:
    before = image_hashes(index)
    first, second, *others = index.samples

    def changed(*samples: Sample) -> set[str]:
        found = image_hashes(dataclasses.replace(index, samples=(*samples, *others)))
        return {name for name, value in found if value != getattr(before, name)}

    assert changed(first, second) == set()
    assert changed(dataclasses.replace(first, report="Another one."), second) == {"reports"}
    swapped = [dataclasses.replace(a, mask=b.mask) for a, b in ((first, second), (second, first))]
    assert changed(*swapped) == {"masks"}
    swapped = [dataclasses.replace(a, image=b.image) for a, b in ((first, second), (second, first))]
    assert changed(*swapped) == {"images"}


def test_a_run_holds_the_hashes_of_its_images(second: Run, index: DatasetIndex) -> None:
    found = read_image_hashes(second.path)
    assert found == image_hashes(index)
    assert found is not None
    wanted = {hashlib.sha256(sample.image.read_bytes()).hexdigest() for sample in index.split("train")}
    assert set(found.train) == wanted
    assert len(found.val) == len(index.split("val"))
    (second.path / "image_hashes.json").write_text("{")
    with refuses("LEX-RUN-1650", "image_hashes.json"):
        read_image_hashes(second.path)


def test_teachers_need_masks_and_one_process(index: DatasetIndex) -> None:
    few = MaskUse(index=index, images_per_pass=16, left_out=(), unmasked="words")
    with refuses("LEX-USE-1568", "--unmasked leave_out"):
        check_distillation(index, few, ALONE, [])
    whole = dataclasses.replace(few, unmasked=None)
    check_distillation(index, whole, ALONE, [])
    with refuses("LEX-USE-1569", "--devices 1"):
        check_distillation(index, whole, Ranks(size=2), [])


def test_a_teacher_reveals_no_hidden_masks(second: Run, index: DatasetIndex) -> None:
    """It was trained on two images; the masks of one of them, or of none, are left out here."""
    known, hidden, other = (sample.id for sample in index.split("train")[:3])
    write_splits_record(second.path, SplitsRecord(train=(known, hidden, other), left_out=(other,)))
    write_record(second.path / "image_hashes.json", ImageHashesRecord())
    (teacher,) = open_teachers(index, config_of(teachers=[str(second.path)]), QUIET)
    use = MaskUse(index=index, images_per_pass=16, left_out=(hidden, other), unmasked=None)
    with refuses("LEX-USE-1580", "1 image", hidden):
        check_distillation(index, use, ALONE, [teacher])
    check_distillation(index, dataclasses.replace(use, left_out=(other,)), ALONE, [teacher])


def test_names_of_another_data_set_reveal_nothing_but_equal_files_do(
    second: Run, index: DatasetIndex
) -> None:
    known, hidden = index.split("train")[:2]
    use = MaskUse(index=index, images_per_pass=16, left_out=(hidden.id,), unmasked=None)
    named = dataclasses.replace(index, name="another name")

    def check(learned: str, file: Path) -> None:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        write_splits_record(second.path, SplitsRecord(train=(learned,)))
        write_record(second.path / "image_hashes.json", ImageHashesRecord(train=(content,)))
        check_distillation(named, use, ALONE, open_teachers(named, config, QUIET))

    config = config_of(teachers=[str(second.path)])
    check(hidden.id, known.image)
    with refuses("LEX-USE-1580", "1 image", hidden.id):
        check("renamed", hidden.image)


def test_a_teacher_with_teachers_is_refused(second: Run, index: DatasetIndex) -> None:
    config = config_of(teachers=[str(second.path)])
    taught = with_teachers(second.manifest, [second], config)
    with refuses("LEX-USE-1581", "learned from earlier runs"):
        open_teachers(index, config_of(teachers=[str(Run.create(second.path, taught).path)]), QUIET)


def test_teachers_draw_on_stretched_images(
    phantom: Path, tiny_run: Run, tmp_path: Path, tiny_options: dict[str, Any]
) -> None:
    with refuses("LEX-USE-1567", "fit: pad"):
        train(phantom, tmp_path / "run", **{**tiny_options, "fit": "pad", "teachers": [tiny_run.path]})


@pytest.mark.parametrize("model", ["stpnet", "cotexnet"])
def test_a_student_is_trained_and_its_run_names_its_teachers(
    phantom: Path, tiny_run: Run, tmp_path: Path, tiny_options: dict[str, Any], model: str
) -> None:
    run = train(phantom, tmp_path / "run", **{**tiny_options, "model": model, "teachers": [tiny_run.path]})
    record = run.manifest.training.distillation
    assert record is not None
    assert record.share == 0.5
    assert [teacher.weights_sha256 for teacher in record.teachers] == [tiny_run.weights_sha256()]
    assert "train/soft" in run.history[-1]
    assert not (run.path / "teachers").exists()
    card = (run.path / "model_card.md").read_text(encoding="utf-8")
    assert "Taught by the soft masks of tiny (lcnet_050, 64 px), which weigh 0.5." in card
    training = run.finished_training
    assert training.teacher_minutes is not None
    assert training.all_minutes == training.minutes + training.teacher_minutes
    assert f"minutes, after {training.teacher_minutes} minutes of teachers, seed" in card
    assert tiny_run.finished_training.teacher_minutes is None
    assert "minutes of teachers" not in (tiny_run.path / "model_card.md").read_text(encoding="utf-8")
