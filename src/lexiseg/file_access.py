"""Who may read and change a file: owner, group, mode and access list, kept where it is written again."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import struct
import sys
from pathlib import Path

from lexiseg.errors import DiskError

_log = logging.getLogger(__name__)

_ACCESS_LIST = "system.posix_acl_access"
# How Linux stores a list: a version of 4 bytes, and entries of a tag, rights and a number.
_HEAD_BYTES = 4
_ENTRY = struct.Struct("<HHI")
_GROUP_OF_THE_FILE, _OTHERS = 0x04, 0x20


def copy_access(old: Path, new: Path) -> None:
    """Give a file the owner, group, mode and access list of another one; on Windows, its mode.

    Where this user owns the file and may not give files to its group, the group loses its rights: its place
    has another group, which could not read the file before. A warning of the log says so.

    Args:
        old: The file whose place the new one takes.
        new: The new file.

    Raises:
        DiskError: The owner is another one, and this user cannot give files to it.
        OSError: The disk refuses.
    """
    wanted = os.stat(old)
    mode = stat.S_IMODE(wanted.st_mode)
    keeps_group = sys.platform == "win32" or _give(old, new, wanted)
    if not keeps_group:
        # Members of the group are others now.
        others = mode & (mode >> 3) & stat.S_IRWXO
        mode = mode & (stat.S_ISUID | stat.S_ISVTX | stat.S_IRWXU) | others
        _log.warning(
            "%s belonged to group %d, which user %d may not give files to: the group can no longer read it. "
            "If another program reads it by this group, run `chgrp %d` on it as root, and `chmod %o`.",
            old,
            wanted.st_gid,
            wanted.st_uid,
            wanted.st_gid,
            stat.S_IMODE(wanted.st_mode),
        )
    os.chmod(new, mode)
    if sys.platform == "linux":
        # Without it, the mode means something else: the bits of the group limit the list.
        with contextlib.suppress(OSError):  # there is no list, or the disk knows none
            access = os.getxattr(old, _ACCESS_LIST)
            os.setxattr(new, _ACCESS_LIST, access if keeps_group else _without_group(access))


def _give(old: Path, new: Path, wanted: os.stat_result) -> bool:
    """Give a file an owner and a group; return False where only the group cannot be given."""
    assert sys.platform != "win32"
    found = os.stat(new)
    if (found.st_uid, found.st_gid) == (wanted.st_uid, wanted.st_gid):
        return True
    try:
        os.chown(new, wanted.st_uid, wanted.st_gid)
    except OSError as error:
        # The numbers of a user or group that a container does not know are invalid.
        if error.errno not in (None, errno.EPERM, errno.EACCES, errno.EINVAL):
            raise
        if found.st_uid == wanted.st_uid:
            return False
        raise DiskError(
            f"{old} belongs to user {wanted.st_uid} and group {wanted.st_gid}, and this user cannot write it "
            "without changing that: another program could then not read it. Run the command as that user, or "
            "as root.",
            code="LEX-DISK-1880",
        ) from error
    return True


def _without_group(access: bytes) -> bytes:
    """Return an access list without the group of the file, whose members have no more rights as others."""
    entries = list(_ENTRY.iter_unpack(access[_HEAD_BYTES:]))
    kept = {_GROUP_OF_THE_FILE: 0}
    kept[_OTHERS] = next((rights for tag, rights, _ in entries if tag == _GROUP_OF_THE_FILE), 0)
    packed = (_ENTRY.pack(tag, rights & kept.get(tag, rights), id) for tag, rights, id in entries)
    return access[:_HEAD_BYTES] + b"".join(packed)
