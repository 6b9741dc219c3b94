"""The layout of LViT and STPNet: `{Train,Val,Test}_Folder/{img,labelcol,*.xlsx}`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, match_reports, pair
from lexiseg.data.layouts.scan import Scan, some
from lexiseg.data.layouts.sheets import find_sheet, read_sheet
from lexiseg.data.sample import SPLITS, Split
from lexiseg.errors import DataError

_IMAGES, _MASKS = "img", "labelcol"


def split_folders(root: Path) -> dict[Split, Path]:
    """Return the folders `Train_Folder`, `Val_Folder` and `Test_Folder` that exist, in any letter case."""
    by_name = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    return {split: by_name[f"{split}_folder"] for split in SPLITS if f"{split}_folder" in by_name}


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return any((folder / _IMAGES).is_dir() for folder in split_folders(root).values())


def scan(root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], *, seed: int) -> Scan:
    """Find images, masks and reports.

    Each split has one sheet, an Excel or CSV file with mask names as keys. A split without a sheet has no
    reports.
    """
    found: list[ImageRecord] = []
    faults: list[str] = []
    orphan_masks: list[Path] = []
    orphan_reports: list[str] = []
    sheets = 0
    for split, folder in split_folders(root).items():
        if not (folder / _IMAGES).is_dir():
            faults.append(f"{folder} has no folder {_IMAGES!r} for its images.")
            continue
        masks = image_files(folder / _MASKS) if (folder / _MASKS).is_dir() else []
        pairs = pair(image_files(folder / _IMAGES), masks)
        orphan_masks += pairs.orphans
        faults += pairs.faults
        reports: dict[Path, str] = {}
        try:
            path = find_sheet(folder)
            if path is not None:
                sheets += 1
                sheet = read_sheet(path)
                matched = match_reports(sheet.rows, pairs.masks, path)
                reports = matched.reports
                faults += sheet.faults + matched.faults
                orphan_reports += matched.orphans
                if matched.orphans and not reports:
                    faults.append(
                        f"No row of {path} belongs to an image of {folder / _IMAGES}; its keys are, for "
                        f"example, {some(matched.orphans)}."
                    )
        except DataError as error:
            faults.append(str(error))
        found += [
            ImageRecord(image=image, mask=mask, split=split, report=reports.get(image))
            for image, mask in pairs.masks.items()
        ]
    samples, assumptions = assemble(found, stated, cases)
    return Scan(
        root=root,
        layout=LAYOUT.name,
        samples=samples,
        masks_without_image=tuple(orphan_masks),
        reports_without_image=tuple(orphan_reports),
        faults=tuple(faults),
        assumptions=tuple(assumptions),
        has_reports=sheets > 0,
    )


#: "published" in the files of a run: data sets are published in it with LViT and STPNet.
LAYOUT = Layout(
    name="published",
    description="Train_Folder/{img,labelcol,*.xlsx} with Val_Folder and Test_Folder",
    matches=matches,
    scan=scan,
)
