"""Images that are no files of this computer, as temporary files while a batch works on them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import LexisegError
from lexiseg.files import TEMPORARY_PREFIX, disk_errors
from lexiseg.inference.inputs.image_sources import ImageSource
from lexiseg.inference.inputs.target import Target
from lexiseg.outputs.private_folder import PrivateFolder

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


def displayed_images(targets: Iterable[Target]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield images as the network gets them, `(H, W, 3)` uint8; one at a time is read, from wherever it is.

    Args:
        targets: The images.

    Raises:
        DataError: An image cannot be read.
        UsageError: There are no credentials.
        DiskError: There is no space or no permission.
    """
    with PrivateFolder("images") as private:
        for target in targets:
            file = target.image if target.origin is None else stage(target.origin, private.path)
            try:
                pixels = read_image_with_facts(file).displayed
            except LexisegError as error:
                raise named(error, file, target.label) from error
            finally:
                if target.origin is not None:
                    file.unlink(missing_ok=True)
            yield pixels


def named(error: LexisegError, staged: Path, label: str) -> LexisegError:
    """Return an error whose message names an image as results do, not its temporary file."""
    return type(error)(str(error).replace(str(staged), label), code=error.code)
