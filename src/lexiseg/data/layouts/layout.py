"""What a folder layout is: a name, how its folders look, and how its files are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.layouts.scan import Scan


class ScanFolder(Protocol):
    """Finds the files of a folder that has the layout."""

    def __call__(self, root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], *, seed: int) -> Scan:
        """Find images, masks and reports. Nothing is decoded.

        Missing and wrong files go into the scan, so that `data check` can list all of them.

        Args:
            root: The folder.
            stated: Its `dataset.yaml`.
            cases: Its `cases.csv`, by image name.
            seed: Seed of the split, for layouts whose folders may have no split.

        Raises:
            DataError: `cases` names an image name that exists twice, or the patient pattern of `stated`
                matches no name.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder layout.

    Attributes:
        name: Its name in the files of a run, such as "folders".
        description: Its folders and files, as the message for an unknown layout lists them.
        matches: Returns whether a folder has this layout.
        scan: Finds the files of such a folder.
    """

    name: str
    description: str
    matches: Callable[[Path], bool]
    scan: ScanFolder
