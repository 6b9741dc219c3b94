"""Importers for data sets of picture files with one mask of the same name each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.layouts import lvit_folders
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.pairing import differing, image_files, match_reports, pair, plain_stem
from lexiseg.data.layouts.scan import some
from lexiseg.data.layouts.sheets import read_sheet
from lexiseg.data.public.importers.masks import lesion, nearest_colour
from lexiseg.data.public.importers.source import (
    Labels,
    SourceCase,
    SourceDataset,
    below,
    find_folders,
    first_group,
    has_pictures,
    not_found,
    note_left_out,
)
from lexiseg.data.public.registry import Entry, PairFolders
from lexiseg.data.sample import Split
from lexiseg.errors import DataError
from lexiseg.open_files import open_errors
from lexiseg.printable import counted

_SHEETS = (".xlsx", ".csv")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image file with its mask file.

    Attributes:
        image: The image.
        mask: Its mask.
        split: The published split, if there is one.
    """

    image: Path
    mask: Path
    split: Split | None


def read_pairs(folder: Path, entry: Entry) -> SourceDataset:
    """Find the pairs of a data set of picture files.

    Raises:
        DataError: The folder does not contain them.
    """
    notes: list[str] = []
    pictures = find_pairs(folder, entry, notes)
    return SourceDataset(cases=picture_cases(folder, pictures, entry), total=len(pictures), notes=notes)


def find_pairs(folder: Path, entry: Entry, notes: list[str]) -> list[Picture]:
    """Find images and masks in the folders that the registry lists; note those without a counterpart.

    With stated splits, each split has its own folders, and at least those of the first split must exist.
    Without, the listed folders are alternatives in which the same images were published; the first that exist
    are read.
    """
    is_split = entry.pairs[0].split is not None
    pictures: list[Picture] = []
    for number, wanted in enumerate(entry.pairs):
        roots = find_folders(folder, lambda root, wanted=wanted: _holds(root, wanted))  # type: ignore[misc]
        if not roots:
            if is_split and number == 0:
                break
            if is_split:
                notes.append(f"The {wanted.split} images ({wanted.images}, {wanted.masks}) do not exist.")
            continue
        if len(roots) > 1:
            notes.append(f"{roots[0]} is read; {some([str(root) for root in roots[1:]])} would match too.")
        pictures += _pairs(roots[0], wanted, notes)
        if not is_split:
            break
    if not pictures:
        raise not_found(folder, entry)
    return pictures


def _holds(root: Path, wanted: PairFolders) -> bool:
    return has_pictures(below(root, wanted.images)) and has_pictures(below(root, wanted.masks))


def _pairs(root: Path, wanted: PairFolders, notes: list[str]) -> list[Picture]:
    """Pair one folder of images with its folder of masks."""
    images, masks = below(root, wanted.images), below(root, wanted.masks)
    assert images is not None
    assert masks is not None
    pairs = pair(image_files(images), image_files(masks))
    if pairs.faults:
        raise DataError(" ".join(pairs.faults[:3]), code="LEX-DATA-078")
    note_left_out(notes, (p.name for p, mask in pairs.masks.items() if mask is None), "they have no mask")
    if pairs.orphans:
        names = [path.name for path in pairs.orphans]
        notes.append(
            f"{masks} holds {counted(len(names), 'mask that belongs', 'masks that belong')} to no image: "
            f"{some(names)}."
        )
    return [
        Picture(image=image, mask=mask, split=wanted.split)
        for image, mask in pairs.masks.items()
        if mask is not None
    ]


def _mask_reader(entry: Entry) -> Callable[[Path], Labels]:
    """Return the function that reads the masks of a data set."""
    if isinstance(entry.classes[0].original[0], str):
        return lambda path: nearest_colour(path, entry)
    return lesion


