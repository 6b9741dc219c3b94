"""Files of jobs that only this user can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from lexiseg.files import disk_errors

_OWNER_ONLY = 0o600


def open_private(path: Path) -> BinaryIO:
    """Open a new file that only this user can read.

    Raises:
        DiskError: There is no space or no permission.
    """
    with disk_errors(path):
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb")
