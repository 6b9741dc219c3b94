from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lexiseg.data.sample import Sample
from lexiseg.training.few_masks.pseudo_labels import SoftMasks
from lexiseg.training.inputs.examples import SampleLabels
from lexiseg.training.soft_masks import StoredMasks, most_probable
from refusals import refuses


def sample(name: str, *, mask: bool) -> Sample:
    return Sample(id=name, image=Path(f"{name}.png"), mask=Path("m.png") if mask else None, split="train")


@pytest.fixture
def labels() -> StoredMasks:
    probability = np.zeros((2, 1, 2, 2), np.uint8)
    probability[0, 0, 0, 0], probability[1, 0] = 200, 100
    return StoredMasks(ids=("b", "c"), probability=probability, weight=np.array([0.5, 1], np.float32))


def test_they_are_read_as_they_were_written(labels: StoredMasks, tmp_path: Path) -> None:
    labels.save(tmp_path / "labels.safetensors")
    again = StoredMasks.load(tmp_path / "labels.safetensors")
    assert again.ids == ("b", "c")
    assert (again.probability == labels.probability).all()
    assert again.weight.tolist() == [0.5, 1.0]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.safetensors").write_bytes(b"nothing")
    with refuses("LEX-RUN-832", "Delete the file and resume"):
        StoredMasks.load(tmp_path / "labels.safetensors")


@pytest.mark.parametrize("ids", ['["b"]', "[" * 5000, '{"b": 1, "c": 2}', '["b", 2]', '["b", NaN]', None])
def test_names_that_fit_no_labels_are_refused(labels: StoredMasks, tmp_path: Path, ids: str | None) -> None:
    tensors = {"probability": labels.probability, "weight": labels.weight}
    save_file(tensors, tmp_path / "labels.safetensors", metadata=None if ids is None else {"ids": ids})
    with refuses("LEX-RUN-832", "Delete the file and resume"):
        StoredMasks.load(tmp_path / "labels.safetensors")


def test_they_are_found_by_the_names_of_the_images(labels: StoredMasks) -> None:
    masks = SoftMasks(
        labels, [sample("c", mask=False), sample("a", mask=True), sample("b", mask=False)], size=4
    )
    assert isinstance(masks, SampleLabels)
    assert masks.picture(0).shape == (4, 4, 1)
    assert (masks.picture(0) == 100).all()
    assert (masks.picture(1) == 0).all()
    assert masks.picture(2)[0, 0, 0] == 200
    assert [masks.weight(k) for k in range(3)] == [1.0, 1.0, 0.5]
    assert masks.labels(2)[0, 0] == 1
    assert masks.labels(0).max() == 0


def test_the_most_probable_class() -> None:
    assert most_probable(np.array([[[127], [128]]], np.uint8)).tolist() == [[0, 1]]
    several = np.array([[[100, 20], [120, 130], [60, 110]]], np.uint8)  # backgrounds of 135, 5 and 85
    assert most_probable(several).tolist() == [[0, 2, 2]]
