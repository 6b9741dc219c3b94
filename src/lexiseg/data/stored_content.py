"""The bytes of files as they are stored."""

from __future__ import annotations

from pathlib import Path

from lexiseg.data.file_limits import refuse_large
from lexiseg.errors import DataError
from lexiseg.open_files import too_many_open


def stored_content(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DataError: The file does not exist, cannot be read, or is too large.
    """
    try:
        refuse_large(path, path.stat().st_size)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.", code="LEX-DATA-009") from error
    except OSError as error:
        raise too_many_open(path, error) or DataError(
            f"{path} cannot be read: {error.strerror or error}.", code="LEX-DATA-010"
        ) from error
