"""The layout of CoTexNet: `{train,val,test}[_data].csv` with the columns `dataset,img_name,mask_name`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.csv_table import read_csv_table
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.named_files import NamedFiles
from lexiseg.data.layouts.pairing import image_files, plain_stem
from lexiseg.data.layouts.report_sheets import AttachedReports, attach_reports
from lexiseg.data.layouts.scan import Scan, some
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.mask_parts import first_part
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import SPLITS, Split
from lexiseg.errors import DataError
from lexiseg.printable import counted

_COLUMNS = ("dataset", "img_name", "mask_name")
_IMAGES, _MASKS, _REPORTS = "images", "masks", "reports"
_ADVICE = "The split is read from train.csv, val.csv and test.csv, reports from reports.csv or reports.xlsx."


@dataclass
class _Files:
    """Files and faults found so far.

    Attributes:
        found: The images of all rows.
        missing: Files that a row names but that do not exist.
        absent: Number of rows by data set, of data sets without a folder.
        faults: Why the CSVs cannot be used as they are.
        named: The files of each folder of images or masks, by name.
        foreign: Names that are paths of another machine.
    """

    found: list[ImageRecord] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    absent: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    named: dict[Path, NamedFiles] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)

    def find(self, folder: Path, name: str) -> Path | None:
        """Return the file that a name of a CSV means in a folder."""
        if folder not in self.named:
            self.named[folder] = NamedFiles.of(folder)
        path, is_foreign = self.named[folder].find(name)
        if is_foreign:
            self.foreign.append(name)
        return path


def split_files(root: Path) -> dict[Split, Path]:
    """Return the CSV of each split that has one."""
    files: dict[Split, Path] = {}
    for split in SPLITS:
        for name in (f"{split}_data.csv", f"{split}.csv"):
            if (root / name).is_file():
                files[split] = root / name
                break
    return files


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return bool(split_files(root))


def scan(folder: DatasetFolder) -> Scan:
    """Find the files that the CSVs name.

    The files of each row are in `<dataset>/images` and `<dataset>/masks`, or, for a single data set, in
    `images` and `masks`. Rows of data sets without a folder are left out (the published CSVs list several
    data sets). A "/" in a mask name may stand for "_" in the file name, as in CAMUS.
    """
    files, root = _Files(), folder.root
    for split, path in split_files(root).items():
        try:
            _rows(files, root, path, split)
        except DataError as error:
            files.faults.append(str(error))
    absent = [f"{name} ({counted(count, 'row')})" for name, count in files.absent.items()]
    if absent and not files.found and not files.faults:
        files.faults.append(
            f"Data sets of the CSVs have no folder here: {some(absent)}. Expected "
            f"{root / next(iter(files.absent)) / _IMAGES}, or {root / _IMAGES}."
        )
    attached = attach_reports(root, [item.image for item in files.found], stem=_REPORTS)
    files.faults += attached.faults
    names = list(dict.fromkeys(item.source for item in files.found if item.source))
    samples, assumptions = assemble(
        [replace(item, report=attached.reports.get(item.image)) for item in files.found], folder
    )
    return Scan(
        root=root,
        layout=LAYOUT.name,
        samples=samples,
        masks_without_image=_unnamed_masks(files),
        missing_files=tuple(files.missing),
        reports_without_image=attached.orphans,
        faults=tuple(files.faults),
        assumptions=(
            *([f"The CSVs join several data sets: {some(names)}."] if len(names) > 1 else []),
            *assumptions,
            *attached.notes,
            *_foreign_folders(files),
        ),
        has_reports=attached.sheet is not None,
        left_out=(*attached.left_out, *_left_out(files, root, absent, attached)),
        mask_names="The CSVs name the mask of each image.",
    )


def _foreign_folders(files: _Files) -> tuple[str, ...]:
    """Return a note on names that are paths of another machine."""
    if not files.foreign:
        return ()
    return (
        f"Names in the CSVs that are paths of another machine ({len(files.foreign)}), such as "
        f"{files.foreign[0]}: their folders are ignored.",
    )


def _left_out(files: _Files, root: Path, absent: list[str], attached: AttachedReports) -> list[Omission]:
    """Return what is not used: rows of absent data sets, images that no row names, and other files."""
    found = []
    if absent:
        found.append(
            Omission.of(
                "absent-data-set",
                absent,
                f"Data sets of the CSVs without a folder here are left out: {some(absent)}.",
                count=sum(files.absent.values()),
            )
        )
    used = {item.image for item in files.found}
    folders = sorted({image.parent for image in used})
    unlisted = [image.name for folder in folders for image in image_files(folder) if image not in used]
    if unlisted:
        found.append(
            Omission.of(
                "unlisted",
                unlisted,
                f"Images that the CSVs do not name and that are left out ({len(unlisted)}): "
                f"{some(unlisted)}. To use them, add rows.",
            )
        )
    found += unread_files(
        root,
        [place for folder in folders for place in (folder, folder.parent / _MASKS)],
        sheets=[*split_files(root).values(), *([attached.sheet] if attached.sheet is not None else [])],
        tables_in=[root],
        advice=_ADVICE,
    )
    return found


def _rows(files: _Files, root: Path, path: Path, split: Split) -> None:
    """Find the files of one CSV's rows."""
    table = read_csv_table(path)
    if not set(_COLUMNS) <= {title.lower() for title in table.titles}:
        found = ", ".join(map(repr, table.titles)) or "(none)"
        raise DataError(
            f"{path} has the columns {found}; expected {', '.join(_COLUMNS)}.", code="LEX-DATA-038"
        )
    seen: dict[tuple[str, Path], None] = {}
    columns = [table.column(title) for title in _COLUMNS]
    for row in table.rows:
        name, image_name, mask_name = (row.cell(column) for column in columns)
        # A name that leads out of the folder has no folder of its own.
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        places = (root / name, root) if inside else (root,)
        folder = next((place for place in places if (place / _IMAGES).is_dir()), None)
        if folder is None:
            files.absent[name] = files.absent.get(name, 0) + 1
            continue
        image = files.find(folder / _IMAGES, image_name)
        if image is None:
            files.missing.append(folder / _IMAGES / image_name)
            continue
        if (name, image) in seen:
            files.faults.append(f"{path} names {name}/{image_name} twice.")
            continue
        seen[name, image] = None
        mask = _mask_file(files, folder / _MASKS, mask_name)
        if mask is None and mask_name:
            files.missing.append(folder / _MASKS / mask_name)
        files.found.append(ImageRecord(image=image, mask=mask, split=split, source=name or None))


def _mask_file(files: _Files, folder: Path, name: str) -> Path | None:
    """Return the mask file of that name, if it exists; "/" may stand for "_"."""
    if not name:
        return None
    return files.find(folder, name) or files.find(folder, name.replace("\\", "/").replace("/", "_"))


def _unnamed_masks(files: _Files) -> tuple[Path, ...]:
    """Return the mask files that no row names and that have no image of the same name."""
    named = {item.mask for item in files.found}
    folders = {item.image.parent.parent for item in files.found}
    orphans: list[Path] = []
    for folder in sorted(folders):
        masks, images = folder / _MASKS, folder / _IMAGES
        stems = {plain_stem(image.name) for image in image_files(images)}
        orphans += [
            mask
            for mask in image_files(masks)
            if mask not in named and plain_stem(mask.name) not in stems and first_part(mask) not in named
        ]
    return tuple(orphans)


#: "csvs" in the files of a run: the CSVs that CoTexNet publishes.
LAYOUT = Layout(
    name="csvs",
    description="train_data.csv, val_data.csv and test_data.csv with dataset,img_name,mask_name",
    matches=matches,
    scan=scan,
)
