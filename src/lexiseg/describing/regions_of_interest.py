"""Regions of interest: the image where the mask is set, zero elsewhere."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lexiseg.data.resize import resize_image
from lexiseg.errors import DataError
from lexiseg.files import fitting_name
from lexiseg.outputs.output_folder import OutputFolder, owned_folder

_SUFFIX = ".png"

Pixels = npt.NDArray[np.uint8]


def roi_image(image: Pixels, lesion: npt.NDArray[np.bool_]) -> Pixels:
    """Return the image where the lesion is, zero elsewhere, on the same grid.

    Args:
        image: (H, W, 3) uint8.
        lesion: (H, W) bool.

    Returns:
        (H, W, 3) uint8.
    """
    return image * lesion[..., None]


def shrunk(roi: Pixels, longest: int) -> Pixels:
    """Return the region with its longest side at most `longest` pixels, with the same proportions."""
    height, width = roi.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return roi
    return resize_image(roi, (max(1, round(height * scale)), max(1, round(width * scale))))


def png(roi: Pixels) -> bytes:
    """Return the region as a PNG file without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(roi).save(buffer, format="PNG")
    return buffer.getvalue()


def roi_file(folder: Path, name: str) -> Path:
    """Return the file of a region; slashes in its name become `__`, and a long name is shortened."""
    return folder / f"{fitting_name(name.replace('/', '__'), room=len(_SUFFIX))}{_SUFFIX}"


def write_roi(folder: OutputFolder, name: str, roi: Pixels) -> None:
    """Write a region as a PNG file.

    Raises:
        DataError: A file that Lexiseg did not write is in its place.
        DiskError: There is no space or no permission.
    """
    with folder.writing(roi_file(folder.path, name)) as beside:
        beside.write_bytes(png(roi))


@contextmanager
def roi_folder(path: Path | None, names: Sequence[str]) -> Iterator[OutputFolder | None]:
    """Own the folder of the regions while they are written.

    Args:
        path: The folder, created if needed; None: no region is written.
        names: Names of the regions.

    Raises:
        DataError: It holds files of these names that Lexiseg did not write, or that were changed since, or
            two regions have the same file.
        UsageError: Another process writes to it.
    """
    if path is None:
        yield None
        return
    files = Counter(roi_file(path, name) for name in names)
    twice = [file.name for file, count in files.items() if count > 1]
    if twice:
        raise DataError(
            f"Two images would write the same region of interest {twice[0]}. Rename one of the images, or "
            "leave --rois out.",
            code="LEX-DATA-745",
        )
    with owned_folder(path) as folder:
        folder.refuse_others(files)
        yield folder
