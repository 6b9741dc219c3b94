"""The socket of a server."""

from __future__ import annotations

import socket

from lexiseg.serving.server import _listen


def test_an_answer_is_sent_at_once() -> None:
    """Otherwise its end waits until the client has confirmed its beginning, which takes 40 ms."""
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
