"""Opening a data set in any known layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from lexiseg.clinic.detection import DICOM_SUFFIXES, may_be_dicom
from lexiseg.clinic.segment_meanings import Meaning, dicom_meanings, other_meaning, several_meanings
from lexiseg.data.content import read_content
from lexiseg.data.dataset_yaml import DatasetYaml, read_dataset_yaml
from lexiseg.data.decode import Header, decode_header
from lexiseg.data.layouts.case_facts import read_case_facts
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.name_hints import name_hint
from lexiseg.data.layouts.registry import expected_layouts, find_layout
from lexiseg.data.layouts.scan import Scan, some
from lexiseg.data.mask_coding import MaskCoding
from lexiseg.data.mask_hiding import hide_masks
from lexiseg.data.mask_histograms import mask_histograms, spread
from lexiseg.data.mask_inference import explicit_coding, infer_mask_coding
from lexiseg.data.mask_parts import mask_parts
from lexiseg.data.sample import DatasetIndex, Sample
from lexiseg.data.volumes.segment_names import segment_names
from lexiseg.data.volumes.volume_names import is_volume_file, stored_file
from lexiseg.errors import DataError
from lexiseg.printable import command_word, counted
from lexiseg.renamed_arguments import renamed

#: Number of images whose headers are read, to note how they are stored.
HEADERS_READ = 64


@renamed(folder="data")
def open_dataset(
    data: str | Path,
    *,
    seed: int = 0,
    allow_missing_masks: bool = False,
    masks: float | None = None,
    coded_by: Callable[[Sequence[Sample]], Sequence[Sample]] | None = None,
) -> DatasetIndex:
    """Find the layout of a data set and index it. The masks are decoded once, to find their coding.

    A `dataset.yaml` in the folder may state name, vocabulary, side, classes, spacing_mm, keyword and patient;
    a `cases.csv` the patient and spacing of single images.

    Args:
        data: The data set's folder.
        seed: Seed of the split where the data set has none; the split is written to `splits.json` beside the
            data.
        allow_missing_masks: Whether images without a mask are samples too (with `mask` None) instead of an
            error.
        masks: Share of the training images' masks that are used; the others are hidden, chosen by the seed,
            before any mask is opened (see `lexiseg.data.mask_hiding`). None uses all.
        coded_by: Returns the samples whose masks may be opened to find the coding, from all samples; None:
            all of them.

    Returns:
        The index, with notes on what was assumed.

    Raises:
        DataError: The folder is missing, empty or in no known layout, or the data set is not complete:
            missing masks or files, duplicate names, a sheet without the needed columns, classes that cannot
            be inferred. Where images may lack a mask, masks without an image are refused: their names are
            likely wrong.
    """
    root = Path(data)
    stated, scan = scan_folder(root, seed=seed)
    _demand_complete(scan, allow_missing_masks=allow_missing_masks)
    if masks is not None:
        scan = dataclasses.replace(scan, samples=hide_masks(scan.samples, share=masks, seed=seed))
    looked_at = scan.samples if coded_by is None else coded_by(scan.samples)
    coding, class_names, notes = find_coding(looked_at, stated)
    return DatasetIndex(
        root=root,
        name=_name(stated, root),
        layout=scan.layout,
        samples=scan.samples,
        coding=coding,
        class_names=class_names,
        vocabulary=vocabulary_path(stated.vocabulary, root),
        side=stated.side,
        keyword=stated.keyword,
        left_out=scan.all_left_out,
        assumptions=(
            *scan.assumptions,
            *(item.sentence for item in scan.all_left_out),
            *image_assumptions(_headers(scan.samples)),
            *notes,
        ),
    )


def name_of(folder: str | Path) -> str:
    """Return the name of a data set without opening it: the one in `dataset.yaml`, or the folder's name.

    Raises:
        DataError: `dataset.yaml` cannot be used.
    """
    root = Path(folder)
    return _name(read_dataset_yaml(root), root)


def _name(stated: DatasetYaml, root: Path) -> str:
    return stated.name or root.resolve().name


def scan_folder(root: Path, *, seed: int) -> tuple[DatasetYaml, Scan]:
    """Find everything in a folder, complete or not.

    Raises:
        DataError: The folder is missing, empty or in no known layout, or its `dataset.yaml` or `cases.csv`
            cannot be used.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist; expected the folder of a data set.", code="LEX-DATA-021")
    if not root.is_dir():
        raise DataError(f"{root} is a file; expected the folder of a data set.", code="LEX-DATA-022")
    if not any(root.iterdir()):
        raise DataError(f"{root} is empty. Expected one of: {expected_layouts()}.", code="LEX-DATA-023")
    stated = read_dataset_yaml(root)
    folder = DatasetFolder(root=root, stated=stated, cases=read_case_facts(root), seed=seed)
    layout = find_layout(root)
    if layout is None:
        raise _unknown_layout(root)
    scan = layout.scan(folder)
    if stated.classes is None and scan.classes is not None:
        stated = stated.model_copy(update={"classes": scan.classes})
    if not scan.samples and not scan.faults and not scan.missing_files:
        raise DataError(
            f"{root} has the layout {scan.layout!r} but holds no image (PNG, JPEG, TIFF, BMP, WebP or "
            f"DICOM)."
            f"{_unread(scan)}",
            code="LEX-DATA-024",
        )
    return stated, scan


