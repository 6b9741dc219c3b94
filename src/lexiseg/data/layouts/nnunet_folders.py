"""The raw layout of nnU-Net: `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz` and `dataset.json`.

Data sets of the Medical Segmentation Decathlon, whose images have no channel in their names, are read too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lexiseg.data.dataset_yaml import DATASET_FILE
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.folder_pairs import TABLES_ADVICE, FolderPairs
from lexiseg.data.layouts.image_splits import split_images
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, pair, plain_stem
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.layouts.volume_slices import volume_files, volume_slices
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.volumes.volume_names import volume_stem
from lexiseg.printable import counted
from lexiseg.structured_text import read_json

_IMAGES, _LABELS = "imagesTr", "labelsTr"
_TEST_IMAGES, _TEST_LABELS = "imagesTs", "labelsTs"
_FACTS = "dataset.json"
_MASK_NAMES = "The label of CASE_0000 in imagesTr is CASE in labelsTr; that of imagesTs is in labelsTs."

#: The channel that is read, at the end of the names of images.
_CHANNEL = "_0000"
_ANY_CHANNEL = re.compile(r"_[0-9]{4}$")
_LARGEST_LABEL = 2**16 - 1


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / _IMAGES).is_dir()


def scan(folder: DatasetFolder) -> Scan:
    """Find images and labels, and split the images; those of `imagesTs` with labels are the test split."""
    root, files = folder.root, FolderPairs()
    images, labels = root / _TEST_IMAGES, root / _TEST_LABELS
    labelled = image_files(labels) or volume_files(labels)
    unlabelled = [] if labelled else [*image_files(images), *volume_files(images)]
    if unlabelled:
        files.folders.append(images)
        files.left_out.append(_unlabelled(images.name, unlabelled))
    else:
        _pair(files, images, labels, "test")
    splits = SPLITS[:2] if files.masks else SPLITS
    _pair(files, root / _IMAGES, root / _LABELS, None)
    split_images(files, folder, splits)
    files.add_reports(root, list(files.masks))
    files.left_out += unread_files(
        root,
        files.folders,
        sheets=files.sheets,
        tables_in=[root],
        advice=TABLES_ADVICE,
        with_volumes=True,
    )
    classes = _classes(root / _FACTS, files.faults) if folder.stated.classes is None else None
    return files.scan(folder, LAYOUT.name, classes=classes, mask_names=_MASK_NAMES)


def _pair(files: FolderPairs, images: Path, labels: Path, split: Split | None) -> None:
    """Pair one folder of images with one of labels."""
    files.folders += [images, labels]
    pictures, volumes = image_files(images), volume_files(images)
    masks, label_maps = image_files(labels), volume_files(labels)
    channel = _channel([*pictures, *volumes], [*masks, *label_maps])
    others = [file.name for file in (*pictures, *volumes) if not _stem(file).endswith(channel)]
    if others:
        files.faults.append(
            f"{images} holds {counted(len(others), 'file')} beside the first channels (CASE{_CHANNEL}), such "
            f"as {others[0]}. Lexiseg reads one channel per case: keep one, and name it CASE{_CHANNEL}. A "
            "picture in colours is one file."
        )
    slices = volume_slices(volumes, label_maps, channel=channel)
    files.faults += slices.faults
    # The name of a case, which its label has: names in sheets and splits are those of cases.
    named = {
        file.with_name(_stem(file).removesuffix(channel) + file.suffix): file
        for file in pictures
        if _stem(file).endswith(channel)
    }
    files.stored.update(named)
    files.add_pairs(pair([*named, *slices.images], [*masks, *slices.masks]), split)


def _channel(images: Sequence[Path], labels: Sequence[Path]) -> str:
    """Return what the names of the images that are read end with; "" for names without a channel.

    Those of the Decathlon are those of their labels, also where they end with four digits ("la_0003").
    Without labels, such numbers are channels only where all are the first one.
    """
    stems = {_stem(file) for file in images}
    if not labels:
        return _CHANNEL if stems and all(stem.endswith(_CHANNEL) for stem in stems) else ""
    has_channels = any(map(_ANY_CHANNEL.search, stems)) and stems.isdisjoint(map(_stem, labels))
    return _CHANNEL if has_channels else ""


def _unlabelled(folder: str, images: Sequence[Path]) -> Omission:
    return Omission.of(
        "other-folder",
        [image.name for image in images],
        f"Images of {folder} without labels, which are not read ({len(images)}). To use them as test "
        f"split, add their labels in {_TEST_LABELS}.",
    )


def _stem(file: Path) -> str:
    return volume_stem(plain_stem(file.name))


def _classes(path: Path, faults: list[str]) -> dict[int | str, str] | None:
    """Return the name of each label in `dataset.json`; None if it states none, or with a fault."""
    if not path.is_file():
        return None
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        faults.append(f"{path} cannot be read as JSON: {error}")
        return None
    labels = value.get("labels") if isinstance(value, dict) else None
    if labels is None:
        return None
    numbers = _numbers(labels)
    if numbers is None:
        faults.append(
            f'{path}, labels: expected one number per class, as {{"background": 0, "lesion": 1}}; Lexiseg '
            f"reads no regions of several numbers. State under `classes` of {DATASET_FILE} which number is "
            "which class; numbers of one name are one class."
        )
    elif "ignore" in numbers:
        faults.append(
            f"{path}, labels: Lexiseg leaves no pixels out of training and scores, as nnU-Net does with the "
            f"label 'ignore' ({numbers['ignore']}). State under `classes` of {DATASET_FILE} which class each "
            "number is."
        )
    else:
        return {number: name for name, number in numbers.items()}
    return None


def _numbers(labels: object) -> dict[str, int] | None:
    """Return the number of each class; None where the classes do not have one number each."""
    if not isinstance(labels, dict):
        return None
    numbers = {key: number for key, number in labels.items() if type(number) is int}
    if not numbers and all(str(key).isdecimal() and isinstance(name, str) for key, name in labels.items()):
        # The older form, {"0": "background"}.
        numbers = {name: int(key) for key, name in labels.items()}
    several = len(set(numbers.values())) == len(numbers) == len(labels) > 1
    return numbers if several and all(0 <= number <= _LARGEST_LABEL for number in numbers.values()) else None


#: "nnunet" in the files of a run.
LAYOUT = Layout(
    name="nnunet",
    description="imagesTr/ and labelsTr/ of nnU-Net (CASE_0000.nii.gz and CASE.nii.gz, or pictures)",
    matches=matches,
    scan=scan,
)
