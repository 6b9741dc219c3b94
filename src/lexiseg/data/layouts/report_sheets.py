"""The report sheet of a folder, attached to its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.layouts.name_hints import lost_zeros, name_hint
from lexiseg.data.layouts.pairing import match_reports, plain_stem
from lexiseg.data.layouts.scan import some
from lexiseg.data.layouts.sheets import find_sheet, read_sheet
from lexiseg.data.omissions import Omission
from lexiseg.errors import DataError
from lexiseg.printable import counted


@dataclass(frozen=True, kw_only=True)
class AttachedReports:
    """The sentences of one sheet by image.

    Attributes:
        sheet: The sheet; None if the folder has none.
        reports: Sentence per image.
        orphans: Names in the sheet that belong to no image.
        faults: Why the sheet cannot be used as it is, one sentence each.
        notes: What was assumed, one sentence each.
        left_out: What the sheet holds, but is not used.
    """

    sheet: Path | None = None
    reports: dict[Path, str] = field(default_factory=dict)
    orphans: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[Omission, ...] = ()


def attach_reports(folder: Path, images: Sequence[Path], *, stem: str | None = None) -> AttachedReports:
    """Find and read the report sheet of a folder, and match its rows with images.

    Args:
        folder: The folder.
        images: The images.
        stem: Name of the sheet without ending; None: the only sheet in the folder.
    """
    path = None
    try:
        path = find_sheet(folder, stem=stem)
        if path is None:
            return AttachedReports()
        sheet = read_sheet(path)
    except DataError as error:
        return AttachedReports(sheet=path, faults=(str(error),))
    matched = match_reports(sheet.rows, images, path)
    stems = [plain_stem(image.name) for image in images]
    faults = [*sheet.faults, *matched.faults]
    lost = lost_zeros(matched.orphans, [plain_stem(p.name) for p in images if p not in matched.reports])
    if lost:
        key, image = lost[0]
        faults.append(
            f"Names in {path} that match an image only without leading zeros ({len(lost)}), such as "
            f"{key} for {image}. A spreadsheet program took them for numbers: format the column as text, "
            "and restore the zeros."
        )
    elif matched.orphans and not matched.reports:
        faults.append(
            f"No row of {path} belongs to an image of {folder}; its keys are, for example, "
            f"{some(matched.orphans)}.{name_hint(matched.orphans, stems)}"
        )
    notes = matched.notes
    if not sheet.rows:
        # Not a fault: training can measure its words in the masks.
        notes += (
            f"{path} holds no sentence, so it gives no report to the {counted(len(images), 'image')} of "
            f"{folder}. Write the sentences into the sheet, or remove it.",
        )
    return AttachedReports(
        sheet=path,
        reports=matched.reports,
        orphans=matched.orphans,
        faults=tuple(faults),
        notes=notes,
        left_out=sheet.left_out,
    )
