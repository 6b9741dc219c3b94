"""`lexiseg data check`: finds problems of a data set before a training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lexiseg.data.check.duplicates import MIN_CORRELATION, exact_duplicates, near_duplicates
from lexiseg.data.check.inspection import Inspection, inspect_all
from lexiseg.data.check.mask_plausibility import check_plausibility
from lexiseg.data.check.missing_masks import check_missing_masks
from lexiseg.data.check.missing_reports import check_missing_reports
from lexiseg.data.check.report import (
    CheckReport,
    FileNote,
    Finding,
    Severity,
    by_severity,
    make_finding,
)
from lexiseg.data.check.report_check import Reports, check_reports, read_reports
from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.fit_suggestion import ImageFacts, suggest_fit
from lexiseg.data.layouts.assemble import perhaps_patients
from lexiseg.data.layouts.open_dataset import find_coding, image_assumptions, scan_folder, vocabulary_path
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.leaks import leak_remedy
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.patient_groups import shared_patients
from lexiseg.data.sample import SPLITS
from lexiseg.errors import DataError, LexisegError
from lexiseg.renamed_arguments import renamed

#: The image size of a training that states none, in pixels.
IMAGE_SIZE = 224


@renamed(folder="data")
def check_dataset(
    data: str | Path, *, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> CheckReport:
    """Check a data set: names, files, masks, splits and reports.

    Args:
        data: The data set's folder.
        seed: Seed of the split, where there is none; as in `open_dataset`.
        progress: Called with the number of checked images and of all images.

    Returns:
        The report. A file that cannot be read is a finding; the other files are still checked.

    Raises:
        DataError: The folder is missing, empty or in no known layout, or its `dataset.yaml` cannot be used.
    """
    root = Path(data)
    stated, scan = scan_folder(root, seed=seed)
    findings = _names(scan)
    coding, class_names, notes = _coding(scan, stated, findings)
    reports = _reports(scan, stated, findings)
    inspections = inspect_all(scan.samples, coding, reports.measure(), progress=progress)
    findings += _files(root, inspections)
    findings += check_plausibility(inspections, lambda path: _relative(path, root))
    findings += _splits(root, inspections)
    findings += _fit(inspections)
    has_sentences = any(sample.report is not None for sample in scan.samples)
    words = check_reports(reports, inspections, stated, root) if has_sentences else None
    findings += words.findings if words is not None else ()
    unsure = perhaps_patients(scan.samples)
    findings += [make_finding("patient-unknown", "warning", unsure)] if unsure else []
    headers = [item.header for item in inspections if item.header is not None]
    findings += [
        make_finding("assumed", "info", text)
        for text in (*scan.assumptions, *image_assumptions(headers), *notes)
        if text != unsure
    ]
    return CheckReport(
        root=str(root),
        name=stated.name or root.resolve().name,
        layout=scan.layout,
        samples={split: sum(sample.split == split for sample in scan.samples) for split in SPLITS},
        classes=class_names,
        vocabulary=reports.vocabulary.name if reports.vocabulary is not None else None,
        side=words.side if words is not None else None,
        side_evidence=words.side_evidence if words is not None else None,
        reports_read=reports.sheet.coverage if reports.sheet is not None else None,
        agreement=words.agreement if words is not None else {},
        findings=by_severity(findings),
    )


def _coding(
    scan: Scan, stated: DatasetYaml, findings: list[Finding]
) -> tuple[MaskCoding | None, tuple[str, ...], tuple[str, ...]]:
    """Return mask coding, class names and notes; add a finding if the coding cannot be inferred."""
    try:
        return find_coding(scan.samples, stated, skip_unreadable=True)
    except DataError as error:
        findings.append(make_finding("mask-coding", "error", str(error)))
        return None, (), ()


def _reports(scan: Scan, stated: DatasetYaml, findings: list[Finding]) -> Reports:
    """Read the reports; add a finding if the vocabulary cannot be loaded."""
    if not scan.has_reports:
        return Reports(vocabulary=None, sheet=None)
    try:
        return read_reports(scan.samples, vocabulary_path(stated.vocabulary, scan.root))
    except LexisegError as error:
        findings.append(make_finding("vocabulary", "error", str(error)))
        return Reports(vocabulary=None, sheet=None)


def _names(scan: Scan) -> list[Finding]:
    """Return findings about names: files and rows without a counterpart."""
    findings = [make_finding("layout", "error", fault) for fault in scan.faults]
    missing = [FileNote(file=_relative(path, scan.root)) for path in scan.missing_files]
    orphans = [FileNote(file=_relative(path, scan.root)) for path in scan.masks_without_image]
    keys = [FileNote(file=key) for key in scan.reports_without_image]
    checks: list[tuple[str, Severity, str, list[FileNote]]] = [
        ("missing-file", "error", "Files that the CSVs name do not exist.", missing),
        ("orphan-mask", "warning", f"Masks that belong to no image. {scan.mask_names}", orphans),
        ("orphan-report", "warning", "Rows of report sheets that belong to no image.", keys),
    ]
    findings += [make_finding(code, level, text, notes) for code, level, text, notes in checks if notes]
    # Where names or splits.json have faults, the images of a split are not known yet.
    findings += [] if scan.faults else _empty_splits(scan)
    findings += check_missing_reports(scan)
    findings += check_missing_masks(scan, lambda path: _relative(path, scan.root))
    return findings + [
        make_finding(
            "left-out",
            "warning",
            item.sentence,
            [FileNote(file=name) for name in item.names],
            count=item.count,
        )
        for item in scan.left_out
    ]


def _empty_splits(scan: Scan) -> list[Finding]:
    """Return a finding about splits without an image: an error where a training refuses them.

    A data set without training and validation images is for evaluation alone.
    """
    empty = [split for split in SPLITS if not any(sample.split == split for sample in scan.samples)]
    notes = [FileNote(file=split) for split in empty]
    if ("train" in empty) != ("val" in empty):
        text = "Splits without an image. Training needs training and validation images."
        return [make_finding("empty-split", "error", text, notes)]
    return [make_finding("empty-split", "warning", "Splits without an image.", notes)] if empty else []


def _fit(inspections: Sequence[Inspection]) -> list[Finding]:
    """Return a note if images should not be stretched to the picture that a network sees."""
    facts = [
        ImageFacts(size=item.image_shape, lesion_px=item.lesion_px)
        for item in inspections
        if item.sample.split == "train" and item.image_shape is not None
    ]
    suggested = suggest_fit(facts, IMAGE_SIZE).sentence()
    return [] if suggested is None else [make_finding("fit", "info", suggested)]


#: Code, severity and message of the checks of single files.
_FILE_CHECKS: tuple[tuple[str, Severity, str], ...] = (
    ("unreadable-image", "error", "Images that cannot be read."),
    ("unreadable-mask", "error", "Masks that cannot be read."),
    ("size-mismatch", "error", "Image and mask differ in size. Export both at one size, or remove them."),
    ("mask-values", "error", "Masks with values that are not a class of this data set."),
    ("empty-mask", "info", "Masks without a lesion."),
    ("exif-orientation", "warning", "Images with an EXIF orientation, which is not applied."),
)


def _files(root: Path, inspections: Sequence[Inspection]) -> list[Finding]:
    """Return findings about single files."""
    notes: dict[str, list[FileNote]] = {code: [] for code, _, _ in _FILE_CHECKS}
    for item in inspections:
        image = _relative(item.sample.image, root)
        mask = _relative(item.sample.mask, root) if item.sample.mask is not None else ""
        if item.image_error is not None:
            notes["unreadable-image"].append(FileNote(file=image, detail=item.image_error))
        if item.mask_error is not None:
            notes["unreadable-mask"].append(FileNote(file=mask, detail=item.mask_error))
        if item.image_shape and item.mask_shape and item.image_shape != item.mask_shape:
            detail = f"image {_size(item.image_shape)}, mask {_size(item.mask_shape)} (rows x columns)"
            notes["size-mismatch"].append(FileNote(file=image, detail=detail))
        if item.mask_values is not None:
            notes["mask-values"].append(FileNote(file=mask, detail=item.mask_values))
        if item.is_empty:
            notes["empty-mask"].append(FileNote(file=mask))
        if item.header is not None and item.header.turned:
            notes["exif-orientation"].append(FileNote(file=image))
    found = [
        make_finding(code, level, text, notes[code]) for code, level, text in _FILE_CHECKS if notes[code]
    ]
    understood = sum(item.is_empty is not None for item in inspections)
    if understood and len(notes["empty-mask"]) == understood:
        found.append(make_finding("all-empty", "error", "No mask holds a lesion; nothing can be learnt."))
    return found


def _splits(root: Path, inspections: Sequence[Inspection]) -> list[Finding]:
    """Return findings about images, patients and sources shared between splits."""
    copies = [
        FileNote(file=" = ".join(_relative(item.sample.image, root) for item in group))
        for group in exact_duplicates(inspections)
    ]
    near = [
        FileNote(
            file=f"{_relative(a.sample.image, root)} ~ {_relative(b.sample.image, root)}",
            detail=f"correlation {correlation:.3f}",
        )
        for a, b, correlation in sorted(near_duplicates(inspections), key=lambda pair: -pair[2])
    ]
    patients = shared_patients((item.sample.patient, item.sample.split) for item in inspections)
    shared = [FileNote(file=patient, detail=", ".join(splits)) for patient, splits in patients.items()]
    remedy = leak_remedy(root)
    near_text = f"Nearly the same picture in two splits (thumbnails correlate by {MIN_CORRELATION} or more)."
    checks: list[tuple[str, Severity, str, list[FileNote]]] = [
        (
            "duplicate-image",
            "error",
            f"The same image in two splits: the files or their pixels are equal. {remedy}",
            copies,
        ),
        ("near-duplicate", "warning", near_text, near),
        ("patient-in-splits", "error", f"Patients with images in more than one split. {remedy}", shared),
    ]
    found = [make_finding(code, level, text, notes) for code, level, text, notes in checks if notes]
    return found + _one_source(inspections)


def _one_source(inspections: Sequence[Inspection]) -> list[Finding]:
    """Return a warning if validation has one source only and training has several."""
    sources = {
        split: {item.sample.source for item in inspections if item.sample.split == split} for split in SPLITS
    }
    val, train = sources["val"] - {None}, sources["train"] - {None}
    if len(val) != 1 or len(train) < 2:
        return []
    (only,) = val
    of_train = [item for item in inspections if item.sample.split == "train"]
    share = sum(item.sample.source == only for item in of_train) / len(of_train)
    message = (
        f"All validation images come from the source '{only}', but only {share:.0%} of the training images "
        "do. Choices made "
        f"on validation fit '{only}' only."
    )
    return [make_finding("one-source-val", "warning", message)]


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
