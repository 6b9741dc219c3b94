"""The registry of folder layouts; `FLAT` shows a whole layout, as a module of `data/layouts/` holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import save_image, save_mask

from lexiseg.data import SPLITS, open_dataset
from lexiseg.data.layouts import registry
from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.scan import Scan
from refusals import refuses


def matches(root: Path) -> bool:
    return any(root.glob("*_photo.png"))


def scan(folder: DatasetFolder) -> Scan:
    """Find `SPLIT_NAME_photo.png` and `SPLIT_NAME_truth.png`, all in one folder."""
    found = []
    for split in SPLITS:
        for image in sorted(folder.root.glob(f"{split}_*_photo.png")):
            mask = image.with_name(image.name.replace("_photo", "_truth"))
            found.append(ImageRecord(image=image, mask=mask if mask.is_file() else None, split=split))
    samples, assumptions = assemble(found, folder)
    return Scan(root=folder.root, layout=FLAT.name, samples=samples, assumptions=tuple(assumptions))


FLAT = Layout(name="flat", description="NAME_photo.png beside NAME_truth.png", matches=matches, scan=scan)


@pytest.fixture
def flat_folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("train_a", "train_b", "val_c", "test_d")):
        save_image(tmp_path / f"{name}_photo.png", seed)
        save_mask(tmp_path / f"{name}_truth.png")
    return tmp_path


@pytest.fixture
def with_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LAYOUTS", (*registry.LAYOUTS, FLAT))


def test_the_names_in_the_files_of_a_run_stay() -> None:
    assert [layout.name for layout in registry.LAYOUTS] == ["published", "csvs", "folders", "nnunet"]


def test_a_folder_of_an_unlisted_layout_is_refused_with_all_known_ones(flat_folder: Path) -> None:
    with refuses(
        "LEX-DATA-030", "Expected one of: Train_Folder/", "; or train_data.csv, ", "; or images/ and masks/"
    ):
        open_dataset(flat_folder)


@pytest.mark.usefixtures("with_flat")
def test_a_listed_layout_is_found_and_opened(flat_folder: Path) -> None:
    data = open_dataset(flat_folder)
    assert data.layout == "flat"
    assert [(s.id, s.split) for s in data.samples] == [
        ("train_a_photo", "train"),
        ("train_b_photo", "train"),
        ("val_c_photo", "val"),
        ("test_d_photo", "test"),
    ]
    assert data.samples[2].mask == flat_folder / "val_c_truth.png"
    assert data.class_names == ("background", "lesion")


@pytest.mark.usefixtures("with_flat")
def test_a_listed_layout_is_checked_and_named_as_the_others_are(flat_folder: Path, tmp_path: Path) -> None:
    (flat_folder / "val_c_truth.png").unlink()
    with refuses("LEX-DATA-027", "no mask for 1 of 4 images"):
        open_dataset(flat_folder)
    (tmp_path / "none").mkdir()
    with refuses("LEX-DATA-023", "or NAME_photo.png beside NAME_truth.png"):
        open_dataset(tmp_path / "none")


@pytest.mark.usefixtures("with_flat")
def test_the_first_layout_that_matches_is_used(flat_folder: Path) -> None:
    (flat_folder / "images").mkdir()
    layout = registry.find_layout(flat_folder)
    assert layout is not None
    assert layout.name == "folders"
    assert registry.find_layout(flat_folder / "images") is None
