"""Which images of a data set a run has learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from known_answers import make_run
from lexiseg.data.sample import Sample
from lexiseg.json_records import write_record
from lexiseg.runs.image_hashes import IMAGE_HASHES_FILE, ImageHashesRecord
from lexiseg.runs.learned_images import LearnedImages
from lexiseg.runs.manifest import (
    DataRecord,
    DistillationRecord,
    StartRecord,
    TeacherRunRecord,
    TrainingRecord,
)
from lexiseg.runs.splits import SplitsRecord, write_splits_record

SPLITS = SplitsRecord(
    train=("trained", "left_out"), val=("selected",), test=("tested",), left_out=("left_out",)
)


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    found = []
    for grey, name in enumerate(("trained", "left_out", "selected", "tested", "foreign")):
        file = tmp_path / f"{name}.png"
        picture = Image.new("L", (4, 4), grey)
        picture.putpixel((1, 1), 100)
        picture.save(file)
        found.append(Sample(id=name, image=file, mask=None, split="test"))
    return tuple(found)


@pytest.fixture
def learned_by(tmp_path: Path) -> Callable[..., LearnedImages]:
    def make(*, splits: SplitsRecord | None = None, hashes: ImageHashesRecord | None = None) -> LearnedImages:
        run, folder = make_run(text_source="none"), tmp_path / "run"
        folder.mkdir()
        if splits is not None:
            write_splits_record(folder, splits)
        if hashes is not None:
            write_record(folder / IMAGE_HASHES_FILE, hashes)
        manifest = run.manifest.model_copy(update={"data": DataRecord(name="lungs")})
        return LearnedImages(replace(run, path=folder, manifest=manifest))

    return make


def named(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.id for sample in samples]


def test_names_compare_in_data_of_the_same_name(learned_by: Any, samples: tuple[Sample, ...]) -> None:
    learned = learned_by(splits=SPLITS)
    assert (learned.knows_names, learned.knows_files) == (True, False)
    assert named(learned.by_name(samples, data="lungs")) == ["trained"]
    assert named(learned.by_name(samples, data="lungs", split="val")) == ["trained"]
    assert named(learned.by_name(samples, data="lungs", split="test")) == ["trained", "selected"]
    assert learned.by_name(samples, data="skin") == learned.in_splits(samples, data="skin") == ()
    assert learned.by_file(samples) == ()


def test_what_earlier_runs_have_learned_may_be_unknown(learned_by: Any) -> None:
    learned = learned_by(splits=SPLITS, hashes=ImageHashesRecord())
    assert learned.knows_all

    def after(**training: Any) -> LearnedImages:
        changed = {"training": TrainingRecord(**training)}
        return LearnedImages(replace(learned.run, manifest=learned.run.manifest.model_copy(update=changed)))

    start = StartRecord(name="earlier", data="skin", weights_sha256="0", images_known=True)
    assert after(start=start).knows_all
    assert not after(start=start.model_copy(update={"images_known": False})).knows_all
    assert not after(distillation=DistillationRecord(teachers=(), share=0.5)).knows_all
    # A run that was shared holds no hashes, which alone tell the images of its start.
    (learned.run.path / IMAGE_HASHES_FILE).unlink()
    assert not after(start=start).knows_all
    assert after().knows_all


def test_earlier_runs_whose_images_are_not_known_are_named(learned_by: Any) -> None:
    learned = learned_by(splits=SPLITS, hashes=ImageHashesRecord())
    assert learned.unknown_runs("lungs") == learned.unknown_runs("skin") == ()

    def after(**training: Any) -> LearnedImages:
        changed = {"training": TrainingRecord(**training)}
        return LearnedImages(replace(learned.run, manifest=learned.run.manifest.model_copy(update=changed)))

    start = StartRecord(name="first", data="skin", weights_sha256="0", images_known=True)
    teacher = TeacherRunRecord(name="third", data="lungs", encoder="e", image_size=64, weights_sha256="1")
    taught = after(start=start, distillation=DistillationRecord(teachers=(teacher,), share=0.5))
    # The training has compared its images with those of the teacher.
    assert (taught.unknown_runs("lungs"), taught.unknown_runs("skin")) == ((), ("third",))
    unknown = start.model_copy(update={"images_known": False})
    assert after(start=unknown).unknown_runs("lungs") == ("first",)
    (learned.run.path / IMAGE_HASHES_FILE).unlink()
    assert after(start=start).unknown_runs("lungs") == ("first",)


def test_images_that_took_no_part_are_in_the_splits(learned_by: Any, samples: tuple[Sample, ...]) -> None:
    learned = learned_by(splits=SPLITS)
    assert named(learned.in_splits(samples, data="lungs")) == ["trained", "left_out"]
    assert named(learned.in_splits(samples, data="lungs", split="test")) == [
        "trained",
        "left_out",
        "selected",
    ]


def test_files_compare_whatever_their_names(learned_by: Any, samples: tuple[Sample, ...]) -> None:
    digest = {sample.id: hashlib.sha256(sample.image.read_bytes()).hexdigest() for sample in samples}
    hashes = ImageHashesRecord(train=(digest["foreign"],), val=(digest["tested"],))
    learned = learned_by(hashes=hashes)
    assert (learned.knows_names, learned.knows_files) == (False, True)
    assert named(learned.by_file(samples)) == named(learned.by_file(samples, split="val")) == ["foreign"]
    assert named(learned.by_file(samples, split="test")) == ["tested", "foreign"]
    assert learned.by_name(samples, data="lungs") == ()


def test_a_picture_of_one_colour_taught_nothing(learned_by: Any, samples: tuple[Sample, ...]) -> None:
    empty = samples[0].image
    Image.new("L", (4, 4)).save(empty)
    digests = [hashlib.sha256(sample.image.read_bytes()).hexdigest() for sample in samples]
    learned = learned_by(hashes=ImageHashesRecord(train=tuple(digests[:2])))
    assert named(learned.by_file(samples)) == ["left_out"]
