"""Masks that are probably not what they should be: inverted, full, or empty; or whose place is not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lexiseg.data.check.inspection import Inspection
from lexiseg.data.check.report import FileNote, Finding, make_finding
from lexiseg.printable import counted

#: A mask looks inverted if its lesion covers more than this share of the picture ...
LARGE = 0.5
#: ... and at least this share of the pixels at the edge of the picture.
FRAMED = 0.9
#: Empty masks are unexpected if they are at most this share of at least `MANY` masks.
RARE = 0.05
MANY = 20


def check_plausibility(inspections: Sequence[Inspection], name: Callable[[Path], str]) -> list[Finding]:
    """Return findings about masks that were read but are probably wrong.

    Args:
        inspections: All inspections; the shares of lesions are compared where they are known.
        name: Returns a file's name for the report.
    """
    known = [item for item in inspections if item.lesion_share is not None]
    full = [item for item in known if item.lesion_share == 1]
    inverted = [item for item in known if _looks_inverted(item)]
    empty = [item for item in known if item.is_empty]
    findings = []
    if inverted:
        which = (
            "all masks"
            if len(inverted) == len(known)
            else f"{len(inverted)} of {counted(len(known), 'mask')}"
        )
        findings.append(
            make_finding(
                "inverted-mask",
                "warning",
                f"The lesion is larger than the background and reaches the edge of the picture in {which}. "
                "If foreground and background are swapped, invert these files.",
                [
                    FileNote(file=_file(item, name), detail=f"lesion {item.lesion_share:.0%}")
                    for item in inverted
                ],
            )
        )
    if full:
        notes = [FileNote(file=_file(item, name)) for item in full]
        findings.append(make_finding("full-mask", "warning", "Masks without a background.", notes))
    if len(known) >= MANY and 0 < len(empty) <= RARE * len(known):
        notes = [FileNote(file=_file(item, name)) for item in empty]
        text = "Masks without a lesion, although nearly all masks have one. Check whether they are complete."
        findings.append(make_finding("unexpected-empty-mask", "warning", text, notes))
    unplaced = [item for item in inspections if item.place_is_unknown]
    if unplaced:
        notes = [FileNote(file=_file(item, name)) for item in unplaced]
        text = (
            "DICOM masks that do not say how and where they lie on their image (frame of reference, "
            "orientation and position): the size is compared, and what else both files state. A mask that is "
            "mirrored, turned or of another place may not be noticed."
        )
        findings.append(make_finding("mask-place-unknown", "info", text, notes))
    return findings


def _looks_inverted(item: Inspection) -> bool:
    assert item.lesion_share is not None
    assert item.frame_share is not None
    return LARGE < item.lesion_share < 1 and item.frame_share >= FRAMED


def _file(item: Inspection, name: Callable[[Path], str]) -> str:
    assert item.sample.mask is not None
    return name(item.sample.mask)
