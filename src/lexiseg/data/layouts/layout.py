"""What a folder layout is: a name, how its folders look, and how its files are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.scan import Scan


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A folder layout.

    Attributes:
        name: Its name in the files of a run, such as "folders".
        description: Its folders and files, as the message for an unknown layout lists them.
        matches: Returns whether a folder has this layout.
        scan: Finds images, masks and reports of such a folder; nothing is decoded. Missing and wrong files go
            into the scan, so that `data check` can list all of them. A `DataError` is raised only where
            `cases.csv` names an image name that exists twice, or the patient pattern matches no name.
    """

    name: str
    description: str
    matches: Callable[[Path], bool]
    scan: Callable[[DatasetFolder], Scan]
