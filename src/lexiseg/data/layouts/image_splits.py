"""The split of images without a folder of a split: read from `splits.json`, or made and written there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lexiseg.data.file_names import shared_beginnings
from lexiseg.data.layouts.case_facts import match_case_facts
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.folder_pairs import FolderPairs
from lexiseg.data.layouts.known_patients import known_patients
from lexiseg.data.layouts.name_hints import name_hint
from lexiseg.data.layouts.pairing import find, plain_stem
from lexiseg.data.layouts.scan import some
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.splits import SPLITS_FILE, in_two_splits, read_splits, seeded_split, write_splits
from lexiseg.errors import DataError
from lexiseg.printable import counted


def split_images(files: FolderPairs, folder: DatasetFolder, splits: Sequence[Split] = SPLITS) -> None:
    """Read the split of the images that have none from `splits.json`, or make a split and write it there.

    Args:
        files: The images and masks found so far.
        folder: The folder of the data set.
        splits: The splits that are made.
    """
    images = {plain_stem(image.name): image for image in files.masks if image not in files.splits}
    path = folder.root / SPLITS_FILE
    try:
        if path.is_file():
            _read_split(files, images, path)
        elif images:
            _make_split(files, images, folder, splits)
    except DataError as error:
        files.faults.append(str(error))
        # The rest can still be checked: an index with faults is refused before training.
        files.splits.update(dict.fromkeys(images.values(), "train"))


def _make_split(
    files: FolderPairs, images: dict[str, Path], folder: DatasetFolder, wanted: Sequence[Split]
) -> None:
    """Make a split that keeps the images of a patient together, and write it to `splits.json`."""
    stems = list(images)
    stated = match_case_facts(folder.cases, stems)
    patients = known_patients(list(images.values()), stems, stated, folder.stated.patient)
    ids = patients.ids
    starts = shared_beginnings(stems)
    if any(ids) or len(set(starts)) < len(wanted):
        starts = [None] * len(stems)
    groups = {stem: patient or start or stem for stem, patient, start in zip(stems, ids, starts, strict=True)}
    scored = _with_masks(files, images, groups, len(wanted))
    splits: dict[str, Split] = dict.fromkeys(groups, "train")
    splits.update(seeded_split(scored, seed=folder.seed, splits=wanted, notes=patients.notes))
    files.splits.update({images[stem]: split for stem, split in splits.items()})
    known = sum(patient is not None for patient in ids)
    if known == len(ids):
        how = "by patient"
    elif known:
        how = f"by patient where it is known ({known} of {len(ids)} images; each other image stands alone)"
    elif any(starts):
        how = "by the beginning of their names, as no patient is known,"
    else:
        how = "one by one, as no patient is known,"
    if len(scored) < len(groups):
        how = how.removesuffix(",")
        how += " (images without a mask are training images, and so are other images of their patients),"
    files.assumptions.append(write_splits(folder.root, splits, seed=folder.seed, how=how))


def _with_masks(
    files: FolderPairs, images: Mapping[str, Path], groups: dict[str, str], fewest: int
) -> dict[str, str]:
    """Return the groups in which each image has a mask, because validation and test images need one.

    All groups are returned if too few have masks for all images, or if masks belong to no image: the
    names are then wrong, and which images lack a mask is not known yet.
    """
    lacking = {groups[stem] for stem, image in images.items() if files.masks[image] is None}
    complete = {stem: group for stem, group in groups.items() if group not in lacking}
    return groups if files.orphan_masks or len(set(complete.values())) < fewest else complete


def _read_split(files: FolderPairs, images: dict[str, Path], path: Path) -> None:
    """Take the split of each image from `splits.json`."""
    unknown = []
    named: dict[str, tuple[str, Split]] = {}
    for name, split in read_splits(path).items():
        stem = find(name, images)
        if stem is None:
            unknown.append(name)
            continue
        first, before = named.setdefault(stem, (name, split))
        if before != split:
            raise in_two_splits(path, first, name, (before, split))
        files.splits[images[stem]] = split
    if unknown:
        raise DataError(
            f"{path} names {counted(len(unknown), 'image that does', 'images that do')} not exist: "
            f"{some(unknown)}.{name_hint(unknown, images)}",
            code="LEX-DATA-039",
        )
    unlisted = [image.name for image in files.masks if image not in files.splits]
    if unlisted:
        files.left_out.append(
            Omission.of(
                "unlisted",
                unlisted,
                f"{counted(len(unlisted), 'image is', 'images are')} not listed in {path} and left out: "
                f"{some(unlisted)}. Delete the file to make a new split.",
            )
        )
