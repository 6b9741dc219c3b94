"""The lists of image ids in a run folder: `splits.json` and `masks.json`."""

from __future__ import annotations

from pathlib import Path

from lexiseg.errors import RunError
from lexiseg.files import write_json
from lexiseg.json_records import Record, reason, write_record
from lexiseg.structured_text import read_json

#: Image ids per split.
SPLITS_FILE = "splits.json"
#: Ids of the training images that had a mask; absent where all had.
MASKS_FILE = "masks.json"


class SplitsRecord(Record):
    """Contents of `splits.json` of a run folder.

    Copied beside the data, the file splits them again as they were.

    Attributes:
        train: Ids of the training images.
        val: Ids of the validation images.
        test: Ids of the test images.
        left_out: Ids of "train" that took no part in the training, as they had no mask.
    """

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class WithMaskRecord(Record):
    """Contents of `masks.json` of a run folder.

    Attributes:
        with_mask: Ids of the training images that had a mask.
    """

    with_mask: tuple[str, ...]


def read_splits_record(folder: Path) -> SplitsRecord | None:
    """Read `splits.json` of a run folder; None where there is no such file.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / SPLITS_FILE
    if not file.is_file():
        return None
    try:
        return SplitsRecord.model_validate(read_json(file))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} is damaged ({reason(SplitsRecord, error)}). Restore the file, or train again.",
            code="LEX-RUN-008",
        ) from error


def read_with_mask(folder: Path) -> WithMaskRecord:
    """Read `masks.json` of a run folder.

    Raises:
        RunError: The file is missing or damaged.
    """
    file = folder / MASKS_FILE
    try:
        return WithMaskRecord.model_validate(read_json(file))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read ({reason(WithMaskRecord, error)}). Restore it, or train again.",
            code="LEX-RUN-007",
        ) from error


def write_splits_record(folder: Path, record: SplitsRecord) -> None:
    """Write `splits.json`; "left_out" is written only where there are such images.

    Raises:
        DiskError: The file cannot be written.
    """
    unused = None if record.left_out else {"left_out"}
    write_json(folder / SPLITS_FILE, record.model_dump(mode="json", exclude=unused))


def write_with_mask(folder: Path, record: WithMaskRecord) -> None:
    """Write `masks.json`.

    Raises:
        DiskError: The file cannot be written.
    """
    write_record(folder / MASKS_FILE, record)
