"""Images that are no files of this computer, as temporary files while a batch works on them.

A refused image is a failure of this image alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from lexiseg.data.readers import read_image_with_facts
from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.files import TEMPORARY_PREFIX, disk_errors
from lexiseg.inference.inputs.image_sources import ImageSource
from lexiseg.inference.inputs.target import Target
from lexiseg.inference.remote.file_systems import is_refusal, short_reason
from lexiseg.outputs.private_folder import PrivateFolder

#: Images that are fetched at the same time.
FETCHES = 8

#: Images of a server in a row that are refused before it is asked whether any image there can still be read.
MOST_REFUSED = 32

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


class ImageFetcher:
    """Fetches the images of a batch; several threads may call it.

    A server that refuses one image may give the others. Where a server refuses all, the credentials are at
    fault, and the batch stops, so that it can go on with others. Each bucket or host counts alone, because
    other credentials may be used there; files of this computer need none, and do not count.

    Args:
        folder: The output folder, which this process owns.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._readable: dict[str, ImageSource] = {}
        self._refused = Counter[str]()

    def note_readable(self, source: ImageSource) -> None:
        """Remember an image that could be read, now or by an earlier command."""
        if source.server is not None:
            with self._lock:
                self._readable[source.server] = source

    def fetch(self, source: ImageSource) -> Path:
        """Copy an image to a temporary file.

        Args:
            source: The image.

        Raises:
            DataError: The image cannot be read, is refused, or is too large.
            UsageError: There are no credentials, or no image of its server can be read with them.
            DiskError: There is no space or no permission.
        """
        try:
            file = stage(source, self._folder)
        except UsageError as error:
            said = short_reason(error.__cause__ or error)
            if source.server is None or not is_refusal(error) or self._can_read_nothing(source.server):
                raise
            raise DataError(
                f"{source.label} is refused or gone ({said}), while the batch goes on with other images. "
                "Check that it exists, and that your credentials may read it.",
                code="LEX-DATA-1817",
            ) from error
        self.note_readable(source)
        if source.server is not None:
            with self._lock:
                self._refused[source.server] = 0
        return file

    def _can_read_nothing(self, server: str) -> bool:
        """Count a refused image; return whether many in a row are, and none that was read can be read."""
        with self._lock:
            self._refused[server] += 1
            if self._refused[server] < MOST_REFUSED:
                return False
            if server not in self._readable:
                return True
            try:
                stage(self._readable[server], self._folder).unlink()
            except (DataError, UsageError):
                return True
            self._refused[server] = 0
            return False


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
