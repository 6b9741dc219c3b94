"""The split of each imported case: the published split, unless it shares patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lexiseg.data.layouts.scan import some
from lexiseg.data.patient_groups import shared_patients
from lexiseg.data.sample import SPLITS, Split
from lexiseg.data.splits import seeded_split
from lexiseg.errors import DataError
from lexiseg.printable import counted


@dataclass(frozen=True, kw_only=True)
class SplitRecord:
    """The facts of a written case that decide its split.

    Attributes:
        name: Its unique name.
        digest: Checksum of its image file.
        patient: Its patient, where known.
        split: The published split, if there is one.
    """

    name: str
    digest: str
    patient: str | None
    split: Split | None


@dataclass(frozen=True, kw_only=True)
class SplitChoice:
    """The splits of all cases.

    Attributes:
        of: Split per name.
        dropped: Names of cases to leave out: copies of an image in a later split.
        notes: The reasons, one sentence each.
    """

    of: dict[str, Split]
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def choose_splits(records: Sequence[SplitRecord], *, seed: int, keep_published: bool) -> SplitChoice:
    """Choose the split of each case.

    A published split is kept, with two exceptions. If the same file is in two splits, it is kept only in the
    later one (test before val before train). If test shares patients with another split, all images are split
    again by patient; if only train and val share patients, these two are. Missing splits are taken from train
    by patient. Identical files always stay in one split.

    Args:
        records: The cases; either all have a published split or none has.
        seed: Seed of the splits made here.
        keep_published: Whether to keep a published split even if it shares patients.

    Raises:
        DataError: There are too few patients to split, or no images of train.
    """
    notes: list[str] = []
    dropped = _later_copies(records)
    if dropped:
        notes.append(
            f"{counted(len(dropped), 'image was', 'images were')} left out, because the same file is in a "
            f"later split: {some(dropped)}."
        )
    kept = [record for record in records if record.name not in set(dropped)]
    stated = {record.name: record.split for record in kept if record.split is not None}
    if not stated:
        notes.append(f"There is no published split: images were split {_how(kept, seed)}.")
        return SplitChoice(of=seeded_split(_groups(kept), seed=seed), dropped=dropped, notes=notes)
    shared = shared_patients((record.patient, record.split) for record in kept)
    if shared and keep_published:
        notes.append(
            "The published split was kept as requested, although "
            f"{counted(len(shared), 'patient is', 'patients are')} in several splits; `lexiseg data check` "
            "reports this as an error."
        )
    elif any("test" in splits for splits in shared.values()):
        notes.append(
            f"The published split was not used: {counted(len(shared), 'patient is', 'patients are')} in test "
            f"and in another split, such as {next(iter(shared))}. Images were split again {_how(kept, seed)}."
        )
        return SplitChoice(of=seeded_split(_groups(kept), seed=seed), dropped=dropped, notes=notes)
    elif shared:
        notes.append(
            f"The published train and val share {counted(len(shared), 'patient')}; both were joined."
        )
        stated = {name: "train" if split == "val" else split for name, split in stated.items()}
    return SplitChoice(of=_completed(kept, stated, seed, notes), dropped=dropped, notes=notes)


def _completed(
    records: Sequence[SplitRecord], stated: dict[str, Split], seed: int, notes: list[str]
) -> dict[str, Split]:
    """Take missing splits from train."""
    missing: list[Split] = [split for split in SPLITS if split not in stated.values()]
    if not missing:
        return stated
    train = [record for record in records if stated[record.name] == "train"]
    if not train:
        there = " and ".join(sorted(set(stated.values())))
        raise DataError(
            f"Only images of the published {there} split exist; expected those of train too.",
            code="LEX-DATA-084",
        )
    made = seeded_split(_groups(train), seed=seed, splits=("train", *missing))
    notes.append(
        f"{' and '.join(missing).capitalize()} was split off train {_how(train, seed)}: "
        f"{', '.join(f'{sum(split == name for split in made.values())} {name}' for name in missing)}."
    )
    return {**stated, **made}


def _how(records: Sequence[SplitRecord], seed: int) -> str:
    """Return how images were split: by patient as far as patients are known."""
    known = sum(record.patient is not None for record in records)
    if not known:
        return f"one by one with seed {seed}, as no patients are known"
    some_only = f" ({known} of {len(records)} images have one)" if known < len(records) else ""
    return f"by patient{some_only} with seed {seed}"


def _later_copies(records: Sequence[SplitRecord]) -> list[str]:
    """Return the names of images whose file is also in a later split."""
    last: dict[str, int] = {}
    for record in records:
        if record.split is not None:
            last[record.digest] = max(last.get(record.digest, 0), SPLITS.index(record.split))
    return [
        record.name
        for record in records
        if record.split is not None and SPLITS.index(record.split) < last[record.digest]
    ]


def _groups(records: Sequence[SplitRecord]) -> dict[str, str]:
    """Return, per name, the group that must stay in one split: linked by patient or by identical files."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for record in records:
        keys = [f"file {record.digest}"]
        # An unknown patient links no images.
        keys += [f"patient {record.patient}"] if record.patient is not None else []
        first, *rest = sorted(find(key) for key in keys)
        for other in rest:
            leader[other] = first
    return {record.name: find(f"file {record.digest}") for record in records}
