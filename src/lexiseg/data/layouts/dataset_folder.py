"""The folder of a data set with what its user states about it, and the folders inside it by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.sample import SPLIT_NAMES, SPLITS, Split


@dataclass(frozen=True, kw_only=True)
class DatasetFolder:
    """A folder in which a layout looks for images, masks and reports.

    Attributes:
        root: The folder.
        stated: Its `dataset.yaml`.
        cases: Its `cases.csv`, by image name.
        seed: Seed of the split, for layouts whose folders may have no split.
    """

    root: Path
    stated: DatasetYaml = field(default_factory=DatasetYaml)
    cases: Mapping[str, CaseFacts] = field(default_factory=dict)
    seed: int = 0


def subfolder(folder: Path, *names: str) -> Path:
    """Return the first of some folders inside a folder that exists, in any letter case.

    Returns:
        Its path; that of the first name where none exists.
    """
    exact = next((folder / name for name in names if (folder / name).is_dir()), None)
    if exact is not None or not folder.is_dir():
        return exact or folder / names[0]
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), folder / names[0])


def split_subfolders(folder: Path, *, ending: str = "") -> dict[Split, Path]:
    """Return the folder of each split inside a folder, of those that exist.

    Args:
        folder: The folder.
        ending: What the names of splits end in, such as "_folder".
    """
    found = {split: subfolder(folder, *(name + ending for name in SPLIT_NAMES[split])) for split in SPLITS}
    return {split: path for split, path in found.items() if path.is_dir()}
