"""The listener of a DICOM port: no peer holds up another one, and it ends with all its connections.

pynetdicom does the handshake of TLS where it accepts connections, so a peer that says nothing would hold up
all others. It also leaves connections open when its listener ends.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from socketserver import BaseServer
from threading import Thread
from typing import Any

from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

#: Longest wait for a peer that has begun something: for the next bytes of a PDU, or to send more of one.
NETWORK_TIMEOUT_S = 60.0
# Longest handshake of TLS.
_HANDSHAKE_S = 20.0
# Longest wait for the end of aborted associations; then their connections are cut.
_ABORT_S = 3.0


class DicomServer(ThreadedAssociationServer):
    """A listener that does each handshake of TLS in the thread of its connection, for a limited time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Connections whose handshake is not complete.
        self._new: set[ssl.SSLSocket] = set()
        super().__init__(*arguments, **options)

    def start(self) -> None:
        """Accept connections, in a thread of its own."""
        Thread(target=self.serve_forever, name="lexiseg DICOM port", daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections, abort all associations, and wait until nothing of them runs."""
        BaseServer.shutdown(self)
        self.server_close()
        _end(self.active_associations)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its handshake comes later."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        if self.ssl_context is None:
            connection.settimeout(NETWORK_TIMEOUT_S)
            return connection, address
        connection.settimeout(_HANDSHAKE_S)
        encrypted = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._new.add(encrypted)
        return encrypted, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the handshake of TLS and begin the association, in the thread of the connection."""
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
                request.settimeout(NETWORK_TIMEOUT_S)
            except OSError:
                # The peer said nothing, spoke no TLS, or has no certificate that is asked for.
                self.shutdown_request(request)
                return
            finally:
                self._new.discard(request)
        super().finish_request(request, client_address)

    def server_close(self) -> None:
        """Close the listener and the connections whose handshake is not complete."""
        for connection in self._new.copy():
            _cut(connection)
        super().server_close()


def end_with_process(event: Event) -> None:
    """Let the process end although a connection is open; a handler of `EVT_CONN_OPEN`."""
    event.assoc.dul.daemon = True


def _end(associations: Sequence[Association]) -> None:
    """Abort associations; return when the images that they store are stored."""
    enders = [
        Thread(target=_abort if one.is_established else _close, args=(one,), daemon=True)
        for one in associations
    ]
    for ender in enders:
        ender.start()
    end = time.monotonic() + _ABORT_S
    for ender in enders:
        ender.join(max(0.0, end - time.monotonic()))
    for association in associations:
        # One of them may wait for the rest of a PDU.
        _cut_association(association)
    for ender in enders:
        ender.join()


def _abort(association: Association) -> None:
    association.abort()
    association.join()


def _close(association: Association) -> None:
    """End a connection without an association, which cannot be aborted; its own thread ends later."""
    _cut_association(association)
    association.kill()


def _cut_association(association: Association) -> None:
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        _cut(connection.socket)


def _cut(connection: socket.socket) -> None:
    """End a connection; what waits for it in another thread goes on."""
    with suppress(OSError):
        # That of an SSLSocket also changes its state, which another thread uses.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