def find_coding(
    samples: Sequence[Sample], stated: DatasetYaml, *, skip_unreadable: bool = False
) -> tuple[MaskCoding, tuple[str, ...], tuple[str, ...]]:
    """Find the mask coding and class names, from `dataset.yaml` or from the values that the masks hold.

    The masks of the test split do not decide what the classes are, only how files of another coding are read.

    Args:
        samples: The samples.
        stated: The data set's `dataset.yaml`.
        skip_unreadable: Whether masks that cannot be read are skipped, to be reported elsewhere.

    Returns:
        The coding, the class names with the background first, and notes on what was assumed.

    Raises:
        DataError: There is no mask, a mask cannot be read, or the classes cannot be inferred from the values.
    """
    masks = [sample.mask for sample in samples if sample.mask is not None]
    files = [part for mask in masks for part in mask_parts(mask)]
    joined = _joined(masks)
    segments = _segment_meanings(files, stated)
    if stated.classes is not None:
        histograms = mask_histograms(files, skip_unreadable=skip_unreadable)
        coding, names = explicit_coding(stated.classes, histograms)
        nearest = ("Lossy masks take the nearest value of dataset.yaml.",) if coding.kind == "nearest" else ()
        return coding, names, (*joined, *segments, *nearest)
    tested = {sample.mask for sample in samples if sample.split == "test"}
    test_files = [part for mask in masks if mask in tested for part in mask_parts(mask)]
    coding, notes = infer_mask_coding(
        [file for file in files if file not in set(test_files)] or files,
        test_paths=test_files,
        skip_unreadable=skip_unreadable,
    )
    notes = (*joined, *notes)
    if coding.num_classes == 2:
        return coding, ("background", "lesion"), notes
    return coding, ("background", *(f"class {label}" for label in range(1, coding.num_classes))), notes


def _segment_meanings(files: Sequence[Path], stated: DatasetYaml) -> tuple[str, ...]:
    """Return a note where segmentations give one number to different structures, and `classes` decides.

    Raises:
        DataError: There are such files, and no `classes`.
    """
    found = other_meaning({file: _meanings(file) for file in {stored_file(file)[0] for file in files}})
    if found is None:
        return ()
    if stated.classes is None:
        raise several_meanings(found)
    return (f"{found}; both are read as dataset.yaml states.",)


def _meanings(file: Path) -> Mapping[int, Meaning]:
    """Return what each number of a DICOM segmentation, or of a label map of 3D Slicer, means."""
    if is_volume_file(file):
        return {number: Meaning(kind=None, label=name) for number, name in segment_names(file).items()}
    is_dicom = file.suffix.lower() in DICOM_SUFFIXES or may_be_dicom(file)
    return dicom_meanings(file) if is_dicom and find_spec("pydicom") is not None else {}


def _joined(masks: Sequence[Path]) -> tuple[str, ...]:
    """Return a note on images whose mask is in several files."""
    several = [parts for parts in map(mask_parts, masks) if len(parts) > 1]
    if not several:
        return ()
    return (
        f"{counted(len(several), 'image has', 'images have')} several masks, such as {several[0][0].name} "
        f"and {several[0][1].name}; they are joined to one mask per image.",
    )


