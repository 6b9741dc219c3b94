"""Shards are disjoint and together complete, and their results join to one list."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexiseg.inference.batches.batch import predict_to_files
from lexiseg.inference.batches.shards import SHARD_FILE, join_shards, predict_shard
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.inputs.target_list import Shard, TargetList
from lexiseg.inference.inputs.target_search import find_images
from lexiseg.inference.options import PredictionOptions
from lexiseg.inference.writers.tar import into_archives
from refusals import refuses
from threshold_predictor import Thresholds, write_image

NAMES = [f"exam{number % 3}/image-{number:02}" for number in range(20)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in NAMES:
        write_image(tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


def predict(images: Path, out: Path, *numbers: int, count: int = 3, predictor: Any = None) -> None:
    for number in numbers:
        targets, shard = find_images([images], out=out).targets, Shard(number=number, count=count)
        predict_shard(predictor or Thresholds(), targets, out, shard=shard)


def test_a_shard_is_parsed() -> None:
    assert Shard.parse(" 3/16 ") == Shard(number=3, count=16)
    assert Shard(number=3, count=16).folder == "shard-03-of-16"
    for text in ("0/4", "5/4", "1/0"):
        with refuses("LEX-USE-1280", text):
            Shard.parse(text)
    for text in ("3", "3/", "-1/4", "a/b", "1/2/3", "1.0/2"):
        with refuses("LEX-USE-1281", repr(text)):
            Shard.parse(text)


@given(
    st.sets(st.text(min_size=1).filter(lambda s: "/" not in s and s != "."), max_size=50), st.integers(1, 7)
)
def test_each_image_is_in_one_shard(names: set[str], count: int) -> None:
    shards = [Shard(number=number, count=count) for number in range(1, count + 1)]
    for name in names:
        target = Target(image=Path("in") / name, name=Path(name))
        assert sum(shard.holds(target) for shard in shards) == 1


def test_the_parts_are_the_same_for_ever() -> None:
    """Machines with other versions must agree, so the rule is fixed: SHA-256 of the name."""
    shard = Shard(number=2, count=3)
    held = [n for n in NAMES[:8] if shard.holds(Target(image=Path("x"), name=Path(n)))]
    assert held == ["exam2/image-02", "exam0/image-03", "exam0/image-06"]


def test_joined_shards_hold_all_images_once(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (images / NAMES[4]).with_suffix(".png").write_bytes(b"no image")
    predict(images, out, 3, 1, 2)
    joined = join_shards(out)
    assert (joined.shards, joined.images, joined.failed) == (3, 20, 1)
    lines = [json.loads(line) for line in joined.results.read_text().splitlines()]
    assert sorted(line["image"] for line in lines) == sorted(str(images / f"{name}.png") for name in NAMES)
    for line in lines:
        assert "error" in line or (out / line["mask"]).is_file()
    predict_to_files(Thresholds(), find_images([images]).targets, tmp_path / "one")  # type: ignore[arg-type]
    whole = {line["image"]: line for line in map(json.loads, (tmp_path / "one" / "predictions.jsonl").open())}
    for line in lines:
        if "mask" in line:
            line["mask"] = line["mask"].partition("/")[2]
        assert line == whole[line["image"]]
    before = joined.results.read_bytes()
    assert join_shards(out).results.read_bytes() == before


def test_joined_lines_name_the_archives_of_the_shards(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        targets, shard = find_images([images], out=out).targets, Shard(number=number, count=2)
        predict_shard(Thresholds(), targets, out, shard=shard, formats=into_archives(("mask",), 4))  # type: ignore[arg-type]
    lines = [json.loads(line) for line in join_shards(out).results.open()]
    assert len(lines) == 20
    for line in lines:
        assert line["mask"] is None
        with tarfile.open(out / line["archive"]) as archive:
            assert f"{line['name']}.mask.png" in archive.getnames()


def test_shards_below_the_images_are_no_images(images: Path) -> None:
    predict(images, images / "out", 1, 2, 3)
    assert len(find_images([images], out=images / "out").targets) == 20
    write_image(images / "out" / "shard-1-of-3" / "masks" / "new.png")  # another process writes it now
    assert len(find_images([images], out=images / "out").targets) == 20


def test_more_shards_than_images(images: Path, tmp_path: Path) -> None:
    predict(images / "exam0", tmp_path / "out", *range(1, 31), count=30)
    assert join_shards(tmp_path / "out").images == 7


def test_shards_at_a_url_are_refused() -> None:
    with refuses("LEX-USE-1834", "s3://bucket/out is a URL", "Copy the folders"):
        join_shards("s3://bucket/out")


def test_a_missing_shard_is_named(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", 1, 3)
    with refuses("LEX-DATA-1284", "2/3", "Missing or not finished: 1 of 3 shards"):
        join_shards(tmp_path / "out")
    assert not (tmp_path / "out" / "predictions.jsonl").exists()


def test_no_shards_and_shards_of_two_jobs(images: Path, tmp_path: Path) -> None:
    with refuses("LEX-DATA-1283", "found none"):
        join_shards(tmp_path / "nothing")
    predict(images, tmp_path / "out", 1, 2, count=2)
    predict(images, tmp_path / "out", 1, count=3)
    with refuses("LEX-DATA-1283", "shards of 2 and of 3"):
        join_shards(tmp_path / "out")


def test_shards_of_different_jobs_are_refused(images: Path, tmp_path: Path) -> None:
    other = Thresholds()
    other.options = PredictionOptions(flip_average=True)
    predict(images, tmp_path / "out", 1, 2)
    predict(images, tmp_path / "out", 3, predictor=other)
    with refuses("LEX-DATA-1285", "Shard 3", "flip_average"):
        join_shards(tmp_path / "out")
    write_image(images / "late.png")
    predict(images, tmp_path / "out", 3)
    with refuses("LEX-DATA-1285", "images"):
        join_shards(tmp_path / "out")


def test_damaged_shards_are_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(images, out, 1, 2, 3)
    file = out / "shard-2-of-3" / "predictions.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))
    with refuses("LEX-DATA-1282", "19 lines", "20 images"):
        join_shards(out)
    file.write_bytes(b"{" + b"".join(lines))
    with refuses("LEX-DATA-1286", "line 1"):
        join_shards(out)
    (out / "shard-2-of-3" / SHARD_FILE).write_text("{}")
    with refuses("LEX-DATA-550", SHARD_FILE):
        join_shards(out)
    assert not (out / "predictions.jsonl").exists()


def test_a_list_of_images_is_a_sequence(images: Path) -> None:
    targets = find_images([images]).targets
    assert targets[0] == targets[-20] == next(iter(targets))
    assert targets[2:4] == (targets[2], targets[3])
    with pytest.raises(IndexError):
        targets[20]
    names = TargetList()
    kind = names.add_kind(lambda text: Target(image=Path(text), name=Path(text)))
    for text in ("a", "", "\udcff", "\U0001f600"):
        names.append(kind, text)
    assert [str(target.name) for target in names] == ["a", ".", "\udcff", "\U0001f600"]
