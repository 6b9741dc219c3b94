"""Findings about images without a report: an error where training with reports stops."""

from __future__ import annotations

from lexiseg.data.check.report import FileNote, Finding, make_finding
from lexiseg.data.layouts.scan import Scan
from lexiseg.data.sample import LEARNED_SPLITS, Sample


def check_missing_reports(scan: Scan) -> list[Finding]:
    """Return findings about images without a report, in a data set with a report sheet.

    Training reads reports where all training and validation images have one, and measures words where none
    has; it refuses what lies between.

    Args:
        scan: The scan of the data set.
    """
    silent = [sample for sample in scan.samples if not sample.report]
    if not silent or not scan.has_reports:
        return []
    if len(silent) == len(scan.samples) and scan.faults:
        # A sheet that cannot be read is a fault of its own: it may well name every image.
        return []
    # Images without a mask can be left out of a training (`--unmasked leave_out`), with their reports.
    with_mask = [s for s in scan.samples if s.split in LEARNED_SPLITS and s.mask is not None]
    learned = [sample for sample in with_mask if not sample.report]
    stopping = learned if 0 < len(learned) < len(with_mask) else []
    others = [sample for sample in silent if sample not in stopping]
    findings = []
    if stopping:
        message = (
            "Training and validation images without a report, while others have one: training stops here, "
            "except with --text concepts, --text none or a description file. Add the sentences to the sheet."
        )
        findings.append(make_finding("missing-report", "error", message, _notes(stopping)))
    if others:
        message = "Images without a report: no sheet has a sentence for them."
        findings.append(make_finding("missing-report", "warning", message, _notes(others)))
    return findings


def _notes(samples: list[Sample]) -> list[FileNote]:
    return [FileNote(file=sample.id) for sample in samples]
