"""Findings about reports that no shipped vocabulary reads: training makes one factor of their sentences."""

from __future__ import annotations

from collections.abc import Sequence

from lexiseg.data.check.report import Finding, make_finding
from lexiseg.data.sample import Sample
from lexiseg.errors import DataError
from lexiseg.words.description import Side
from lexiseg.words.reading.mirrored_sentences import mirror_note
from lexiseg.words.reading.sentence_groups import advice_to_read, refuse_ungroupable, shares_sentence


def check_fixed_sentences(samples: Sequence[Sample], side: Side | None) -> list[Finding]:
    """Return findings about sentences without a grammar: an error where training refuses them.

    Args:
        samples: The samples of all splits. Training reads the sentences of the training split.
        side: The side convention that `dataset.yaml` states.
    """
    sentences = [sample.report for sample in samples if sample.split == "train" and sample.report]
    if not sentences:
        return []
    try:
        refuse_ungroupable(sentences)
    except DataError as error:
        message = f"No vocabulary is chosen for the reports, and training stops here. {error}"
        return [make_finding("reports-grammar", "error", message)]
    scored = [sample.report for sample in samples if sample.split == "val" and sample.report]
    if scored and not shares_sentence(scored, sentences):
        message = (
            "No vocabulary is chosen for the reports, and no validation image has a sentence of a training "
            f"image: training stops here. {advice_to_read(sentences)} Or use --text concepts."
        )
        return [make_finding("reports-grammar", "error", message)]
    findings = [
        make_finding(
            "reports-grammar",
            "warning",
            "Training makes one factor of the distinct sentences of the reports. "
            f"{advice_to_read(sentences)} To measure words on the masks instead, use --text concepts.",
        )
    ]
    if side is None:
        findings.append(
            make_finding(
                "side-convention",
                "warning",
                "Whose left and right the reports mean is not known, as no vocabulary reads them. State "
                "`side: image` or `side: patient` in dataset.yaml.",
            )
        )
    note = mirror_note(sentences)
    return findings if note is None else [*findings, make_finding("mirror-unknown", "warning", note)]
