"""Croissant metadata: what mlcroissant reads is what the data set holds."""

import json
from pathlib import Path

import mlcroissant as mlc
import numpy as np
import pytest

from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.volumes.volume_names import stored_file
from lexiseg.sharing.croissant import write_croissant
from volume_files import BODY_SHAPE, body, corners, nifti, stored


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "phantom"
    write_phantom(folder, num_train=4, num_val=2, num_test=2, size=64, seed=3)
    return folder


def test_records_are_those_of_the_data_set(data: Path, tmp_path: Path) -> None:
    file = write_croissant(data, tmp_path / "croissant.json")
    read = mlc.Dataset(jsonld=str(file))
    assert not read.metadata.ctx.issues.errors
    records = {record["samples/id"]: record for record in read.records("samples")}
    samples = open_dataset(data).samples
    assert records.keys() == {sample.id for sample in samples}
    for sample in samples:
        record = records[sample.id]
        assert record["samples/split"] == sample.split
        assert data / record["samples/image"] == sample.image
        assert data / record["samples/mask"] == sample.mask
        assert record["samples/report"] == sample.report
        assert record["samples/patient"] == (sample.patient or "")


def test_facts_come_from_dataset_yaml(data: Path) -> None:
    stated = data / "dataset.yaml"
    before = stated.read_text() if stated.exists() else ""
    more = {
        "license": "CC-BY-4.0",
        "url": "https://example.org/chest",
        "citation": "Jane, 2026",
        "description": "Drawn chests.",
    }
    stated.write_text(before + "".join(f"{name}: {value}\n" for name, value in more.items()))
    file = write_croissant(data)
    assert file == data / "croissant.json"
    found = json.loads(file.read_text())
    assert found["license"] == "CC-BY-4.0"
    assert found["url"] == "https://example.org/chest"
    assert found["citeAs"] == "Jane, 2026"
    assert found["description"] == "Drawn chests."
    # The file in the folder of the data set changes nothing about the data set.
    assert len(open_dataset(data).samples) == 8


def test_slices_of_volumes_are_parts_of_real_files(tmp_path: Path) -> None:
    for number in range(3):
        for folder, values in (("images", body()), ("masks", corners(left=True).astype(np.int16))):
            (tmp_path / folder).mkdir(exist_ok=True)
            stem = f"p{number}" if folder == "images" else f"p{number}_seg"
            nifti(tmp_path / folder / f"{stem}.nii.gz", *stored(values, (0, 1, 2), (1, 1, 1)))
    found = json.loads(write_croissant(tmp_path).read_text())
    assert [entry["includes"] for entry in found["distribution"]] == ["**/*.nii.gz"]
    records = found["recordSet"][0]["data"]
    assert len(records) == 3 * BODY_SHAPE[2]
    for record in records:
        assert (tmp_path / record["samples/image"]).is_file()
        assert (tmp_path / record["samples/mask"]).is_file()
        assert record["samples/image_part"] == record["samples/mask_part"]
        assert record["samples/id"].endswith(record["samples/image_part"])


def test_a_segmentation_of_a_series_is_named_with_its_image(tmp_path: Path) -> None:
    (tmp_path / "seg.dcm").write_bytes(b"")
    assert stored_file(tmp_path / "seg.dcm" / "1.2.3" / "s0_label.png") == (tmp_path / "seg.dcm", "1.2.3")
    assert stored_file(tmp_path / "a_k01_label.png") == (tmp_path / "a_k01_label.png", "")
