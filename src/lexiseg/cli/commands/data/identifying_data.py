"""The check for identifying data of `lexiseg data check --identifying`, as text."""

from __future__ import annotations

from pathlib import Path

from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.cli.terminal.progress import counted_progress
from lexiseg.printable import counted


def show_identifying(folder: Path, *, strict: bool) -> None:
    """Check a folder and print the signs.

    Args:
        folder: The folder that is given to others.
        strict: Whether a sign is an error.

    Raises:
        DataError: The folder does not exist; or with `strict` there is a sign or an unreadable image.
    """
    from lexiseg.data.identifying_data import LIMITS, check_identifying

    with counted_progress() as progress:
        task = progress.add_task("looking")

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        report = check_identifying(folder, strict=strict, progress=show)
    show_result(report)
    for sentence in report.sentences:
        warn(f"Sign of identifying data: {sentence}")
    for reason in report.unread.values():
        warn(f"Not read: {reason}")
    say(
        f"{counted(report.images, 'image')} and the paths of {counted(report.others, 'other file')} looked "
        f"at, {counted(len(report.unread), 'image')} not read; {counted(len(report.signs), 'kind')} of "
        f"signs. {LIMITS}"
    )
