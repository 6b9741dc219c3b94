"""The data set of a C-STORE request that goes to the disk while it arrives.

pynetdicom keeps a data set in memory until it is complete, and reads each PDU whole, whatever length a peer
states for it. Here the data set of each message is an `IncomingDataSet`, which writes each fragment to a file
of the state folder, and PDUs have a limit. So memory does not grow with the size of images.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from pynetdicom.association import Association
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import AssociationSocket

from lexiseg.gateway.sources.incoming_file import IncomingFile

#: Bytes of a PDU. Peers are told a smaller limit for data; a request for an association holds many contexts.
MOST_PDU_BYTES = 1 << 20
#: Bytes of the command of a message, which names UIDs and titles only.
MOST_COMMAND_BYTES = 1 << 16

_PREAMBLE = bytes(128) + b"DICM"


class IncomingDataSet(io.BytesIO):
    """A data set whose fragments go to a file; the buffer itself stays empty.

    After a problem, such as a full disk, the other fragments are dropped: the sender gets the status of its
    request after the last one.

    Args:
        begin: Opens the file.
    """

    def __init__(self, begin: Callable[[], IncomingFile]) -> None:
        super().__init__()
        self._begin = begin
        self._file: IncomingFile | None = None
        self._problem: Exception | None = None

    def write(self, fragment: bytes) -> int:  # type: ignore[override]
        """Add a fragment."""
        if self._problem is None:
            try:
                self._opened().write(fragment)
            except Exception as error:
                # It is raised where the sender gets its status.
                self._problem = error
                self.discard()
        return len(fragment)

    def complete(self) -> IncomingFile:
        """Return the file with all fragments.

        Raises:
            Exception: What went wrong while they came.
        """
        if self._problem is not None:
            raise self._problem
        return self._opened()

    def discard(self) -> None:
        """Remove the file, unless it has been taken."""
        if self._file is not None:
            self._file.discard()

    def _opened(self) -> IncomingFile:
        if self._file is None:
            self._file = self._begin()
        return self._file


def write_to_files(event: Event, begin: Callable[[], IncomingFile]) -> None:
    """Let the data set of the next message go to a file; a handler of `EVT_PDU_RECV`.

    Args:
        event: A PDU that pynetdicom takes over after this.
        begin: Opens a file.
    """
    association = event.assoc
    if not isinstance(event.pdu, P_DATA_TF):
        return
    present = association.dimse.message
    if present is None:
        message = DIMSEMessage()
        message.data_set = IncomingDataSet(lambda: _begun(begin, association, message))
        association.dimse.message = message
    elif present.encoded_command_set.tell() > MOST_COMMAND_BYTES:
        association.abort()


def discard_unfinished(event: Event) -> None:
    """Remove the file of a message that its peer did not finish; a handler of `EVT_CONN_CLOSE`."""
    message = event.assoc.dimse.message
    if message is not None and isinstance(message.data_set, IncomingDataSet):
        message.data_set.discard()


def limit_pdus(event: Event) -> None:
    """Close the connection of a peer that states a PDU above the limit; a handler of `EVT_CONN_OPEN`."""
    connection = event.assoc.dul.socket
    assert isinstance(connection, AssociationSocket)
    receive = connection.recv

    def limited(nr_bytes: int) -> bytearray:
        if nr_bytes > MOST_PDU_BYTES:
            raise OSError(f"a PDU of {nr_bytes} bytes was announced, more than {MOST_PDU_BYTES}")
        return receive(nr_bytes)

    setattr(connection, "recv", limited)  # noqa: B010 - a type checker refuses to replace a method


def _begun(
    begin: Callable[[], IncomingFile], association: Association, message: DIMSEMessage
) -> IncomingFile:
    """Return a new file that holds the file meta information of a message."""
    command = message.command_set
    syntaxes = {one.context_id: one.transfer_syntax[0] for one in association.accepted_contexts}
    meta = create_file_meta(
        sop_class_uid=command.AffectedSOPClassUID,
        sop_instance_uid=command.AffectedSOPInstanceUID,
        transfer_syntax=syntaxes[message.context_id],
    )
    incoming = begin()
    incoming.write(_PREAMBLE + encode_file_meta(meta), hashed=False)
    return incoming
