"""The hashes of a run: they tell any change of the files that hold images and masks, and nothing else."""

from __future__ import annotations

import dataclasses
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lexiseg.data import leaks
from lexiseg.data.layouts.open_dataset import open_dataset
from lexiseg.data.leaks import content_digests
from lexiseg.data.mask_histograms import mask_histogram
from lexiseg.data.readers import read_image
from lexiseg.data.sample import DatasetIndex
from lexiseg.data.volumes import slice_files
from lexiseg.runs.image_hashes import image_hashes
from lexiseg.training.resume import changed_files
from volume_files import nifti


def labels(row: int = 2) -> np.ndarray:
    found = np.zeros((16, 16, 4), np.int16)
    found[row : row + 6, 3:9] = 1
    return found


def write_labels(root: Path, number: int, values: np.ndarray) -> Path:
    return nifti(root / "masks" / f"p{number}.nii.gz", values, np.diag([1.0, 1, 3, 1]))


@pytest.fixture
def volumes(tmp_path: Path) -> DatasetIndex:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        values = np.random.default_rng(number).integers(0, 900, (16, 16, 4)).astype(np.int16)
        nifti(tmp_path / "images" / f"p{number}.nii.gz", values, np.diag([1.0, 1, 3, 1]))
        write_labels(tmp_path, number, labels())
    return open_dataset(tmp_path)


def changes(index: DatasetIndex, stored: DatasetIndex | None = None) -> list[str]:
    return changed_files(index, image_hashes(stored or index), reads_reports=True)


def learned_volume(index: DatasetIndex) -> Path:
    mask = index.split("train")[0].mask
    assert mask is not None
    return mask.parent


def test_changed_labels_of_a_volume(volumes: DatasetIndex) -> None:
    before = image_hashes(volumes)
    assert changed_files(volumes, before, reads_reports=True) == []
    changed = learned_volume(volumes)
    write_labels(volumes.root, int(changed.name[1]), labels(row=5))
    assert changed_files(volumes, before, reads_reports=True) == ["masks"]


def test_other_slices_of_a_volume(volumes: DatasetIndex) -> None:
    first, second = volumes.split("train")[:2]
    assert first.mask is not None
    assert second.mask is not None
    assert first.mask.parent == second.mask.parent
    swapped = [dataclasses.replace(a, mask=b.mask) for a, b in ((first, second), (second, first))]
    others = [sample for sample in volumes.samples if sample.id not in (first.id, second.id)]
    assert changes(dataclasses.replace(volumes, samples=(*swapped, *others)), volumes) == ["masks"]


def test_a_changed_volume_of_images(volumes: DatasetIndex) -> None:
    before = image_hashes(volumes)
    volume = volumes.split("train")[0].image.parent
    nifti(volume, np.zeros((16, 16, 4), np.int16), np.diag([1.0, 1, 3, 1]))
    (found,) = changed_files(volumes, before, reads_reports=True)
    assert found.startswith("training or validation images (p")


def test_another_encoder_of_slices_changes_nothing(
    volumes: DatasetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image_hashes(volumes)
    encoded = slice_files.slice_content

    def other_bytes(path: Path) -> bytes:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(encoded(path))).save(buffer, "PNG", dpi=(72, 72))
        return buffer.getvalue()

    monkeypatch.setattr(slice_files, "slice_content", other_bytes)
    leaks._file_at.cache_clear()
    after = image_hashes(volumes)
    leaks._file_at.cache_clear()
    assert after.train != before.train
    assert changed_files(volumes, before, reads_reports=True) == []


@pytest.mark.parametrize("changed", ["b0_mask.png", "b0_mask_1.png"])
def test_parts_of_a_mask(tmp_path: Path, volumes: DatasetIndex, changed: str) -> None:
    mask = tmp_path / "b0_mask.png"
    for path in (mask, tmp_path / "b0_mask_1.png"):
        Image.fromarray(np.uint8(labels()[..., 0] * 255)).save(path)
    first, *others = volumes.split("train")
    index = dataclasses.replace(volumes, samples=(dataclasses.replace(first, mask=mask), *others))
    before = image_hashes(index)
    Image.fromarray(np.uint8(labels(row=5)[..., 0] * 255)).save(tmp_path / changed)
    assert changed_files(index, before, reads_reports=True) == ["masks"]


def test_a_segmentation_of_a_series(tmp_path: Path, volumes: DatasetIndex) -> None:
    segmentation = tmp_path / "seg.dcm"
    segmentation.write_bytes(b"one")
    first, *others = volumes.split("train")
    mask = segmentation / "1.2.3" / "s1_label.png"
    index = dataclasses.replace(volumes, samples=(dataclasses.replace(first, mask=mask), *others))
    before = image_hashes(index)
    segmentation.write_bytes(b"two")
    assert changed_files(index, before, reads_reports=True) == ["masks"]


def test_data_files_of_a_header(tmp_path: Path, volumes: DatasetIndex) -> None:
    header = tmp_path / "a.mhd"
    header.write_text("NDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\nElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(b"\0\0\0\1")
    first, *others = volumes.split("train")
    mask = header / "a_k000_label.png"
    index = dataclasses.replace(volumes, samples=(dataclasses.replace(first, mask=mask), *others))
    before = image_hashes(index)
    (tmp_path / "a.raw").write_bytes(b"\0\0\1\1")
    assert changed_files(index, before, reads_reports=True) == ["masks"]


def test_what_is_kept_in_memory_follows_the_volume(volumes: DatasetIndex) -> None:
    sample = volumes.split("train")[0]
    assert sample.mask is not None
    digest, histogram = content_digests([sample.image]), mask_histogram(sample.mask)
    write_labels(volumes.root, int(sample.mask.parent.name[1]), 3 * labels())
    volume = sample.image.parent
    content = gzip.decompress(volume.read_bytes())
    volume.write_bytes(gzip.compress(content[:352] + content[352:][::-1]))
    assert read_image(sample.image).any()
    assert content_digests([sample.image]) != digest
    assert set(mask_histogram(sample.mask).counts) == {0, 3} != set(histogram.counts)
