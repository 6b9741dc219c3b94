"""A DICOM port ends although peers are connected, and a peer that says nothing holds up no others."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pynetdicom.association import Association

from certificates import make_certificate
from dicom_peers import connected, image, receiver
from gateway_setup import opened, settings, wait_until
from lexiseg.gateway.sources.dicom_receiver import DicomReceiver
from lexiseg.gateway.sources.dicom_server import DicomServer
from lexiseg.gateway.sources.intake import Intake

#: A request for an association of 256 bytes, of which two come.
HALF_REQUEST = b"\x01\x00\x00\x00\x01\x00\x00\x01"


@contextmanager
def soon(seconds: float = 15.0) -> Iterator[None]:
    """Fail if the block takes too long."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def ended(associations: list[Association]) -> bool:
    return not any(one.is_alive() or one.dul.is_alive() for one in associations)


def test_a_stopping_port_puts_images_off_and_ends_its_associations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []
    stop = DicomServer.stop

    def send_first(server: DicomServer) -> None:
        said.append(peer.send_c_store(image(2)).Status)
        stop(server)

    monkeypatch.setattr(DicomServer, "stop", send_first)
    with opened(settings(tmp_path)) as (state, events):
        with receiver(state) as port:
            peer = connected(port.port)
            assert peer.send_c_store(image(1)).Status == 0
            associations = port._server.active_associations
            assert len(associations) == 1
        # A status for a later try, and an abort: a sender tries again after both.
        assert said == [0xA700]
        wait_until(lambda: peer.is_aborted, 5)
        assert ended(associations)
        assert state.queue.counts() == {"waiting": 1}
        assert len(list((tmp_path / "state/received").iterdir())) == 1
        assert [event["event"] for event in events()] == ["received"]


def test_an_image_that_is_stored_meanwhile_is_in_the_queue_before_the_port_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, finish = threading.Event(), Intake.finish

    def slowly(*arguments: object, **options: object) -> object:
        begun.set()
        time.sleep(1)
        return finish(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Intake, "finish", slowly)
    with opened(settings(tmp_path)) as (state, _):
        with receiver(state) as port:
            peer = connected(port.port)
            threading.Thread(target=peer.send_c_store, args=(image(),), daemon=True).start()
            assert begun.wait(30)
        assert state.queue.counts() == {"waiting": 1}


def test_peers_that_wait_in_the_middle_of_something_do_not_keep_the_port_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicom_server._ABORT_S", 0.5)
    with (
        opened(settings(tmp_path)) as (state, _),
        receiver(state) as port,
        closing(socket.create_connection(("127.0.0.1", port.port))),
        closing(socket.create_connection(("127.0.0.1", port.port))) as half,
    ):
        half.sendall(HALF_REQUEST)
        peer = connected(port.port)
        assert peer.dul.socket is not None
        peer.dul.socket.send(b"\x04\x00\x00\x00\x01\x00\x00\x01")
        wait_until(lambda: len(port._server.active_associations) == 3)
        associations = port._server.active_associations
        with soon():
            port.close()
        assert not any(one.dul.is_alive() for one in associations)
        peer.abort()


def test_a_peer_that_stops_in_the_middle_of_a_pdu_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicom_server.NETWORK_TIMEOUT_S", 0.3)
    with (
        opened(settings(tmp_path)) as (state, _),
        receiver(state) as port,
        closing(socket.create_connection(("127.0.0.1", port.port), timeout=15)) as half,
    ):
        half.sendall(HALF_REQUEST)
        assert half.recv(1) == b""


@contextmanager
def encrypted(folder: Path) -> Iterator[tuple[DicomReceiver, ssl.SSLContext]]:
    """Yield a port with TLS, and what its peers need."""
    ours = make_certificate(folder, "gateway")
    tls = {"certificate": ours.certificate, "key": ours.key}
    with opened(settings(folder)) as (state, _), receiver(state, tls=tls) as port:
        yield port, ssl.create_default_context(cafile=str(ours.certificate))


def test_a_silent_connection_to_a_port_with_tls_holds_up_no_others(tmp_path: Path) -> None:
    with (
        encrypted(tmp_path) as (port, client),
        closing(socket.create_connection(("127.0.0.1", port.port))),
        soon(),
    ):
        peer = connected(port.port, tls_args=(client, "127.0.0.1"))
        assert peer.send_c_store(image()).Status == 0
        peer.release()
        port.close()


def test_a_silent_connection_to_a_port_with_tls_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicom_server._HANDSHAKE_S", 0.3)
    with (
        encrypted(tmp_path) as (port, _),
        closing(socket.create_connection(("127.0.0.1", port.port), timeout=15)) as silent,
    ):
        assert silent.recv(1) == b""