def image_assumptions(headers: Sequence[Header]) -> tuple[str, ...]:
    """Return notes on how such images are read, one sentence each."""
    notes = []
    if any(header.is_deep for header in headers):
        notes.append("Images of more than 8 bits are scaled between their own 0.5th and 99.5th percentile.")
    if any(header.has_alpha for header in headers):
        notes.append("Transparent images are drawn on black.")
    if any(header.turned for header in headers):
        notes.append(
            "Some images have an EXIF orientation; it is not applied, so that they match their masks."
        )
    of_dicom = [note for header in headers if header.facts is not None for note in header.facts.assumptions]
    return (*notes, *dict.fromkeys(of_dicom))


def _headers(samples: Sequence[Sample]) -> list[Header]:
    """Read the headers of some images outside the test split, except unreadable ones."""
    headers = []
    for path in spread([sample.image for sample in samples if sample.split != "test"], HEADERS_READ):
        # An unreadable image is reported where its pixels are read.
        with suppress(DataError):
            headers.append(decode_header(read_content(path), path))
    return headers


def _demand_complete(scan: Scan, *, allow_missing_masks: bool) -> None:
    """Raise a `DataError` if the data set is not complete."""
    advice = f"`lexiseg data check {command_word(scan.root)}` lists everything."
    if scan.faults:
        raise DataError(
            " ".join(scan.faults[:3])
            + (f" {counted(len(scan.faults) - 3, 'more fault')}; {advice}" if scan.faults[3:] else ""),
            code="LEX-DATA-025",
        )
    if scan.missing_files:
        names = [str(path) for path in scan.missing_files]
        raise DataError(
            f"The CSVs name {counted(len(names), 'file that does', 'files that do')} not exist: "
            f"{some(names)}. {advice}",
            code="LEX-DATA-026",
        )
    without = [str(sample.image) for sample in scan.samples if sample.mask is None]
    if without and not allow_missing_masks:
        raise DataError(
            f"Missing masks: no mask for {len(without)} of {counted(len(scan.samples), 'image')}: "
            f"{some(without)}. {scan.mask_names}{_differing_names(scan)}{_unread(scan)} {advice}",
            code="LEX-DATA-027",
        )
    if len(without) == len(scan.samples):
        raise DataError(
            f"Missing masks: no image of {scan.root} has a mask ({counted(len(without), 'image')}). {advice}",
            code="LEX-DATA-028",
        )
    if without and scan.masks_without_image:
        strays = [str(path) for path in scan.masks_without_image]
        raise DataError(
            f"Missing masks: no mask for {len(without)} of {counted(len(scan.samples), 'image')} "
            f"({some(without)}), while {counted(len(strays), 'mask belongs', 'masks belong')} to no image "
            f"({some(strays)}). {scan.mask_names} Rename or remove these masks. {advice}",
            code="LEX-DATA-029",
        )


def _unread(scan: Scan) -> str:
    """Return sentences on files that may be the missing ones, but are not read; with a space in front."""
    reasons = ("subfolder", "beside-splits", "ending", "broken-link", "closed-folder")
    return "".join(f" {item.sentence}" for item in scan.left_out if item.reason in reasons)


def _differing_names(scan: Scan) -> str:
    """Return a sentence on how masks without an image differ in name from images without a mask."""
    stems = [sample.name for sample in scan.samples if sample.mask is None]
    return name_hint([path.name for path in scan.masks_without_image], stems)


def _unknown_layout(root: Path) -> DataError:
    """Return the error for an unknown layout: what the folder holds, and subfolders with a known layout."""
    entries = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir())
    inside = [path for path in sorted(root.iterdir()) if path.is_dir() and find_layout(path) is not None]
    if len(inside) > 1:
        hint = f" These folders in it have one, each of a data set of its own: {some([*map(str, inside)])}."
    else:
        hint = f" Did you mean {inside[0]}?" if inside else f" Expected one of: {expected_layouts()}."
    return DataError(
        f"{root} has no known layout; it holds {some(entries, limit=8)}.{hint}", code="LEX-DATA-030"
    )


def vocabulary_path(vocabulary: str | None, root: Path) -> str | None:
    """Return a vocabulary file as a path in the data set's folder; names of shipped ones stay unchanged."""
    if vocabulary is not None and (root / vocabulary).is_file():
        return str(root / vocabulary)
    return vocabulary
