"""Lexiseg's folder layout: `images/ masks/ [reports.csv|xlsx]`, split by subfolders or `splits.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.layouts.folder_pairs import TABLES_ADVICE, FolderPairs
from lexiseg.data.layouts.image_splits import split_images
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, pair
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.layouts.volume_slices import labels_of_series, volume_slices
from lexiseg.data.sample import SPLITS, Split

_IMAGES, _MASKS = "images", "masks"


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / _IMAGES).is_dir() or any((root / split / _IMAGES).is_dir() for split in SPLITS)


def scan(root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], *, seed: int) -> Scan:
    """Find images, masks and reports, and split the images if they are not split yet."""
    files = FolderPairs()
    outer = {split: root / split for split in SPLITS if (root / split / _IMAGES).is_dir()}
    inner = {split: root / _IMAGES / split for split in SPLITS if (root / _IMAGES / split).is_dir()}
    if outer:
        for split, folder in outer.items():
            _pair(files, folder / _IMAGES, folder / _MASKS, split)
            files.add_reports(folder, [image for image, of in files.splits.items() if of == split])
    elif inner:
        for split, folder in inner.items():
            _pair(files, folder, root / _MASKS / split, split)
    else:
        _pair(files, root / _IMAGES, root / _MASKS, None)
        split_images(files, root, stated, cases, seed=seed)
    files.add_reports(root, list(files.masks))
    files.left_out += unread_files(
        root,
        files.folders,
        of_splits=[root / _IMAGES, root / _MASKS] if inner and not outer else [],
        sheets=files.sheets,
        tables_in=[root, *outer.values()],
        advice=TABLES_ADVICE,
        with_volumes=True,
    )
    return files.scan(root, LAYOUT.name, stated, cases)


def _pair(files: FolderPairs, images: Path, masks: Path, split: Split | None) -> None:
    """Pair one folder of images with one of masks."""
    files.folders += [images, masks]
    slices = volume_slices(images, masks)
    files.faults += slices.faults
    pictures = image_files(images)
    single, labels = labels_of_series(pictures, image_files(masks) if masks.is_dir() else [])
    files.add_pairs(pair([*pictures, *slices.images], [*single, *labels, *slices.masks]), split)


#: "folders" in the files of a run: the layout of Lexiseg itself.
LAYOUT = Layout(
    name="folders",
    description="images/ and masks/ (with optional train/val/test subfolders, splits.json, reports.csv)",
    matches=matches,
    scan=scan,
)
