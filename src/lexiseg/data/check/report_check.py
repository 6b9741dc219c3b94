"""Comparison of reports with masks: readability, side convention, and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.check.fixed_sentences import check_fixed_sentences
from lexiseg.data.check.inspection import Inspection, Measure
from lexiseg.data.check.report import FileNote, Finding, make_finding
from lexiseg.data.dataset_yaml import DatasetYaml
from lexiseg.data.sample import LEARNED_SPLITS, Sample
from lexiseg.data.side_check import other_side
from lexiseg.printable import counted
from lexiseg.words.description import UNKNOWN, Side
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure_indices
from lexiseg.words.reading.reports import ParsedSheet, parse_sheet
from lexiseg.words.reading.sentence_groups import choose_vocabulary
from lexiseg.words.side_convention import SideEvidence, factor_agreement, infer_side
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary

#: A factor whose reports agree with the masks less often gets a warning of its own.
LOW_AGREEMENT = 0.8


@dataclass(frozen=True, kw_only=True)
class Reports:
    """The parsed report sentences of a data set.

    Attributes:
        vocabulary: The vocabulary they are parsed with; None if none is stated or chosen.
        sheet: The descriptions by sample id.
    """

    vocabulary: Vocabulary | None
    sheet: ParsedSheet | None

    def measure(self) -> Measure | None:
        """Return the function that measures a mask with the vocabulary of the reports."""
        vocabulary = self.vocabulary
        if vocabulary is None:
            return None

        def measure(labels: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8] | None) -> tuple[int, ...]:
            return measure_indices(labels, vocabulary, image=image, side="image")

        return measure


@dataclass(frozen=True, kw_only=True)
class ReportCheck:
    """The result of comparing reports with masks.

    Attributes:
        findings: The findings.
        side: Side convention of the reports, stated or inferred; None if unknown.
        side_evidence: How it is known, in words.
        agreement: Share of reports that agree with their mask, per factor.
    """

    findings: tuple[Finding, ...] = ()
    side: Side | None = None
    side_evidence: str | None = None
    agreement: dict[str, float] = field(default_factory=dict)


def read_reports(samples: Sequence[Sample], vocabulary: str | None) -> Reports:
    """Parse all report sentences.

    Args:
        samples: The samples.
        vocabulary: Name or file of the vocabulary stated in `dataset.yaml`; None chooses the
            shipped one that a training chooses.

    Raises:
        LexisegError: The vocabulary does not exist or is not valid.
    """
    rows = {sample.id: sample.report for sample in samples if sample.report is not None}
    # Training chooses by its own images; a sheet without them is for evaluation alone.
    taught = [s.report for s in samples if s.split == "train" and s.report] or [*rows.values()]
    chosen = load_vocabulary(vocabulary) if vocabulary else choose_vocabulary(taught)
    if not rows or chosen is None:
        return Reports(vocabulary=chosen, sheet=None)
    return Reports(vocabulary=chosen, sheet=parse_sheet(rows, chosen))


def check_reports(
    reports: Reports, inspections: Sequence[Inspection], stated: DatasetYaml, root: Path
) -> ReportCheck:
    """Compare reports with the measured words of their masks.

    Args:
        reports: The parsed reports.
        inspections: The inspected files.
        stated: The data set's `dataset.yaml`.
        root: Its folder, for messages.
    """
    if reports.vocabulary is None:
        samples = [item.sample for item in inspections]
        return ReportCheck(findings=tuple(check_fixed_sentences(samples, stated.side)), side=stated.side)
    if reports.sheet is None:
        return ReportCheck()
    descriptions = reports.sheet.descriptions
    cases = [
        (item, descriptions[item.sample.id].indices, item.measured)
        for item in inspections
        if item.measured is not None and item.sample.id in descriptions
    ]
    evidence = infer_side([(said, seen) for _, said, seen in cases], reports.vocabulary)
    side = stated.side or evidence.side
    findings = [
        *_unread_splits(reports, [item.sample for item in inspections]),
        *_unreadable(reports.sheet),
        *_side_findings(root, stated.side, evidence, reports.vocabulary.side),
    ]
    used: Side = side or reports.vocabulary.side
    pairs = [(said, to_side(reports.vocabulary, seen, given="image", wanted=used)) for _, said, seen in cases]
    rates = {
        name: found.rate
        for name, found in factor_agreement(pairs, reports.vocabulary).items()
        if found.rate is not None
    }
    findings += _contradictions([item for item, _, _ in cases], pairs, reports, rates)
    return ReportCheck(
        findings=tuple(findings),
        side=side,
        side_evidence=_in_words(stated.side, evidence),
        agreement=rates,
    )


def _unread_splits(reports: Reports, samples: Sequence[Sample]) -> list[Finding]:
    """Return an error for a split of which training reads the reports, and of which none can be read."""
    assert reports.sheet is not None
    assert reports.vocabulary is not None
    findings = []
    for split in LEARNED_SPLITS:
        read = [reports.sheet.descriptions[s.id].indices for s in samples if s.split == split and s.report]
        if read and all(index == UNKNOWN for indices in read for index in indices):
            message = (
                f"No report of the {split} split can be read with the vocabulary "
                f"'{reports.vocabulary.name}': training stops here. State another one in "
                "dataset.yaml, or use --text concepts."
            )
            findings.append(make_finding("report-unreadable", "error", message))
    return findings


def _unreadable(sheet: ParsedSheet) -> list[Finding]:
    """Return findings about reports that are not fully readable, doubtful, or repaired."""
    findings = []
    if sheet.unreadable:
        notes = [
            FileNote(file=key, detail=_problem(d.sentence, d.problems)) for key, d in sheet.unreadable.items()
        ]
        message = "Reports that cannot be read in full; the unread factors stay unknown."
        findings.append(make_finding("report-unreadable", "warning", message, notes))
    if sheet.doubtful:
        notes = [
            FileNote(file=key, detail=_problem(d.sentence, d.problems)) for key, d in sheet.doubtful.items()
        ]
        findings.append(
            make_finding("report-doubtful", "warning", "Reports that were read, but are doubtful.", notes)
        )
    if sheet.repaired:
        notes = [
            FileNote(
                file=key,
                detail="; ".join(
                    f"{r.found} -> {r.meant}" for reading in d.readings for r in reading.repairs
                ),
            )
            for key, d in sheet.repaired.items()
        ]
        message = f"Reports with typing errors that were repaired: {sheet.list_repairs()}."
        findings.append(make_finding("report-repaired", "info", message, notes))
    return findings


def _side_findings(root: Path, stated: Side | None, evidence: SideEvidence, assumed: Side) -> list[Finding]:
    """Return findings about the side convention of the reports: an error where training refuses it.

    Args:
        root: The data set's folder.
        stated: The convention that `dataset.yaml` states.
        evidence: The comparison of reports and masks.
        assumed: The convention of the vocabulary, which training uses if none is stated.
    """
    if evidence.contradicts(stated or assumed):
        message = other_side(root, evidence, stated or assumed, is_stated=stated is not None)
        return [make_finding("side-convention", "error", message)]
    if stated is None and evidence.side is None and evidence.cases:
        return [
            make_finding(
                "side-convention",
                "warning",
                f"The side convention of the reports is unclear: {evidence.image_cases} of {evidence.cases} "
                f"one-sided cases use the image's left. Training takes left and right as the {assumed}'s. "
                f"Correct the reports, or state `side: image` or `side: patient` in dataset.yaml.",
            )
        ]
    if stated is None and evidence.side is not None:
        return [
            make_finding(
                "side-convention",
                "info",
                f"{_in_words(None, evidence)} If so, state `side: {evidence.side}` in dataset.yaml.",
            )
        ]
    return []


def _in_words(stated: Side | None, evidence: SideEvidence) -> str | None:
    """Return a sentence on the side convention of the reports and how it is known."""
    if stated is not None:
        seen = (
            f"; {evidence.share:.1%} of {counted(evidence.cases, 'one-sided case')} agree"
            if evidence.side == stated
            else ""
        )
        return f"Left and right in the reports are the {stated}'s, as dataset.yaml states{seen}."
    if evidence.side is None:
        return None
    share = f"{evidence.share:.1%} of {counted(evidence.cases, 'one-sided case')}"
    return f"Left and right in the reports are the {evidence.side}'s, in {share}."


def _contradictions(
    items: Sequence[Inspection],
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    reports: Reports,
    rates: dict[str, float],
) -> list[Finding]:
    """Return findings about reports that contradict their mask, and factors that often do."""
    assert reports.vocabulary is not None
    factors = reports.vocabulary.factors
    notes = []
    for item, (said, seen) in zip(items, pairs, strict=True):
        wrong = [
            f"the report states {factor.phrases[a]!r}, the mask shows {factor.phrases[b]!r}"
            for factor, a, b in zip(factors, said, seen, strict=True)
            if UNKNOWN not in (a, b) and a != b
        ]
        if wrong:
            notes.append(FileNote(file=item.sample.id, detail="; ".join(wrong)))
    findings = []
    if notes:
        per_factor = ", ".join(f"{name} {rate:.2%}" for name, rate in rates.items())
        message = (
            f"Reports that contradict their mask in at least one factor. Agreement per factor: {per_factor}."
        )
        findings.append(make_finding("report-contradicts", "warning", message, notes))
    for name, rate in rates.items():
        if rate < LOW_AGREEMENT:
            message = (
                f"The factor {name} agrees with the masks in only {rate:.1%} of the reports. Either the "
                "reports or the thresholds of the vocabulary do not fit this data set."
            )
            findings.append(make_finding("low-agreement", "warning", message))
    return findings


def _problem(sentence: str, problems: Sequence[str]) -> str:
    return f"{sentence!r}: {'; '.join(problems)}"
