"""Splits into train, val and test: made by patient with a seed, and stored in `splits.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexiseg.data.name_hashes import order_key
from lexiseg.data.sample import SPLIT_NAMES, SPLITS, Split
from lexiseg.errors import DataError, DiskError
from lexiseg.files import write_json
from lexiseg.open_files import NO_HANDLE_CODE
from lexiseg.printable import counted
from lexiseg.structured_text import read_json

SPLITS_FILE = "splits.json"

#: Share of the images in each split made here.
SHARES: dict[Split, float] = {"train": 0.7, "val": 0.15, "test": 0.15}


def seeded_split(
    groups: Mapping[str, str],
    *,
    seed: int,
    splits: Sequence[Split] = SPLITS,
    notes: Sequence[str] = (),
) -> dict[str, Split]:
    """Split images so that no group (patient) is in two splits.

    Groups are ordered by a hash of seed and name alone; the first ones go to test, the next ones to val,
    until each split has its share of `SHARES`.

    Args:
        groups: Group per image id: the patient; if it is not known, the beginning of the name that the image
            shares with others, or the id itself.
        seed: Any whole number.
        splits: The splits to make, including "train".
        notes: Where the patients come from, one sentence each, for the error.

    Returns:
        Split per image id.

    Raises:
        DataError: There are fewer groups than splits.
    """
    members: dict[str, list[str]] = {}
    for image, group in sorted(groups.items()):
        members.setdefault(group, []).append(image)
    if len(members) < len(splits):
        about = "If these are not the patients, state them in cases.csv, or with `patient` in dataset.yaml."
        if not notes and len(members) == len(groups):
            about = "An image without a known patient counts as a patient."
        raise DataError(
            f"Cannot split {counted(len(groups), 'image')} of {counted(len(members), 'patient')} into "
            f"{', '.join(splits[:-1])} and {splits[-1]}: at least {len(splits)} patients are needed. "
            f"{' '.join([*notes, about])} Add images of more patients, or name the split of each image in "
            f"{SPLITS_FILE}.",
            code="LEX-DATA-095",
        )

    order = sorted(members, key=lambda group: order_key(group, seed))
    found: dict[str, Split] = {}
    reserve = len(splits)
    for split in (name for name in reversed(SPLITS) if name in splits and name != "train"):
        wanted = max(1, round(SHARES[split] * len(groups)))
        taken = 0
        # Each later split needs a group too, and train always needs one.
        reserve -= 1
        while taken < wanted and len(order) > reserve:
            images = members[order.pop(0)]
            found.update(dict.fromkeys(images, split))
            taken += len(images)
    for group in order:
        found.update(dict.fromkeys(members[group], "train"))
    return found


def split_lists(splits: Mapping[str, Split]) -> dict[str, list[str]]:
    """Return the image names of each split, as `splits.json` holds them."""
    return {name: sorted(image for image, split in splits.items() if split == name) for name in SPLITS}


def write_splits(folder: Path, splits: Mapping[str, Split], *, seed: int, how: str) -> str:
    """Write a split beside the data if the folder is writable.

    Args:
        folder: The data set's folder.
        splits: Split per image.
        seed: The seed of the split.
        how: What was kept together, as in "by patient".

    Returns:
        A note on how the images were split and where the split is.
    """
    lists = split_lists(splits)
    counts = ", ".join(f"{len(images)} {name}" for name, images in lists.items())
    note = f"There was no split: images were split {how} with seed {seed} ({counts})"
    try:
        write_json(folder / SPLITS_FILE, {"seed": seed, **lists}, private=False)
    except DiskError as error:
        if error.code == NO_HANDLE_CODE:  # it says nothing about the folder
            raise
        return f"{note}; the folder is not writable, so the same split is made again each time."
    return f"{note}, written to {folder / SPLITS_FILE}."


def read_splits(path: Path) -> dict[str, Split]:
    """Read `splits.json`: lists of image names under "train", "val" and "test", or other usual names.

    Returns:
        Split per name, as written there.

    Raises:
        DataError: It is not such a file, holds two lists for one split, or an image is in two splits.
    """
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}", code="LEX-DATA-096") from error
    lists = _lists(value, path) if isinstance(value, dict) else {}
    if not any(lists.values()) or not all(_is_names(names) for names in lists.values()):
        raise DataError(
            f'{path} must hold lists of image names: {{"train": [...], "val": [...], "test": [...]}}.',
            code="LEX-DATA-097",
        )
    splits: dict[str, Split] = {}
    for split, names in lists.items():
        for name in names:
            if splits.get(name, split) != split:
                raise in_two_splits(path, name, name, (splits[name], split))
            splits[name] = split
    return splits


def _lists(value: Mapping[str, Any], path: Path) -> dict[Split, Any]:
    """Return what the file holds under the usual names of each split, in any letter case."""
    lists: dict[Split, Any] = {}
    for split in SPLITS:
        names = [name for name in value if name.lower() in SPLIT_NAMES[split]]
        if len(names) > 1:
            raise DataError(
                f'{path} holds two lists for one split, "{names[0]}" and "{names[1]}". Join them.',
                code="LEX-DATA-2092",
            )
        if names:
            lists[split] = value[names[0]]
    return lists


def in_two_splits(path: Path, first: str, second: str, splits: tuple[Split, Split]) -> DataError:
    """Return the error for one image in two splits.

    Args:
        path: `splits.json`.
        first: Its name in the first split.
        second: Its name in the second one.
        splits: The splits.
    """
    names = first if first == second else f"one image, as {first} and as {second},"
    return DataError(
        f"{path} names {names} in two splits, {splits[0]} and {splits[1]}. Keep it in one.",
        code="LEX-DATA-098",
    )


def _is_names(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(name, str) for name in value)
    )
