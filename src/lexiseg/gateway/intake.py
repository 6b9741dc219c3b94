"""Intake: an image that a source hands over is on the disk and in the queue before its sender hears that."""

from __future__ import annotations

import secrets
import sqlite3
from threading import Lock
from typing import Literal

from lexiseg.errors import DataError, LexisegError, ResourceError
from lexiseg.gateway.state import GatewayState

#: What happened to an image: it is new; it is there already; its UID is there with another content, so it is
#: in quarantine.
Taken = Literal["new", "repeated", "conflicting"]

#: What storing raises where the machine has no room; the sender tries again later.
NO_ROOM = (LexisegError, OSError, sqlite3.OperationalError)

_PREAMBLE = 132
_META_HEAD = 12


class Intake:
    """Takes images from sources; may be called from several threads.

    Args:
        state: The shared parts of the gateway.
    """

    def __init__(self, state: GatewayState) -> None:
        self._state, self._one_image = state, Lock()

    def is_known(self, sop_uid: str) -> bool:
        """Return whether an image with this SOP instance UID came before."""
        return self._state.queue.find(self._state.key.hashed(sop_uid)) is not None

    def take(self, content: bytes, *, source: str, sop_uid: str) -> Taken:
        """Store an image; when this returns, it cannot get lost.

        Args:
            content: The file.
            source: Name of the source.
            sop_uid: Its SOP instance UID; empty where it has none, as in a file that is no DICOM file.

        Raises:
            ResourceError: A limit is reached; the sender shall try again later.
            DiskError: There is no space or no permission.
        """
        state = self._state
        full = state.full()
        if full is not None:
            state.figures.put_off.labels(source).inc()
            raise ResourceError(f"No more images are taken at the moment: {full}.", code="LEX-RES-1230")
        content_hash = state.key.hashed(data_set_bytes(content))
        uid_hash = state.key.hashed(sop_uid) or content_hash
        id = secrets.token_hex(16)
        with self._one_image:
            earlier = state.queue.find(uid_hash)
            if earlier is not None and earlier.content_hash == content_hash:
                state.figures.repeated.labels(source).inc()
                state.log.write("repeated", image=earlier.id, source=source)
                return "repeated"
            state.spool.store(id, content)
            if earlier is None:
                state.queue.add(id, uid_hash=uid_hash, content_hash=content_hash, source=source)
            else:
                error = _conflict()
                state.spool.explain(id, source=source, rule="", code=error.code, reason=str(error))
                state.queue.add(
                    id, uid_hash=uid_hash, content_hash=content_hash, source=source, code=error.code
                )
                state.note_quarantine(id, error.code, source=source, rule="")
        state.figures.received.labels(source).inc()
        state.log.write("received", image=id, source=source)
        return "new" if earlier is None else "conflicting"


def _conflict() -> DataError:
    return DataError(
        "Another image with the same SOP instance UID and another content came before. Their results would "
        "replace each other. Give this image a UID of its own, or remove the other one.",
        code="LEX-DATA-1232",
    )


def data_set_bytes(content: bytes) -> bytes:
    """Return a DICOM file without its preamble and its file meta information, which change on the way.

    A file without them is returned as it is.
    """
    head = content[_PREAMBLE : _PREAMBLE + _META_HEAD]
    if content[_PREAMBLE - 4 : _PREAMBLE] != b"DICM" or head[:8] != b"\x02\x00\x00\x00UL\x04\x00":
        return content
    return content[_PREAMBLE + _META_HEAD + int.from_bytes(head[8:], "little") :]
