"""Who may read and change a file: owner, group, mode and access list, kept where it is written again."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from lexiseg.errors import DiskError

_ACCESS_LIST = "system.posix_acl_access"


def copy_access(old: Path, new: Path) -> None:
    """Give a file the owner, group, mode and access list of another one; on Windows, its mode.

    Args:
        old: The file whose place the new one takes.
        new: The new file.

    Raises:
        DiskError: The owner or the group is another one, and this user cannot give files to it.
        OSError: The disk refuses.
    """
    wanted = os.stat(old)
    if sys.platform != "win32":
        found = os.stat(new)
        if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
            _give(old, new, wanted)
    os.chmod(new, stat.S_IMODE(wanted.st_mode))
    if sys.platform == "linux":
        # Without it, the mode means something else: the bits of the group limit the list.
        with contextlib.suppress(OSError):  # there is no list, or the disk knows none
            os.setxattr(new, _ACCESS_LIST, os.getxattr(old, _ACCESS_LIST))


def _give(old: Path, new: Path, wanted: os.stat_result) -> None:
    assert sys.platform != "win32"
    try:
        os.chown(new, wanted.st_uid, wanted.st_gid)
    except PermissionError as error:
        raise DiskError(
            f"{old} belongs to user {wanted.st_uid} and group {wanted.st_gid}, and this user cannot write it "
            "without changing that: another program could then not read it. Run the command as that user, or "
            "as root.",
            code="LEX-DISK-1880",
        ) from error
