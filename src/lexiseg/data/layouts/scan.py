"""Everything a layout finds in a folder, complete or not.

`open_dataset` refuses an incomplete scan; `data check` reports on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Everything found in a folder.

    Attributes:
        root: The folder.
        layout: Name of the layout, such as "folders".
        samples: Every image with its files and facts; masks may be missing.
        masks_without_image: Mask files that belong to no image.
        missing_files: Files that a CSV names but that do not exist.
        reports_without_image: Keys of report sheets that belong to no image.
        faults: Reasons why the data set cannot be used as it is, one sentence each: sheets without columns,
            duplicate names, ...
        assumptions: What was assumed, one sentence each.
        has_reports: Whether there is a report sheet.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    masks_without_image: tuple[Path, ...] = ()
    missing_files: tuple[Path, ...] = ()
    reports_without_image: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    has_reports: bool = False


def some(names: list[str] | tuple[str, ...], *, limit: int = 5) -> str:
    """Return up to `limit` names, and the number of others."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
