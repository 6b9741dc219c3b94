"""The last step of all layouts: image records become samples with ids, patients, sources and spacing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lexiseg.data.dataset_yaml import DATASET_FILE
from lexiseg.data.file_names import beginning_pattern, shared_beginnings, sources
from lexiseg.data.layouts.case_facts import CASE_FACTS_FILE, match_case_facts
from lexiseg.data.layouts.dataset_folder import DatasetFolder
from lexiseg.data.layouts.known_patients import known_patients
from lexiseg.data.layouts.pairing import plain_stem
from lexiseg.data.layouts.volume_slices import file_spacing
from lexiseg.data.sample import SPLITS, Sample, Split
from lexiseg.printable import counted


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image with the files and facts that a layout found for it.

    Attributes:
        image: The image file.
        mask: Its mask file; None if there is none.
        split: Its split.
        report: Its report sentence; None if there is none.
        source: Collection it comes from, where the layout states one.
        name: Its name; None: that of its file without extension.
    """

    image: Path
    mask: Path | None
    split: Split
    report: str | None = None
    source: str | None = None
    name: str | None = None

    @property
    def stem(self) -> str:
        """The image's name without extension."""
        return self.name or plain_stem(self.image.name)


def assemble(found: Sequence[ImageRecord], folder: DatasetFolder) -> tuple[tuple[Sample, ...], list[str]]:
    """Make samples, sorted by split and id.

    An id is the image's name without extension. If a name occurs twice (in two splits, or in two data sets of
    a CSV), the source or split is put before it.

    Args:
        found: The image records.
        folder: The folder of the data set; its `cases.csv` takes precedence over its `dataset.yaml`.

    Returns:
        The samples, and notes on what was assumed, one sentence each.

    Raises:
        DataError: `cases.csv` names an image name that exists twice, or the patient pattern matches no name.
    """
    stems = [item.stem for item in found]
    known = match_case_facts(folder.cases, stems)
    patients = known_patients([item.image for item in found], stems, known, folder.stated.patient)
    spacings = {stem: facts.spacing_mm for stem, facts in known.facts.items()}
    prefixes = sources(stems)
    samples = [
        Sample(
            id=name,
            image=item.image,
            mask=item.mask,
            report=item.report,
            split=item.split,
            patient=patient,
            source=item.source or prefix,
            spacing_mm=spacings.get(item.stem) or folder.stated.spacing_mm or file_spacing(item.image),
        )
        for name, item, patient, prefix in zip(_ids(found), found, patients.ids, prefixes, strict=True)
    ]
    samples.sort(key=lambda sample: (SPLITS.index(sample.split), sample.id))
    unsure = perhaps_patients(samples)
    return tuple(samples), [*known.notes, *patients.notes, *([unsure] if unsure else [])]


def perhaps_patients(samples: Sequence[Sample]) -> str | None:
    """Return a note on images that may be of the same patients, as their names share a beginning.

    Args:
        samples: The samples; nothing is said if any patient is known.
    """
    if any(sample.patient for sample in samples):
        return None
    stems = [sample.name for sample in samples]
    starts = shared_beginnings(stems)
    splits: dict[str, set[Split]] = {}
    for start, sample in zip(starts, samples, strict=True):
        if start is not None:
            splits.setdefault(start, set()).add(sample.split)
    if not splits:
        return None
    start, count = Counter(start for start in starts if start is not None).most_common(1)[0]
    several = sum(len(of_start) > 1 for of_start in splits.values())
    pattern = beginning_pattern(stems, starts)
    stated = f"write `patient: '{pattern}'` into {DATASET_FILE}, or " if pattern else ""
    return (
        f"Patients are not known: each image counts as a patient of its own. But {len(samples)} images share "
        f"{len(splits)} beginnings of their names, such as {start} ({counted(count, 'image')}); beginnings "
        f"in more than one split: {several}. If a beginning is a patient, {stated}state "
        f"the patients in {CASE_FACTS_FILE}; else the images of a patient may be in several splits, and "
        "intervals are too narrow."
    )


def _ids(found: Sequence[ImageRecord]) -> list[str]:
    """Return a unique id per image."""
    ids = [item.stem for item in found]
    for prefix in ([item.source for item in found], [item.split for item in found]):
        counts = Counter(ids)
        ids = [
            f"{before}/{name}" if counts[name] > 1 and before else name
            for name, before in zip(ids, prefix, strict=True)
        ]
    return ids
