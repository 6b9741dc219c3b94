"""The socket of a server."""

from __future__ import annotations

import socket

from lexiseg.serving.server import _listen, _reason


def test_an_answer_is_sent_at_once() -> None:
    """Otherwise its end waits until the client has confirmed its beginning, which takes 40 ms."""
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_the_reason_of_an_unknown_host_is_that_of_its_own_numbers() -> None:
    """macOS numbers it 8, which is another error of the system."""
    said = "nodename nor servname provided, or not known"
    assert _reason(socket.gaierror(8, said)) == said
