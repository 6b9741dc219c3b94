"""The folder of an evaluation: one process writes it, and only results of Lexiseg are replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lexiseg.outputs.output_folder import OutputFolder, owned_folder
from lexiseg.structured_text import UnusableTextError, read_json

#: The files of an evaluation. The last one is written last: its presence means that the evaluation is
# complete.
EVALUATION_FILES = ("cases.csv", "report.html", "metrics.json")


@contextmanager
def result_folder(out: Path, names: Sequence[str]) -> Iterator[OutputFolder]:
    """Own a folder while results are computed and written there.

    Args:
        out: The folder, created if needed.
        names: The files that will be written.

    Raises:
        UsageError: Another process writes to it, or a file is in its place.
        DataError: It holds files of these names that Lexiseg did not write, or that were changed since.
        DiskError: There is no space or no permission.
    """
    with owned_folder(out, earlier=_evaluation_of_0_1) as folder:
        folder.refuse_others([out / name for name in names])
        yield folder


def _evaluation_of_0_1(folder: Path, known: frozenset[str]) -> Iterator[Path]:
    """Yield the files of an evaluation by version 0.1.0, which wrote no manifest."""
    if not known.isdisjoint(EVALUATION_FILES):
        return
    try:
        metrics = read_json(folder / EVALUATION_FILES[-1])
    except (OSError, UnusableTextError):
        return
    if isinstance(metrics, dict) and {"class_names", "run"} <= metrics.keys():
        yield from (folder / name for name in EVALUATION_FILES if (folder / name).is_file())
