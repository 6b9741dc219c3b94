"""Importer for GlaS: BMP files with numbered glands, the contest's split, patients in Grade.csv."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lexiseg.data.public.importers.masks import any_value
from lexiseg.data.public.importers.pictures import read_rows
from lexiseg.data.public.importers.source import (
    SourceCase,
    SourceDataset,
    find_folders,
    not_found,
    note_left_out,
    visible_files,
)
from lexiseg.data.public.registry import Entry
from lexiseg.data.sample import Split

_NAME = re.compile(r"^(train|testA|testB)_\d+$")
_SPLITS: dict[str, Split] = {"train": "train", "testA": "test", "testB": "test"}


def read_glas(folder: Path, entry: Entry) -> SourceDataset:
    """Find GlaS; both parts of the contest's test are the test split."""
    roots = find_folders(folder, lambda root: any(root.glob("train_*_anno.bmp")))
    if not roots:
        raise not_found(folder, entry)
    notes: list[str] = []
    images = [path for path in visible_files(roots[0], ".bmp") if _NAME.match(path.stem)]
    without = [path for path in images if not _mask(path).is_file()]
    note_left_out(notes, (path.name for path in without), "they have no mask")
    images = [path for path in images if path not in without]
    patients = {
        row["name"]: f"patient {row['patient id']}"
        for path in visible_files(roots[0], "grade.csv")
        for row in read_rows(path)
        if row.get("name") and row.get("patient id")
    }
    if not patients:
        notes.append("No Grade.csv with name and patient ID was found, so the patients are not known.")
    return SourceDataset(cases=_cases(folder, images, patients), total=len(images), notes=notes)


def _mask(image: Path) -> Path:
    return image.with_name(f"{image.stem}_anno.bmp")


def _cases(folder: Path, images: list[Path], patients: dict[str, str]) -> Iterator[SourceCase]:
    for image in images:
        match = _NAME.match(image.stem)
        assert match is not None
        yield SourceCase(
            name=image.stem,
            image=image,
            labels=any_value(_mask(image)),
            original=image.relative_to(folder).as_posix(),
            patient=patients.get(image.stem),
            split=_SPLITS[match[1]],
        )
