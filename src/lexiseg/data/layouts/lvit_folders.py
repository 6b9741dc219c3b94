"""The layout of LViT and STPNet: `{Train,Val,Test}_Folder/{img,labelcol,*.xlsx}`."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.layouts.dataset_folder import DatasetFolder, split_subfolders, subfolder
from lexiseg.data.layouts.folder_pairs import FolderPairs
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, pair
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.layouts.unread_files import unread_files

_ENDING, _IMAGES, _MASKS = "_folder", "img", "labelcol"
_ADVICE = (
    "Reports are read from the only .xlsx or .csv file in the folder of each split, such as Train_Folder."
)


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return any(
        subfolder(place, _IMAGES).is_dir() for place in split_subfolders(root, ending=_ENDING).values()
    )


def scan(folder: DatasetFolder) -> Scan:
    """Find images, masks and reports.

    Each split has one sheet, an Excel or CSV file with mask names as keys. A split without a sheet has no
    reports.
    """
    files = FolderPairs()
    splits = split_subfolders(folder.root, ending=_ENDING)
    for split, place in splits.items():
        images, masks = subfolder(place, _IMAGES), subfolder(place, _MASKS)
        if not images.is_dir():
            files.faults.append(f"{place} has no folder {_IMAGES!r} for its images.")
            continue
        files.folders += [images, masks]
        pairs = pair(image_files(images), image_files(masks))
        files.add_pairs(pairs, split)
        files.add_reports(place, list(pairs.masks), stem=None)
    files.left_out += unread_files(
        folder.root,
        files.folders,
        sheets=files.sheets,
        tables_in=[folder.root, *splits.values()],
        advice=_ADVICE,
    )
    return files.scan(folder, LAYOUT.name)


#: "published" in the files of a run: data sets are published in it with LViT and STPNet.
LAYOUT = Layout(
    name="published",
    description="Train_Folder/{img,labelcol,*.xlsx} with Val_Folder and Test_Folder",
    matches=matches,
    scan=scan,
)
