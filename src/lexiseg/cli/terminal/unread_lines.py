"""What commands say about files that they do not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lexiseg.cli.terminal.messages import warn
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.inference.inputs.unread_files import SkippedFiles


def say_earlier(earlier: Sequence[Path | str]) -> None:
    """Name the pictures that are not read because an earlier prediction wrote them."""
    if earlier:
        pictures_are = counted(len(earlier), "picture is", "pictures are")
        warn(
            f"{pictures_are} not read because an earlier prediction wrote them: {earlier[0]}"
            + (" and others. " if len(earlier) > 1 else ". ")
            + "To predict such a picture, give its path."
        )


def say_written(written: Mapping[str, SkippedFiles]) -> None:
    """Name the files of tar archives that are not read because an earlier prediction wrote them."""
    from lexiseg.inference.inputs.unread_files import WRITTEN_ADVICE, listed

    if written:
        files_are = counted(sum(files.count for files in written.values()), "file is", "files are")
        warn(
            f"{files_are} not read in a .tar archive because an earlier prediction wrote them: "
            f"{listed(written)}. {WRITTEN_ADVICE}"
        )


def say_masks(masks: Mapping[str, SkippedFiles]) -> None:
    """Name the files that are not read because they are masks of a data set."""
    from lexiseg.inference.inputs.mask_folders import MASKS_ADVICE

    if masks:
        count, example = sum(files.count for files in masks.values()), next(iter(masks.values())).example
        warn(
            f"{counted(count, 'file is', 'files are')} not read because a folder beside that of the images "
            f"holds the masks of a data set: {example}{' and others' if count > 1 else ''}. {MASKS_ADVICE}"
        )


def say_replaced(replaced: Mapping[str, int]) -> None:
    """Say which archives hold several images under one name."""
    from lexiseg.inference.inputs.duplicate_targets import replaced_note

    for archive, count in replaced.items():
        warn(replaced_note(archive, count))


def say_skipped(skipped: Mapping[str, SkippedFiles]) -> None:
    """Name the files that are not read because of their ending."""
    from lexiseg.inference.inputs.unread_files import listed

    if skipped:
        files_are = counted(sum(files.count for files in skipped.values()), "file is", "files are")
        warn(f"{files_are} not read because of the ending: {listed(skipped)}. Save images as PNG or JPEG.")


def say_elsewhere(elsewhere: Mapping[str, SkippedFiles]) -> None:
    """Name the files that are not read because they are at URLs or in tar archives."""
    from lexiseg.inference.inputs.unread_files import ELSEWHERE_ADVICE, listed

    if elsewhere:
        files_are = counted(sum(files.count for files in elsewhere.values()), "file is", "files are")
        warn(f"{files_are} not read at a URL or in a .tar archive: {listed(elsewhere)}. {ELSEWHERE_ADVICE}")
