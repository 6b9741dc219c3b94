"""The layout of CoTexNet: `{train,val,test}[_data].csv` with the columns `dataset,img_name,mask_name`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.case_facts import CaseFacts
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.pairing import image_files, match_reports, plain_stem
from lexiseg.data.layouts.scan import Scan, some
from lexiseg.data.layouts.sheets import find_sheet, read_sheet, read_table
from lexiseg.data.mask_parts import first_part
from lexiseg.data.sample import SPLITS, Split
from lexiseg.errors import DataError

_COLUMNS = ("dataset", "img_name", "mask_name")
_IMAGES, _MASKS, _REPORTS = "images", "masks", "reports"


@dataclass
class _Files:
    """Files and faults found so far."""

    found: list[ImageRecord] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    absent: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


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


def scan(root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], *, seed: int) -> Scan:
    """Find the files that the CSVs name.

    The files of each row are in `<dataset>/images` and `<dataset>/masks`, or, for a single data set, in
    `images` and `masks`. Rows of data sets without a folder are left out (the published CSVs list several
    data sets). A "/" in a mask name may stand for "_" in the file name, as in CAMUS.
    """
    files = _Files()
    for split, path in split_files(root).items():
        try:
            _rows(files, root, path, split)
        except DataError as error:
            files.faults.append(str(error))
    if files.absent:
        names = [f"{name} ({count} rows)" for name, count in files.absent.items()]
        left_out = f"Data sets of the CSVs without a folder here are left out: {some(names)}."
        if not files.found and not files.faults:
            files.faults.append(
                f"{left_out} Expected {root / next(iter(files.absent)) / _IMAGES}, or {root / _IMAGES}."
            )
    names = list(dict.fromkeys(item.source for item in files.found if item.source))
    samples, assumptions = assemble(_with_reports(files, root), stated, cases)
    return Scan(
        root=root,
        layout=LAYOUT.name,
        samples=samples,
        masks_without_image=_unnamed_masks(files),
        missing_files=tuple(files.missing),
        faults=tuple(files.faults),
        assumptions=tuple(
            ([left_out] if files.absent and files.found else [])
            + ([f"The CSVs join several data sets: {some(names)}."] if len(names) > 1 else [])
            + assumptions
        ),
        has_reports=any(sample.report is not None for sample in samples),
    )


def _rows(files: _Files, root: Path, path: Path, split: Split) -> None:
    """Find the files of one CSV's rows."""
    table = read_table(path)
    titles = {column.lower(): column for column in table.columns}
    if not set(_COLUMNS) <= set(titles):
        found = ", ".join(map(repr, table.columns)) or "(none)"
        raise DataError(
            f"{path} has the columns {found}; expected {', '.join(_COLUMNS)}.", code="LEX-DATA-038"
        )
    seen: dict[tuple[str, str], None] = {}
    for name, image_name, mask_name in zip(
        *(table[titles[column]].str.strip() for column in _COLUMNS), strict=True
    ):
        folder = next((place for place in (root / name, root) if (place / _IMAGES).is_dir()), None)
        if folder is None:
            files.absent[name] = files.absent.get(name, 0) + 1
            continue
        if (name, image_name) in seen:
            files.faults.append(f"{path} names {name}/{image_name} twice.")
            continue
        seen[name, image_name] = None
        image = folder / _IMAGES / image_name
        if not image.is_file():
            files.missing.append(image)
            continue
        mask = _mask_file(folder / _MASKS, mask_name)
        if mask is None and mask_name:
            files.missing.append(folder / _MASKS / mask_name)
        files.found.append(ImageRecord(image=image, mask=mask, split=split, source=name or None))


def _mask_file(folder: Path, name: str) -> Path | None:
    """Return the mask file of that name, if it exists."""
    for candidate in (name, name.replace("/", "_")):
        if name and (folder / candidate).is_file():
            return folder / candidate
    return None


def _with_reports(files: _Files, root: Path) -> list[ImageRecord]:
    """Attach `reports.csv|xlsx` in the root, if there is one."""
    try:
        path = find_sheet(root, stem=_REPORTS)
        if path is None:
            return files.found
        sheet = read_sheet(path)
    except DataError as error:
        files.faults.append(str(error))
        return files.found
    matched = match_reports(sheet.rows, [item.image for item in files.found], path)
    files.faults += sheet.faults + matched.faults
    if matched.orphans and not matched.reports:
        files.faults.append(
            f"No row of {path} belongs to an image; its keys are, for example, {some(matched.orphans)}."
        )
    return [
        ImageRecord(
            image=item.image,
            mask=item.mask,
            split=item.split,
            report=matched.reports.get(item.image),
            source=item.source,
        )
        for item in files.found
    ]


def _unnamed_masks(files: _Files) -> tuple[Path, ...]:
    """Return the mask files that no row names and that have no image of the same name."""
    named = {item.mask for item in files.found}
    folders = {item.image.parent.parent for item in files.found}
    orphans: list[Path] = []
    for folder in sorted(folders):
        masks, images = folder / _MASKS, folder / _IMAGES
        stems = {plain_stem(image.name) for image in image_files(images)} if images.is_dir() else set()
        if masks.is_dir():
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
