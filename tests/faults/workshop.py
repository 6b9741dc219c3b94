"""What the commands work on: tiny data sets, a trained run, downloads, and a model that answers questions."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from tests.dicom_files import dicom_dataset

SPLITS = {"train": 8, "val": 3, "test": 3}
#: Trains in a second on images of this size.
SIZE = 32

CONFIG = (
    "precision: fp32\nworkers: 0\nbatch_size: 4\nimage_size: 64\nwidth: 16\nencoder: lcnet_050\n"
    "encoder_weights: none\nsmall_first: 0\n"
)

#: What the model answers; true of every image of the data set.
ANSWER = {"number": 1, "location": "center", "shape": "round", "size": "small", "color": "red"}


@dataclass(frozen=True)
class Workshop:
    """Where everything is; commands read it and write to `now`.

    Attributes:
        folder: The folder that holds everything.
        model_url: The address of the model's server.
    """

    folder: Path
    model_url: str

    @property
    def data(self) -> Path:
        """A data set with masks and without reports."""
        return self.folder / "data"

    @property
    def images(self) -> Path:
        """Images to predict."""
        return self.data / "images"

    @property
    def volumes(self) -> Path:
        """NIfTI volumes to predict."""
        return self.folder / "volumes"

    @property
    def radiographs(self) -> Path:
        """DICOM images for a pass of the gateway."""
        return self.folder / "radiographs"

    @property
    def gateway(self) -> Path:
        """The configuration of a gateway, whose only rule takes the radiographs."""
        return self.folder / "gateway.yaml"

    @property
    def download(self) -> Path:
        """A public data set as it is published."""
        return self.folder / "download"

    @property
    def config(self) -> Path:
        """The configuration of all trainings."""
        return self.folder / "tiny.yaml"

    @property
    def run(self) -> Path:
        """A trained run, which is only read."""
        return self.folder / "run"

    @property
    def other_run(self) -> Path:
        """A run of another seed, which is only read."""
        return self.folder / "other"

    @property
    def half_run(self) -> Path:
        """A run that was killed in its middle, which is copied before it is resumed."""
        return self.folder / "half"

    @property
    def now(self) -> Path:
        """Where a command writes; the same path in every draw, as some files name it."""
        return self.folder / "now"

    @property
    def out(self) -> Path:
        """What a command makes, in `now`."""
        return self.now / "out"


def furnish(shop: Workshop) -> None:
    """Write data and configuration."""
    _write_data(shop.data)
    _write_download(shop.download)
    _write_volumes(shop.volumes)
    _write_radiographs(shop.radiographs)
    shop.gateway.write_text(_gateway(shop))
    shop.config.write_text(CONFIG)


def _write_data(root: Path) -> None:
    """Write images of noise with a red disc of known place; no two are alike, and a name is not ASCII."""
    y, x = np.mgrid[:SIZE, :SIZE]
    splits: dict[str, list[str]] = {}
    for number, split in enumerate(split for split, count in SPLITS.items() for _ in range(count)):
        rng = np.random.default_rng(number)
        disc = (y - 15.5) ** 2 + (x - 15.5) ** 2 <= (4 + number % 3) ** 2
        image = rng.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
        image[disc] = (190, 50, 40 + number)
        name = "Röntgen-00" if number == 0 else f"case-{number:02}"
        for folder, pixels in (("images", image), ("masks", disc.astype(np.uint8) * 255)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{name}.png")
        splits.setdefault(split, []).append(name)
    (root / "splits.json").write_text(json.dumps(splits))
    (root / "dataset.yaml").write_text("vocabulary: polyp\nkeyword: polyp\n")


def _write_volumes(root: Path) -> None:
    """Write two volumes of noise with three slices each."""
    root.mkdir()
    for number in range(2):
        values = np.random.default_rng(2000 + number).integers(0, 256, (SIZE, SIZE, 3), dtype=np.int16)
        image = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 4.0, 1.0]))
        image.header.set_xyzt_units("mm")
        nibabel.save(image, root / f"ct-{number}.nii.gz")


def _write_radiographs(root: Path) -> None:
    """Write three radiographs of noise."""
    root.mkdir()
    for number in range(1, 4):
        pixels = np.random.default_rng(3000 + number).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
        image = dicom_dataset(pixels, number=number)
        image.save_as(root / f"{number}.dcm", enforce_file_format=True)


def _gateway(shop: Workshop) -> str:
    rule = {"name": "all", "modality": ["CR"], "run": str(shop.run), "write": ["seg"], "send_to": ["out"]}
    settings = {
        "state": str(shop.folder / "state"),
        "rules": [rule],
        "destinations": {"out": {"kind": "folder", "path": str(shop.folder / "sent")}},
        "batch": 2,
    }
    return json.dumps(settings)  # which is YAML too


def _write_download(root: Path) -> None:
    """Write CVC-ClinicDB as it is published, with images of noise."""
    with_rows = []
    for number in range(1, 13):
        rng = np.random.default_rng(1000 + number)
        mask = np.zeros((24, 32), np.uint8)
        mask[2:8, 4:14] = 255
        for folder, pixels in (
            ("Original", rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)),
            ("Ground Truth", mask),
        ):
            (root / "CVC-ClinicDB" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / "CVC-ClinicDB" / folder / f"{number}.tif")
        with_rows.append({"frame_id": number, "sequence_id": (number + 1) // 2, "frame_number": number})
    with open(root / "metadata.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(with_rows[0]))
        writer.writeheader()
        writer.writerows(with_rows)
