"""Lexiseg's folder layout: `images/ masks/ [reports.csv|xlsx]`, split by subfolders or `splits.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.file_names import shared_beginnings
from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.case_facts import CaseFacts, match_case_facts
from lexiseg.data.layouts.known_patients import known_patients
from lexiseg.data.layouts.layout import Layout
from lexiseg.data.layouts.name_hints import name_hint
from lexiseg.data.layouts.pairing import differing, find, image_files, pair, plain_stem
from lexiseg.data.layouts.report_sheets import attach_reports
from lexiseg.data.layouts.scan import Scan, some
from lexiseg.data.layouts.unread_files import unread_files
from lexiseg.data.layouts.volume_slices import labels_of_series, volume_slices
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.splits import SPLITS_FILE, in_two_splits, read_splits, seeded_split, write_splits
from lexiseg.errors import DataError
from lexiseg.printable import counted

_IMAGES, _MASKS, _REPORTS = "images", "masks", "reports"
_ADVICE = "Reports are read from reports.csv or reports.xlsx; to use another table, save it under this name."


@dataclass
class _Files:
    """Files and faults found so far."""

    masks: dict[Path, Path | None] = field(default_factory=dict)
    splits: dict[Path, Split] = field(default_factory=dict)
    reports: dict[Path, str] = field(default_factory=dict)
    orphan_masks: list[Path] = field(default_factory=list)
    orphan_reports: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    left_out: list[Omission] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    sheets: list[Path] = field(default_factory=list)


def matches(root: Path) -> bool:
    """Return whether a folder has this layout."""
    return (root / _IMAGES).is_dir() or any((root / split / _IMAGES).is_dir() for split in SPLITS)


def scan(root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], *, seed: int) -> Scan:
    """Find images, masks and reports, and split the images if they are not split yet."""
    files = _Files()
    outer = {split: root / split for split in SPLITS if (root / split / _IMAGES).is_dir()}
    inner = {split: root / _IMAGES / split for split in SPLITS if (root / _IMAGES / split).is_dir()}
    if outer:
        for split, folder in outer.items():
            _pair(files, folder / _IMAGES, folder / _MASKS, split)
            _reports(files, folder, [image for image, of in files.splits.items() if of == split])
    elif inner:
        for split, folder in inner.items():
            _pair(files, folder, root / _MASKS / split, split)
    else:
        _pair(files, root / _IMAGES, root / _MASKS, None)
        _split(files, root, stated, cases, seed)
    _reports(files, root, list(files.masks))
    files.left_out += unread_files(
        root,
        files.folders,
        of_splits=[root / _IMAGES, root / _MASKS] if inner and not outer else [],
        sheets=files.sheets,
        tables_in=[root, *outer.values()],
        advice=_ADVICE,
        with_volumes=True,
    )
    found = [
        ImageRecord(image=image, mask=mask, split=files.splits[image], report=files.reports.get(image))
        for image, mask in files.masks.items()
        if image in files.splits
    ]
    samples, assumptions = assemble(found, stated, cases)
    return Scan(
        root=root,
        layout=LAYOUT.name,
        samples=samples,
        masks_without_image=tuple(files.orphan_masks),
        reports_without_image=tuple(files.orphan_reports),
        faults=tuple(files.faults),
        assumptions=tuple(files.assumptions + assumptions),
        has_reports=bool(files.sheets),
        left_out=tuple(files.left_out),
    )


def _pair(files: _Files, images: Path, masks: Path, split: Split | None) -> None:
    """Pair one folder of images with one of masks."""
    files.folders += [images, masks]
    slices = volume_slices(images, masks)
    files.faults += slices.faults
    pictures = image_files(images)
    single, labels = labels_of_series(pictures, image_files(masks) if masks.is_dir() else [])
    pairs = pair([*pictures, *slices.images], [*single, *labels, *slices.masks])
    files.masks.update(pairs.masks)
    files.orphan_masks += pairs.orphans
    files.faults += pairs.faults
    if split is not None:
        files.splits.update(dict.fromkeys(pairs.masks, split))


def _reports(files: _Files, folder: Path, images: list[Path]) -> None:
    """Attach the sheet in `folder`, if there is one, to `images`."""
    attached = attach_reports(folder, images, stem=_REPORTS)
    if attached.sheet is not None:
        files.sheets.append(attached.sheet)
    for image, sentence in attached.reports.items():
        if files.reports.setdefault(image, sentence) != sentence:
            assert attached.sheet is not None
            files.faults.append(differing(image, files.reports[image], sentence, attached.sheet))
    files.orphan_reports += attached.orphans
    files.faults += attached.faults
    files.assumptions += attached.notes
    files.left_out += attached.left_out


def _split(files: _Files, root: Path, stated: DatasetYaml, cases: Mapping[str, CaseFacts], seed: int) -> None:
    """Read the split from `splits.json`, or make a split and write it there."""
    images = {plain_stem(image.name): image for image in files.masks}
    path = root / SPLITS_FILE
    try:
        if path.is_file():
            _read_split(files, images, path)
        elif images:
            _make_split(files, images, root, stated, cases, seed)
    except DataError as error:
        files.faults.append(str(error))
        # The rest can still be checked: an index with faults is refused before training.
        files.splits = dict.fromkeys(files.masks, "train")


def _make_split(
    files: _Files,
    images: dict[str, Path],
    root: Path,
    stated: DatasetYaml,
    cases: Mapping[str, CaseFacts],
    seed: int,
) -> None:
    """Make a split that keeps the images of a patient together, and write it to `splits.json`."""
    stems = list(images)
    patients = known_patients(list(images.values()), match_case_facts(cases, stems), stated.patient)
    ids = patients.ids
    starts = shared_beginnings(stems)
    if any(ids) or len(set(starts)) < len(SPLITS):
        starts = [None] * len(stems)
    groups = {stem: patient or start or stem for stem, patient, start in zip(stems, ids, starts, strict=True)}
    scored = _with_masks(files, groups)
    splits: dict[str, Split] = dict.fromkeys(groups, "train")
    splits.update(seeded_split(scored, seed=seed, notes=patients.notes))
    files.splits.update({images[stem]: split for stem, split in splits.items()})
    known = sum(patient is not None for patient in ids)
    if known == len(ids):
        how = "by patient"
    elif known:
        how = f"by patient where it is known ({known} of {len(ids)} images; each other image stands alone)"
    elif any(starts):
        how = "by the beginning of their names, as no patient is known"
    else:
        how = "one by one, as no patient is known,"
    if len(scored) < len(groups):
        how = how.removesuffix(",")
        how += " (images without a mask are training images, and so are other images of their patients),"
    files.assumptions.append(write_splits(root, splits, seed=seed, how=how))


def _with_masks(files: _Files, groups: dict[str, str]) -> dict[str, str]:
    """Return the groups in which each image has a mask, because validation and test images need one.

    All groups are returned if fewer than three have masks for all images, or if masks belong to no image: the
    names are then wrong, and which images lack a mask is not known yet.
    """
    lacking = {groups[plain_stem(image.name)] for image, mask in files.masks.items() if mask is None}
    complete = {stem: group for stem, group in groups.items() if group not in lacking}
    return groups if files.orphan_masks or len(set(complete.values())) < len(SPLITS) else complete


def _read_split(files: _Files, images: dict[str, Path], path: Path) -> None:
    """Take the split of each image from `splits.json`."""
    unknown = []
    named: dict[str, tuple[str, Split]] = {}
    for name, split in read_splits(path).items():
        stem = find(name, images)
        if stem is None:
            unknown.append(name)
            continue
        first, before = named.setdefault(stem, (name, split))
        if before != split:
            raise in_two_splits(path, first, name, (before, split))
        files.splits[images[stem]] = split
    if unknown:
        raise DataError(
            f"{path} names {counted(len(unknown), 'image that does', 'images that do')} not exist: "
            f"{some(unknown)}.{name_hint(unknown, images)}",
            code="LEX-DATA-039",
        )
    unlisted = [image.name for image in files.masks if image not in files.splits]
    if unlisted:
        files.left_out.append(
            Omission.of(
                "unlisted",
                unlisted,
                f"{counted(len(unlisted), 'image is', 'images are')} not listed in {path} and left out: "
                f"{some(unlisted)}. Delete the file to make a new split.",
            )
        )


#: "folders" in the files of a run: the layout of Lexiseg itself.
LAYOUT = Layout(
    name="folders",
    description="images/ and masks/ (with optional train/val/test subfolders, splits.json, reports.csv)",
    matches=matches,
    scan=scan,
)
