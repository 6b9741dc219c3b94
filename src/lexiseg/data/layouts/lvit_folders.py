"""The layout of LViT and STPNet: `{Train,Val,Test}_Folder/{img,labelcol,*.xlsx}`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, pair
from lexiseg.data.layouts.report_sheets import attach_reports
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import SPLITS, Split

_IMAGES, _MASKS = "img", "labelcol"
_ADVICE = (
    "Reports are read from the only .xlsx or .csv file in the folder of each split, such as Train_Folder."
)


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
    notes: list[str] = []
    skipped: list[Omission] = []
    sheets: list[Path] = []
    folders = split_folders(root)
    for split, folder in folders.items():
        if not (folder / _IMAGES).is_dir():
            faults.append(f"{folder} has no folder {_IMAGES!r} for its images.")
            continue
        masks = image_files(folder / _MASKS) if (folder / _MASKS).is_dir() else []
        pairs = pair(image_files(folder / _IMAGES), masks)
        attached = attach_reports(folder, list(pairs.masks))
        orphan_masks += pairs.orphans
        orphan_reports += attached.orphans
        faults += pairs.faults + attached.faults
        notes += attached.notes
        skipped += attached.left_out
        sheets += [attached.sheet] if attached.sheet is not None else []
        found += [
            ImageRecord(image=image, mask=mask, split=split, report=attached.reports.get(image))
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
        assumptions=(*assumptions, *notes),
        has_reports=bool(sheets),
        left_out=(*skipped, *_unread(root, folders, sheets)),
    )


def _unread(root: Path, folders: Mapping[Split, Path], sheets: list[Path]) -> tuple[Omission, ...]:
    """Return what the folders of the splits hold beside the files that are read."""
    inner = [folder / name for folder in folders.values() for name in (_IMAGES, _MASKS)]
    return unread_files(root, inner, sheets=sheets, tables_in=[root, *folders.values()], advice=_ADVICE)


#: "published" in the files of a run: data sets are published in it with LViT and STPNet.
LAYOUT = Layout(
    name="published",
    description="Train_Folder/{img,labelcol,*.xlsx} with Val_Folder and Test_Folder",
    matches=matches,
    scan=scan,
)
