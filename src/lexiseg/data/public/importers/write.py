"""Writing a data set in Lexiseg's folder layout: images/, masks/, splits.json, cases.csv, dataset.yaml."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from lexiseg.data.content import read_content
from lexiseg.data.dataset_yaml import DATASET_FILE
from lexiseg.data.decode import decode_header
from lexiseg.data.layouts.case_facts import CaseFacts, write_case_facts
from lexiseg.data.layouts.csv_table import csv_text
from lexiseg.data.public.importers.source import Pixels, SourceCase, SourceDataset, note_left_out
from lexiseg.data.public.importers.split_choice import SplitRecord, choose_splits
from lexiseg.data.public.registry import Entry
from lexiseg.data.readers import write_mask
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.splits import SPLITS_FILE, split_lists
from lexiseg.errors import DataError
from lexiseg.files import disk_errors, write_json, write_text
from lexiseg.printable import counted

IMAGES, MASKS, REPORTS = "images", "masks", "reports.csv"


@dataclass(frozen=True, kw_only=True)
class WriteResult:
    """The result of writing a data set.

    Attributes:
        counts: Images per split.
        notes: Notes for the user, one sentence each.
    """

    counts: dict[Split, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _StoredCase:
    """A case whose files are written; its pixels are no longer in memory."""

    record: SplitRecord
    facts: CaseFacts
    report: str | None
    image: Path
    mask: Path
    labels: frozenset[int]


def write_dataset(
    source: SourceDataset,
    entry: Entry,
    folder: Path,
    *,
    seed: int,
    keep_published: bool,
    progress: Callable[[int, int | None], None] | None = None,
) -> WriteResult:
    """Write all cases of a data set.

    Picture files are copied unchanged; pixels are written as PNG of 8 or 16 bits; labels are written as masks
    of 0 and 255 or, with several classes, of their labels.

    Args:
        source: The data set.
        entry: Its entry in the registry.
        folder: An empty folder.
        seed: Seed of the splits made here.
        keep_published: See `lexiseg.data.public.importers.split_choice.choose_splits`.
        progress: Called with the number of written cases and, where known, of all cases.

    Raises:
        DataError: A case cannot be read, no case is left, all masks are empty, or there are too few patients
            to split.
        DiskError: There is no space, or no permission.
    """
    with disk_errors(folder):
        stored, notes = _store_all(source, entry, folder, progress)
        splits = choose_splits([item.record for item in stored], seed=seed, keep_published=keep_published)
        dropped = set(splits.dropped)
        for item in stored:
            if item.record.name in dropped:
                item.image.unlink()
                item.mask.unlink()
        _write_facts(folder, entry, [item for item in stored if item.record.name not in dropped])
        write_json(folder / SPLITS_FILE, {"seed": seed, **split_lists(splits.of)}, private=False)
    counts = Counter(splits.of.values())
    return WriteResult(counts={split: counts[split] for split in SPLITS}, notes=(*notes, *splits.notes))


def _store_all(
    source: SourceDataset, entry: Entry, folder: Path, progress: Callable[[int, int | None], None] | None
) -> tuple[list[_StoredCase], list[str]]:
    """Write all images and masks; return them with notes for the user."""
    stored: list[_StoredCase] = []
    names: set[str] = set()
    wrong_size: list[str] = []
    for done, case in enumerate(source.cases, 1):
        kept = _store(case, _unique(case, names), folder, entry)
        if kept is None:
            wrong_size.append(case.name)
        else:
            stored.append(kept)
        if progress is not None:
            progress(done, source.total)
    notes = list(source.notes)
    note_left_out(notes, wrong_size, "image and mask differ in size")
    if not stored:
        raise DataError(
            f"No image of {entry.title} is left to import. {' '.join(notes)}".strip(), code="LEX-DATA-089"
        )
    absent = set(range(1, entry.num_classes)).difference(*(item.labels for item in stored))
    if len(absent) == entry.num_classes - 1:
        wanted = ", ".join(f"{value} for {named.name}" for named in entry.classes for value in named.original)
        raise DataError(
            f"None of {counted(len(stored), 'mask')} holds a class of {entry.title}; expected the values "
            f"{wanted}.",
            code="LEX-DATA-090",
        )
    notes += [f"No mask holds the class {entry.classes[label - 1].name}." for label in sorted(absent)]
    return stored, notes


def _unique(case: SourceCase, names: set[str]) -> str:
    """Return a unique name: if two splits use the same name, the split is put before the second one."""
    name = case.name
    if name.lower() in names and case.split is not None:
        name = f"{case.split}_{name}"
    if name.lower() in names:
        raise DataError(
            f"Two images are called {case.name}, the second one is {case.original}. Rename one of them.",
            code="LEX-DATA-091",
        )
    names.add(name.lower())
    return name


def _store(case: SourceCase, name: str, folder: Path, entry: Entry) -> _StoredCase | None:
    """Write a case's image and mask; return None if they differ in size."""
    content = read_content(case.image) if isinstance(case.image, Path) else _png(case.image)
    suffix = case.image.suffix if isinstance(case.image, Path) else ".png"
    image, mask = folder / IMAGES / f"{name}{suffix}", folder / MASKS / f"{name}.png"
    header = decode_header(content, case.image if isinstance(case.image, Path) else image)
    if (header.height, header.width) != case.labels.shape:
        return None
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(content)
    write_mask(mask, case.labels, num_classes=entry.num_classes)
    digest = hashlib.sha256(content).hexdigest()
    return _StoredCase(
        record=SplitRecord(name=name, digest=digest, patient=case.patient, split=case.split),
        facts=CaseFacts(patient=case.patient, spacing_mm=case.spacing_mm, original=case.original),
        report=case.report,
        image=image,
        mask=mask,
        labels=frozenset(np.flatnonzero(np.bincount(case.labels.ravel())).tolist()),
    )


def _png(pixels: Pixels) -> bytes:
    """Return (H, W) grey pixels as the bytes of a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def _write_facts(folder: Path, entry: Entry, stored: Sequence[_StoredCase]) -> None:
    """Write cases.csv, reports.csv and dataset.yaml."""
    write_case_facts(folder, {item.record.name: item.facts for item in stored})
    rows = [(item.record.name, item.report) for item in stored if item.report]
    if rows:
        write_text(folder / REPORTS, csv_text([("image", "description"), *rows]), private=False)
    stated = yaml.safe_dump(_stated(entry), sort_keys=False, allow_unicode=True)
    write_text(folder / DATASET_FILE, stated, private=False)


def _stated(entry: Entry) -> dict[str, object]:
    """Return the contents of dataset.yaml."""
    is_binary = entry.num_classes == 2
    values = [255] if is_binary else range(1, entry.num_classes)
    stated = {
        "name": entry.title,
        "vocabulary": entry.vocabulary,
        "side": entry.side,
        "classes": {0: "background", **{v: c.name for v, c in zip(values, entry.classes, strict=True)}},
        "spacing_mm": [entry.spacing_mm, entry.spacing_mm] if entry.spacing_mm is not None else None,
        "keyword": entry.classes[0].keyword if is_binary else {c.name: c.keyword for c in entry.classes},
    }
    return {field: value for field, value in stated.items() if value is not None}
