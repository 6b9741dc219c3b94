"""C-STORE in and out: who may send, what a full disk answers, aborts, refusals, TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from certificates import make_certificate
from dicom_peers import COMPUTED_RADIOGRAPHY, connected, image, receiver
from gateway_setup import image_bytes, opened, settings, wait_until
from lexiseg.gateway.configuration import (
    DicomDestination,
    DicomwebDestination,
    DicomwebSource,
    FolderDestination,
)
from lexiseg.gateway.destinations.destination import Parcel
from lexiseg.gateway.destinations.dicom import DicomSender
from lexiseg.gateway.destinations.dicomweb import DicomwebSender
from lexiseg.gateway.destinations.folder import FolderClient
from lexiseg.gateway.quarantine import quarantined_objects
from lexiseg.gateway.sources.dicomweb import DicomwebReader
from lexiseg.gateway.sources.intake import Intake
from lexiseg.gateway.sources.unreadable import UnreadableSourceError
from refusals import refuses


def test_an_image_is_in_the_queue_when_its_sender_hears_success(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _), receiver(state) as port:
        peer = connected(port.port)
        assert peer.send_c_echo().Status == 0
        assert peer.send_c_store(image()).Status == 0
        (id,) = state.queue.ids("waiting")
        assert dcmread(state.spool.image(id)).PatientID == "test"
        # A repetition is no second image.
        assert peer.send_c_store(image()).Status == 0
        assert len(state.queue.ids("waiting")) == 1
        peer.release()


def test_only_known_peers_send_to_the_right_title(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        assert connected(port.port, calling="STRANGER").is_rejected
        assert connected(port.port, called="OTHER").is_rejected
        said = [(event["event"], event["peer"], event["error"]) for event in events()]
        assert said == [
            ("peer_rejected", "STRANGER", "the calling AE title is not in allow"),
            ("peer_rejected", "PACS", "the called AE title is not the ae_title of this source"),
        ]
    with opened(settings(tmp_path)) as (state, _), receiver(state, allow=["*"]) as port:
        peer = connected(port.port, calling="STRANGER")
        assert peer.is_established
        peer.release()


def test_a_full_queue_and_a_full_disk_answer_out_of_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"queue": 1, "free_disk_mb": 1}
    with opened(settings(tmp_path, limits=limits)) as (state, _), receiver(state) as port:
        peer = connected(port.port)
        assert peer.send_c_store(image(1)).Status == 0
        assert peer.send_c_store(image(2)).Status == 0xA700
        state.queue.settle(state.queue.ids("waiting")[0], "done")

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("lexiseg.gateway.sources.incoming_file.IncomingFile.keep", full)
            assert peer.send_c_store(image(2)).Status == 0xA700
        assert peer.send_c_store(image(2)).Status == 0
        peer.release()
        assert len(list((tmp_path / "state/received").iterdir())) == 2


def test_a_peer_that_aborts_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port.port)
        assert peer.send_c_store(image(1)).Status == 0
        peer.abort()
        # Another one sends the start of a message and goes away.
        with closing(socket.create_connection(("127.0.0.1", port.port))) as half:
            half.sendall(b"\x01\x00\x00\x00\x01\x00\x00\x01")
        third = connected(port.port)
        assert third.send_c_store(image(3)).Status == 0
        third.release()
        wait_until(lambda: any(event["event"] == "peer_aborted" for event in events()))
        assert len(state.queue.ids("waiting")) == 2


def test_two_images_with_one_uid_are_both_kept_and_one_waits_for_a_person(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port.port)
        assert peer.send_c_store(image(1)).Status == 0
        assert peer.send_c_store(image(1, PatientID="other")).Status == 0
        assert peer.send_c_store(image(2)).Status == 0
        peer.release()
        assert state.queue.counts() == {"waiting": 2, "quarantined": 1}
        said = [(event["event"], event.get("code")) for event in events()]
        (found,) = quarantined_objects(tmp_path / "state")
    assert said == [
        ("received", None),
        ("quarantined", "LEX-DATA-1232"),
        ("received", None),
        ("received", None),
    ]
    assert found.why is not None
    assert found.why.reason == (
        "Another image with the same SOP instance UID and another content came before. Their results would "
        "replace each other."
    )
    assert found.why.object.sop_instance_uid == "2.25.10001"
    assert found.why.advice.startswith("Compare both in the archive")


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with (
        opened(settings(tmp_path)) as (state, _),
        receiver(state) as port,
        refuses("LEX-USE-1241", str(port.port)),
        receiver(state, port=port.port),
    ):
        pytest.fail("it listens twice")


@contextmanager
def archive(answer: Callable[[Dataset], int], kinds: list[str] | None = None, **values: Any) -> Iterator[int]:
    """Run an archive on a free port; `answer` gives the status of each object."""
    entity = AE(ae_title="PACS")
    entity.require_calling_aet = ["LEXISEG"]
    for context in AllStoragePresentationContexts:
        if kinds is None or context.abstract_syntax in kinds:
            entity.add_supported_context(str(context.abstract_syntax))
    handlers = [(evt.EVT_C_STORE, lambda event: answer(event.dataset))]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, **values)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def sender(port: int, **values: Any) -> DicomSender:
    destination = {"kind": "dicom", "host": "127.0.0.1", "port": port, "ae_title": "PACS", "timeout_s": 5}
    return DicomSender(DicomDestination.model_validate({**destination, **values}))


def parcel(folder: Path, number: int, **formats: bytes) -> Parcel:
    results = folder / str(number)
    results.mkdir()
    for name, content in formats.items():
        (results / f"{name}.dcm").write_bytes(content)
    return Parcel(id=str(number), image=folder / "image.dcm", results=results)


def test_objects_arrive_segmentation_first(tmp_path: Path) -> None:
    got: list[str] = []

    def answer(dataset: Dataset) -> int:
        got.append(str(dataset.SOPInstanceUID))
        return 0

    parcels = [
        parcel(tmp_path, 1, sr=image_bytes(11), seg=image_bytes(12)),
        parcel(tmp_path, 2, sc=image_bytes(13)),
    ]
    with archive(answer) as port:
        assert list(sender(port).deliver(parcels)) == [None, None]
    assert got == ["2.25.100012", "2.25.100011", "2.25.100013"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/dicom+xml", b"<x"),
        ("application/dicom+xml", b"<a><b/></a>"),
        ("application/dicom+json", b"{"),
        ("application/dicom+json", b"[1]"),
        ("application/dicom+json", b"[" * 100_000),
        ("application/dicom+json", b'{"00081198":{"vr":"SQ","Value":[1]}}'),
        (
            "application/dicom+json",
            b'{"00081198":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[1,2]}}]}}',
        ),
        # A login page.
        ("text/html; charset=utf-8", b"<html></html>"),
    ],
)
def test_answers_that_are_no_dicomweb_end_no_gateway(tmp_path: Path, kind: str, body: bytes) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = {"kind": "dicomweb", "url": f"http://127.0.0.1:{server.server_port}"}
        client = DicomwebSender(DicomwebDestination.model_validate(address))
        (outcome,) = client.deliver([parcel(tmp_path, 1, seg=image_bytes(11))])
        assert outcome is not None
        assert (outcome.error.code, outcome.final) == ("LEX-DATA-1248", False)
        source = DicomwebSource.model_validate({**address, "modality": ["CR"]})
        with opened(settings(tmp_path)) as (state, _), pytest.raises(UnreadableSourceError):
            DicomwebReader(state, "archive", source, Intake(state)).step()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["dicom", "dicomweb", "folder"])
@pytest.mark.parametrize("what", ["no folder", "no objects", "damaged"])
def test_results_that_are_gone_hold_up_no_others(tmp_path: Path, kind: str, what: str) -> None:
    good, bad = parcel(tmp_path, 1, seg=image_bytes(11)), parcel(tmp_path, 2, seg=image_bytes(12))
    (tmp_path / "image.dcm").write_bytes(image_bytes(1))
    (bad.results / "seg.dcm").unlink()
    if what == "no folder":
        bad.results.rmdir()
    elif what == "damaged":
        (bad.results / "seg.dcm").write_bytes(b"no DICOM")
    got: list[str] = []

    def answer(dataset: Dataset) -> int:
        got.append(str(dataset.SOPInstanceUID))
        return 0

    with archive(answer) as port:
        client: Any = sender(port)
        if kind == "dicomweb":
            address = {"kind": "dicomweb", "url": f"http://127.0.0.1:{port}"}
            client = DicomwebSender(DicomwebDestination.model_validate(address))
            client._client.store_instances = lambda objects: answer(objects[0]) or Dataset()
        elif kind == "folder":
            if what != "no folder":
                return  # its files are copied as they are
            client = FolderClient(
                FolderDestination.model_validate({"kind": "folder", "path": tmp_path / "out"})
            )
        outcomes = list(client.deliver([bad, good, bad]))
        assert outcomes[1] is None
        assert all((one.error.code, one.final) == ("LEX-DATA-2033", True) for one in outcomes[::2])
        assert (kind == "folder") or got == ["2.25.100011"]
        assert [one is None for one in client.deliver([bad])] == [False]


@pytest.mark.parametrize(
    ("status", "code", "final"),
    [(0xA701, "LEX-DATA-1244", False), (0x0110, "LEX-DATA-1244", False), (0xC001, "LEX-DATA-1244", True),
     (0xA900, "LEX-DATA-1244", True)],
)  # fmt: skip
def test_refusals_are_final_or_not(tmp_path: Path, status: int, code: str, final: bool) -> None:
    with archive(lambda dataset: status) as port:
        (found,) = sender(port).deliver([parcel(tmp_path, 1, sc=image_bytes())])
    assert found is not None
    assert (found.error.code, found.final) == (code, final)


def test_an_archive_that_stores_with_changes_has_it(tmp_path: Path) -> None:
    with archive(lambda dataset: 0xB000) as port:
        assert list(sender(port).deliver([parcel(tmp_path, 1, sc=image_bytes())])) == [None]


def test_an_sop_class_that_is_not_accepted_is_final(tmp_path: Path) -> None:
    with archive(lambda dataset: 0, kinds=["1.2.840.10008.5.1.4.1.1.2"]) as port:
        # Without any context in common the association is rejected: that may be a matter of configuration.
        (found,) = sender(port).deliver([parcel(tmp_path, 1, sc=image_bytes())])
        assert found is not None
        parcels = [parcel(tmp_path, 2, sc=image_bytes(2), seg=image_bytes(3, modality="CT"))]
        (found,) = sender(port).deliver(parcels)
        assert found is not None
        assert (found.error.code, found.final) == ("LEX-DATA-1243", True)


def test_an_archive_without_label_maps_gets_no_report_that_refers_to_one(tmp_path: Path) -> None:
    label_map, binary = "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.66.4"
    got: list[str] = []

    def answer(dataset: Dataset) -> int:
        got.append(str(dataset.SOPClassUID))
        return 0

    parcels = [
        parcel(tmp_path, 1, labelmap=image_bytes(11, SOPClassUID=label_map), sr=image_bytes(12)),
        parcel(tmp_path, 2, seg=image_bytes(13, SOPClassUID=binary), sr=image_bytes(14)),
    ]
    others = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    with archive(answer, kinds=[kind for kind in others if kind != label_map]) as port:
        found, other = sender(port).deliver(parcels)
        assert got == [binary, COMPUTED_RADIOGRAPHY]
        assert other is None
        assert found is not None
        assert (found.error.code, found.final) == ("LEX-DATA-1243", True)
        assert "Label Map" in str(found.error)
    with archive(answer) as port:
        assert list(sender(port).deliver(parcels)) == [None, None]
    assert label_map in got


def test_an_archive_that_is_away_or_does_not_know_us_is_tried_again(tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parcels = [parcel(tmp_path, 1, sc=image_bytes(1)), parcel(tmp_path, 2, sc=image_bytes(2))]
    away = list(sender(port).deliver(parcels))
    assert [(one.error.code, one.final) for one in away if one] == [("LEX-DATA-1246", False)] * 2
    with archive(lambda dataset: 0) as port:
        (found, _) = sender(port, calling_ae_title="OTHER").deliver(parcels)
    assert found is not None
    assert "rejected" in str(found.error)


def test_tls_checks_both_sides(tmp_path: Path) -> None:
    ours, theirs = make_certificate(tmp_path, "gateway"), make_certificate(tmp_path, "archive")
    tls = {"certificate": ours.certificate, "key": ours.key, "authorities": theirs.certificate}
    with opened(settings(tmp_path)) as (state, _), receiver(state, tls=tls) as port:
        client = ssl.create_default_context(cafile=str(ours.certificate))
        client.load_cert_chain(theirs.certificate, theirs.key)
        peer = connected(port.port, tls_args=(client, "127.0.0.1"))
        assert peer.send_c_store(image()).Status == 0
        peer.release()
        without = ssl.create_default_context(cafile=str(ours.certificate))
        assert not connected(port.port, tls_args=(without, "127.0.0.1")).is_established
        assert not connected(port.port).is_established
        assert len(state.queue.ids("waiting")) == 1

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(theirs.certificate, theirs.key)
    with archive(lambda dataset: 0, ssl_context=server) as number:
        one = parcel(tmp_path, 1, sc=image_bytes())
        assert list(sender(number, tls={"authorities": theirs.certificate}).deliver([one])) == [None]
        (found,) = sender(number, tls={"authorities": ours.certificate}).deliver([one])
        assert found is not None
        assert not found.final


def test_certificates_that_are_none_are_refused(tmp_path: Path) -> None:
    with refuses("LEX-USE-1239", "absent.pem"):
        sender(1, tls={"authorities": tmp_path / "absent.pem"})
    (tmp_path / "text.pem").write_text("no certificate")
    with refuses("LEX-USE-1240", "text.pem"):
        sender(1, tls={"authorities": tmp_path / "text.pem"})
