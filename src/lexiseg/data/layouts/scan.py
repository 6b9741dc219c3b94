"""Everything a layout finds in a folder, complete or not.

`open_dataset` refuses an incomplete scan; `data check` reports on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.layouts.name_hints import name_hint
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import Sample

#: How masks are named in most layouts.
MASK_NAMES = "A mask is named like its image, or mask_NAME or NAME_mask."


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
        left_out: What the folder holds, but is not used, by reason; without the masks and rows that belong to
            no image.
        classes: Name per mask value, where the layout states them; `dataset.yaml` takes precedence.
        mask_names: How masks are named, as a sentence.
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
    left_out: tuple[Omission, ...] = ()
    classes: dict[int | str, str] | None = None
    mask_names: str = MASK_NAMES

    @property
    def all_left_out(self) -> tuple[Omission, ...]:
        """What is not used, with the masks and rows that belong to no image."""
        orphans = []
        if self.masks_without_image:
            names = [path.name for path in self.masks_without_image]
            orphans.append(
                Omission.of(
                    "orphan-mask",
                    names,
                    f"Masks that belong to no image and are left out ({len(names)}): {some(names)}. "
                    f"{self.mask_names}",
                )
            )
        if self.reports_without_image:
            keys = self.reports_without_image
            stems = [sample.name for sample in self.samples]
            orphans.append(
                Omission.of(
                    "orphan-report",
                    keys,
                    f"Rows of report sheets that belong to no image and are left out ({len(keys)}): "
                    f"{some(keys)}.{name_hint(keys, stems)}",
                )
            )
        return (*self.left_out, *orphans)


def some(names: Sequence[str], *, limit: int = 5) -> str:
    """Return up to `limit` names, and the number of others."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
