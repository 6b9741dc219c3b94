"""Lexiseg's folder layout: `images/ masks/ [reports.csv|xlsx]`, split by subfolders or `splits.json`."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.layouts.dataset_folder import DatasetFolder, split_subfolders, subfolder
from lexiseg.data.layouts.folder_pairs import TABLES_ADVICE, FolderPairs
from lexiseg.data.layouts.image_splits import split_images
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, pair
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.layouts.volume_slices import labels_of_series, volume_files, volume_slices
from lexiseg.data.sample import SPLITS, Split

_IMAGES, _MASKS = "images", "masks"


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return subfolder(root, _IMAGES).is_dir() or bool(_outer(root))


def _outer(root: Path) -> dict[Split, Path]:
    """Return the folders of the splits that hold folders of images."""
    splits = split_subfolders(root)
    return {split: place for split, place in splits.items() if subfolder(place, _IMAGES).is_dir()}


def scan(folder: DatasetFolder) -> Scan:
    """Find images, masks and reports, and split the images if they are not split yet.

    Where no folder is that of training images, the images beside the folders of other splits are split into
    those that have none.
    """
    root, files = folder.root, FolderPairs()
    images, masks = subfolder(root, _IMAGES), subfolder(root, _MASKS)
    outer = _outer(root)
    inner = {} if outer else split_subfolders(images)
    for split, place in outer.items():
        _pair(files, subfolder(place, _IMAGES), subfolder(place, _MASKS), split)
        files.add_reports(place, [image for image, of in files.splits.items() if of == split])
    of_masks = split_subfolders(masks)
    for split, place in inner.items():
        _pair(files, place, of_masks.get(split, masks / split), split)
    others = [split for split in SPLITS if split not in outer | inner]
    unsplit = "train" in others and bool(image_files(images) or volume_files(images))
    if unsplit or others == [*SPLITS]:
        _pair(files, images, masks, None)
        split_images(files, folder, others)
    files.add_reports(root, list(files.masks))
    files.left_out += unread_files(
        root,
        files.folders,
        of_splits=[images, masks] if inner and not unsplit else [],
        sheets=files.sheets,
        tables_in=[root, *outer.values()],
        advice=TABLES_ADVICE,
        with_volumes=True,
    )
    return files.scan(folder, LAYOUT.name)


def _pair(files: FolderPairs, images: Path, masks: Path, split: Split | None) -> None:
    """Pair one folder of images with one of masks."""
    files.folders += [images, masks]
    slices = volume_slices(volume_files(images), volume_files(masks))
    files.faults += slices.faults
    pictures = image_files(images)
    single, labels = labels_of_series(pictures, image_files(masks))
    files.add_pairs(pair([*pictures, *slices.images], [*single, *labels, *slices.masks]), split)


#: "folders" in the files of a run: the layout of Lexiseg itself.
LAYOUT = Layout(
    name="folders",
    description="images/ and masks/ (with optional train/val/test subfolders, splits.json, reports.csv)",
    matches=matches,
    scan=scan,
)