def picture_cases(
    folder: Path,
    pictures: list[Picture],
    entry: Entry,
    *,
    patients: Mapping[str, str] | None = None,
    reports: Mapping[Path, str] | None = None,
) -> Iterator[SourceCase]:
    """Yield a case per picture; `patients`, by image stem, takes precedence over the entry's pattern."""
    read = _mask_reader(entry)
    for picture in pictures:
        stem = plain_stem(picture.image.name)
        yield SourceCase(
            name=stem,
            image=picture.image,
            labels=read(picture.mask),
            original=picture.image.relative_to(folder).as_posix(),
            patient=(patients or {}).get(stem) or first_group(entry.patient, stem),
            split=picture.split,
            report=(reports or {}).get(picture.image),
        )


def read_clinicdb(folder: Path, entry: Entry) -> SourceDataset:
    """Find CVC-ClinicDB; `metadata.csv`, which some copies include, gives each frame's video sequence."""
    notes: list[str] = []
    pictures = find_pairs(folder, entry, notes)
    sequences: dict[str, str] = {}
    for path in sorted(folder.rglob("metadata.csv")):
        rows = read_rows(path)
        sequences |= {
            row["frame_id"]: f"sequence {row['sequence_id']}"
            for row in rows
            if row.get("frame_id") and row.get("sequence_id")
        }
    if not sequences:
        notes.append(
            "No metadata.csv with frame_id and sequence_id was found, so the video sequences are unknown."
        )
    cases = picture_cases(folder, pictures, entry, patients=sequences)
    return SourceDataset(cases=cases, total=len(pictures), notes=notes)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV with titles in lower case and without surrounding spaces."""
    try:
        with open_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8: {error}", code="LEX-DATA-079") from error
    if not rows:
        return []
    titles = [title.lower() for title in rows[0]]
    return [dict(zip(titles, row, strict=False)) for row in rows[1:]]


def read_chest(folder: Path, entry: Entry) -> SourceDataset:
    """Find a chest data set, as published or in the layout of LViT, with its report sentences."""
    notes: list[str] = []
    roots = find_folders(folder, lvit_folders.matches)
    if roots:
        pictures, reports = _published(roots[0], notes)
    else:
        pictures = find_pairs(folder, entry, notes)
        reports = _sentences(folder, [picture.image for picture in pictures], notes)
    if not reports:
        notes.append("No sheet of sentences was found, so there are no reports.")
    cases = picture_cases(folder, pictures, entry, reports=reports)
    return SourceDataset(cases=cases, total=len(pictures), notes=notes)


def _published(root: Path, notes: list[str]) -> tuple[list[Picture], dict[Path, str]]:
    """Read the layout of LViT, with its sheets."""
    scan = lvit_folders.scan(DatasetFolder(root=root))
    if scan.faults:
        raise DataError(" ".join(scan.faults[:3]), code="LEX-DATA-080")
    note_left_out(notes, (s.image.name for s in scan.samples if s.mask is None), "they have no mask")
    _note_orphans(notes, scan.reports_without_image, root)
    pictures = [
        Picture(image=sample.image, mask=sample.mask, split=sample.split)
        for sample in scan.samples
        if sample.mask is not None
    ]
    return pictures, {sample.image: sample.report for sample in scan.samples if sample.report}


def _sentences(folder: Path, images: list[Path], notes: list[str]) -> dict[Path, str]:
    """Read every sheet of sentences in a folder; add a note for sheets without sentences."""
    reports: dict[Path, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SHEETS):
        if path.name.startswith((".", "~$")):
            continue
        try:
            sheet = read_sheet(path)
        except DataError as error:
            notes.append(f"Not read as a sheet of sentences: {error}")
            continue
        matched = match_reports(sheet.rows, images, path)
        twice = [
            differing(image, reports[image], text, path)
            for image, text in matched.reports.items()
            if reports.get(image, text) != text
        ]
        if faults := (*sheet.faults, *matched.faults, *twice):
            raise DataError(" ".join(faults[:3]), code="LEX-DATA-081")
        _note_orphans(notes, matched.orphans, path)
        reports |= matched.reports
    return reports


def _note_orphans(notes: list[str], keys: Sequence[str], where: Path) -> None:
    if keys:
        notes.append(
            f"{where} holds {counted(len(keys), 'sentence that belongs', 'sentences that belong')} to no "
            f"image: {some(list(keys))}."
        )
