"""Images without a mask: which of them a training accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lexiseg.data.check.report import FileNote, Finding, make_finding
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.patient_groups import FOLDS, patient_groups
from lexiseg.data.sample import LEARNED_SPLITS, Sample

_SCORED = (
    "Validation and test images without a mask. They need one for their scores: add the masks, or move these "
    "images to the training split."
)
_NONE = "No training image has a mask. At least one needs a mask."
_NAMES = (
    "Training images without a mask, while masks belong to no image (orphan-mask). The names are probably "
    "wrong."
)
_WORDLESS = (
    "Training images without a mask, while not every training and validation image has a report: training "
    "stops here, except with a description file, --unmasked leave_out or --unmasked pseudo_labels "
    "(docs/few_masks.md)."
)
_FEW = (
    f"Training images without a mask, while fewer than {FOLDS} patients have images with one: training stops "
    "here, except with --unmasked leave_out (docs/few_masks.md)."
)
_USABLE = (
    "Training images without a mask. Training uses them through their words, or leaves them out with "
    "--unmasked leave_out (docs/few_masks.md)."
)


def check_missing_masks(scan: Scan, name: Callable[[Path], str]) -> list[Finding]:
    """Return findings about images without a mask.

    They are errors where a training refuses them: in the validation and test splits, where no training image
    has a mask, where masks without an image show that names are wrong, where there are no reports through
    which they could teach, and where too few patients have a mask. Else they are a warning.

    Args:
        scan: The data set, complete or not.
        name: Returns the name of a file for the report.
    """

    def notes(samples: list[Sample]) -> list[FileNote]:
        return [FileNote(file=name(sample.image)) for sample in samples]

    train = [sample for sample in scan.samples if sample.split == "train"]
    unmasked = [sample for sample in train if sample.mask is None]
    scored = [sample for sample in scan.samples if sample.split != "train" and sample.mask is None]
    findings = [make_finding("missing-mask", "error", _SCORED, notes(scored))] if scored else []
    if not unmasked:
        return findings
    if len(unmasked) == len(train):
        return [*findings, make_finding("missing-mask", "error", _NONE, notes(unmasked))]
    if scan.masks_without_image:
        return [*findings, make_finding("missing-mask", "error", _NAMES, notes(unmasked))]
    if not all(sample.report for sample in scan.samples if sample.split in LEARNED_SPLITS):
        return [*findings, make_finding("missing-mask", "error", _WORDLESS, notes(unmasked))]
    if len(patient_groups(sample for sample in train if sample.mask is not None)) < FOLDS:
        return [*findings, make_finding("missing-mask", "error", _FEW, notes(unmasked))]
    return [*findings, make_finding("missing-mask", "warning", _USABLE, notes(unmasked))]
