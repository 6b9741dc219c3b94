"""The folder of a data set with what its user states about it, and the folders inside it by name."""

from __future__ import annotations

import os
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

    Args:
        folder: The folder.
        names: The names, in lower case; of `Images` and `images`, the second is taken.

    Returns:
        Its path; that of the first name where none exists.
    """
    there = os.listdir(folder) if folder.is_dir() else []
    # Small letters are sorted after capital ones.
    alike = sorted((name for name in there if name.lower() in names), reverse=True)
    found = (folder / other for name in names for other in alike if other.lower() == name)
    return next((path for path in found if path.is_dir()), folder / names[0])


def split_subfolders(folder: Path, *, ending: str = "") -> dict[Split, Path]:
    """Return the folder of each split inside a folder, of those that exist.

    Args:
        folder: The folder.
        ending: What the names of splits end in, such as "_folder".
    """
    found = {split: subfolder(folder, *(name + ending for name in SPLIT_NAMES[split])) for split in SPLITS}
    return {split: path for split, path in found.items() if path.is_dir()}
