"""Images that are no files of this computer, as temporary files while a batch works on them."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from lexiseg.errors import LexisegError
from lexiseg.files import TEMPORARY_PREFIX, disk_errors
from lexiseg.inference.image_sources import ImageSource

#: Images that are fetched at the same time.
FETCHES = 8

_SUFFIX = re.compile(r"\.\w{1,10}")


def stage(source: ImageSource, folder: Path) -> Path:
    """Copy an image to a temporary file, which a killed command leaves to the next one.

    Args:
        source: The image.
        folder: The output folder, which this process owns.

    Raises:
        DataError: The image cannot be read, or is too large.
        UsageError: There are no credentials.
        DiskError: There is no space or no permission.
    """
    suffix = Path(source.label).suffix
    with disk_errors(folder):
        handle, name = tempfile.mkstemp(
            dir=folder, prefix=TEMPORARY_PREFIX, suffix=suffix if _SUFFIX.fullmatch(suffix) else ""
        )
        os.close(handle)
        try:
            source.copy_to(Path(name))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return Path(name)


def named(error: LexisegError, staged: Path, label: str) -> LexisegError:
    """Return an error whose message names an image as results do, not its temporary file."""
    return type(error)(str(error).replace(str(staged), label), code=error.code)
