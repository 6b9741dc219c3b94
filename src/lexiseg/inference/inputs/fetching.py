"""Images from elsewhere as temporary files of a batch; a refused image is a failure of this image alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from threading import Lock

from lexiseg.errors import DataError, UsageError
from lexiseg.inference.inputs.image_sources import ImageSource
from lexiseg.inference.inputs.staging import stage
from lexiseg.inference.remote.file_systems import is_refusal, short_reason

#: Images of a server in a row that are refused before it is asked whether any image there can still be read.
MOST_REFUSED = 32


class Fetching:
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
