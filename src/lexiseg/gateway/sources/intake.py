"""Intake: an image of a source is on the disk and in the queue before its sender is told so."""

from __future__ import annotations

import secrets
import sqlite3
from threading import Lock
from typing import Literal

from lexiseg.errors import DataError, LexisegError, ResourceError
from lexiseg.gateway.sources.incoming_file import IncomingFile
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

    def begin(self, source: str) -> IncomingFile:
        """Begin to take an image whose content comes piece by piece.

        Args:
            source: Name of the source.

        Raises:
            ResourceError: A limit is reached; the sender shall try again later.
            DiskError: There is no space or no permission.
        """
        state = self._state
        full = state.full()
        if full is not None:
            state.figures.put_off.labels(source).inc()
            raise ResourceError(f"No more images are taken at the moment: {full}.", code="LEX-RES-1230")
        return IncomingFile(
            state.spool.image(secrets.token_hex(16)),
            state.key.hashing(),
            largest_mb=state.configuration.limits.largest_image_mb,
        )

    def finish(self, incoming: IncomingFile, *, source: str, sop_uid: str) -> Taken:
        """Take an image that has come completely; when this returns, it cannot get lost.

        Args:
            incoming: The image.
            source: Name of the source.
            sop_uid: Its SOP instance UID; empty where it has none, as in a file that is no DICOM file.

        Raises:
            DiskError: There is no space or no permission; nothing of the image is kept.
            sqlite3.OperationalError: The queue cannot be written; nothing of the image is kept.
        """
        state, id = self._state, incoming.place.stem
        content_hash = incoming.content_hash()
        uid_hash = state.key.hashed(sop_uid) or content_hash
        with self._one_image:
            # One that is in quarantine for its UID may come again, too.
            earlier = state.queue.find(uid_hash, content_hash)
            if earlier is not None and earlier.content_hash == content_hash:
                incoming.discard()
                state.figures.repeated.labels(source).inc()
                state.log.write("repeated", image=earlier.id, source=source)
                return "repeated"
            error = None if earlier is None else _conflict()
            incoming.keep()
            try:
                state.spool.sync_received()
                if error is not None:
                    state.explain(id, error, source=source)
                code = "" if error is None else error.code
                state.queue.add(id, uid_hash=uid_hash, content_hash=content_hash, source=source, code=code)
            except Exception:
                # The sender is told of the error and sends the image again, under another id.
                state.spool.drop(id)
                raise
            if error is not None:
                state.note_quarantine(id, error.code, source=source, rule="")
        state.figures.received.labels(source).inc()
        state.log.write("received", image=id, source=source)
        return "new" if error is None else "conflicting"

    def take(self, content: bytes, *, source: str, sop_uid: str) -> Taken:
        """Take an image that is in memory; when this returns, it cannot get lost.

        Args:
            content: The file.
            source: Name of the source.
            sop_uid: Its SOP instance UID; empty where it has none.

        Raises:
            DataError: The image is larger than the limit.
            ResourceError: A limit is reached; the sender shall try again later.
            DiskError: There is no space or no permission.
        """
        start, pieces = data_set_start(content), memoryview(content)
        with self.begin(source) as incoming:
            incoming.write(pieces[:start], hashed=False)
            incoming.write(pieces[start:])
            return self.finish(incoming, source=source, sop_uid=sop_uid)


def _conflict() -> DataError:
    return DataError(
        "Another image with the same SOP instance UID and another content came before. Their results would "
        "replace each other. Give this image a UID of its own in the system that made it.",
        code="LEX-DATA-1232",
    )


def data_set_start(content: bytes) -> int:
    """Return where the data set of a DICOM file starts: after its preamble and file meta information.

    These change on the way from system to system. A file without them starts at 0.
    """
    head = content[_PREAMBLE : _PREAMBLE + _META_HEAD]
    if content[_PREAMBLE - 4 : _PREAMBLE] != b"DICM" or head[:8] != b"\x02\x00\x00\x00UL\x04\x00":
        return 0
    return _PREAMBLE + _META_HEAD + int.from_bytes(head[8:], "little")
