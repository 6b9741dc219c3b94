"""Images, masks and reports that the folders of a layout hold, while they are looked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.data.layouts.assemble import ImageRecord, assemble
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.pairing import Pairs, differing, plain_stem
from lexiseg.data.layouts.report_sheets import attach_reports
from lexiseg.data.layouts.scan import MASK_NAMES, Scan
from lexiseg.data.omissions import Omission
from lexiseg.data.sample import Split

#: What to do with tables that are not read.
TABLES_ADVICE = (
    "Reports are read from reports.csv or reports.xlsx; to use another table, save it under this name."
)
_REPORTS = "reports"


@dataclass
class FolderPairs:
    """Files and faults found so far.

    Attributes:
        masks: Mask per image; None where there is none.
        splits: Split per image, where it is known.
        stored: The file of an image whose path here has another name than the file.
        reports: Sentence per image.
        orphan_masks: Masks that belong to no image.
        orphan_reports: Names in sheets that belong to no image.
        faults: Why the data set cannot be used as it is, one sentence each.
        assumptions: What was assumed, one sentence each.
        left_out: What is not used.
        folders: The folders of images and masks.
        sheets: The report sheets that are read.
    """

    masks: dict[Path, Path | None] = field(default_factory=dict)
    splits: dict[Path, Split] = field(default_factory=dict)
    stored: dict[Path, Path] = field(default_factory=dict)
    reports: dict[Path, str] = field(default_factory=dict)
    orphan_masks: list[Path] = field(default_factory=list)
    orphan_reports: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    left_out: list[Omission] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    sheets: list[Path] = field(default_factory=list)

    def add_pairs(self, pairs: Pairs, split: Split | None) -> None:
        """Add the images and masks of two folders.

        Args:
            pairs: The images with their masks.
            split: Their split; None if it is not known yet.
        """
        self.masks.update(pairs.masks)
        self.orphan_masks += pairs.orphans
        self.faults += pairs.faults
        if split is not None:
            self.splits.update(dict.fromkeys(pairs.masks, split))

    def add_reports(self, folder: Path, images: list[Path], *, stem: str | None = _REPORTS) -> None:
        """Attach the report sheet in a folder, if there is one, to images; see `attach_reports`."""
        attached = attach_reports(folder, images, stem=stem)
        if attached.sheet is not None:
            self.sheets.append(attached.sheet)
        for image, sentence in attached.reports.items():
            if self.reports.setdefault(image, sentence) != sentence:
                assert attached.sheet is not None
                self.faults.append(differing(image, self.reports[image], sentence, attached.sheet))
        self.orphan_reports += attached.orphans
        self.faults += attached.faults
        self.assumptions += attached.notes
        self.left_out += attached.left_out

    def scan(
        self,
        folder: DatasetFolder,
        layout: str,
        *,
        classes: dict[int | str, str] | None = None,
        mask_names: str = MASK_NAMES,
    ) -> Scan:
        """Return everything that was found; images without a split are left out.

        Args:
            folder: The folder of the data set.
            layout: Name of its layout.
            classes: Name per mask value, where the layout states them.
            mask_names: How masks are named, as a sentence.

        Raises:
            DataError: As for `lexiseg.data.layouts.assemble.assemble`.
        """
        found = [
            ImageRecord(
                image=self.stored.get(image, image),
                mask=mask,
                split=self.splits[image],
                report=self.reports.get(image),
                name=plain_stem(image.name),
            )
            for image, mask in self.masks.items()
            if image in self.splits
        ]
        samples, assumptions = assemble(found, folder)
        return Scan(
            root=folder.root,
            layout=layout,
            samples=samples,
            masks_without_image=tuple(self.orphan_masks),
            reports_without_image=tuple(self.orphan_reports),
            faults=tuple(self.faults),
            assumptions=tuple(self.assumptions + assumptions),
            has_reports=bool(self.sheets),
            left_out=tuple(self.left_out),
            classes=classes,
            mask_names=mask_names,
        )
