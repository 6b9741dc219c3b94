"""Large objects and odd peers: memory does not grow with what arrives, and the other images are taken."""

from __future__ import annotations

import errno
import io
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from dicom_files import dicom_dataset
from gateway_setup import image_bytes, opened, picture, settings, wait_until
from lexiseg.gateway.configuration import DicomSource
from lexiseg.gateway.prediction.classification import classify
from lexiseg.gateway.sources.dicom_receiver import DicomReceiver
from lexiseg.gateway.sources.incoming_data_set import MOST_COMMAND_BYTES, MOST_PDU_BYTES
from lexiseg.gateway.sources.intake import Intake, data_set_start
from lexiseg.gateway.state import GatewayState
from refusals import refuses

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
FRAGMENT = bytes(16_000)


@contextmanager
def receiver(state: GatewayState, **values: Any) -> Iterator[int]:
    source = DicomSource.model_validate({"kind": "dicom", "port": 0, "allow": ["PACS"], **values})
    found = DicomReceiver(state, "port", source, Intake(state))
    try:
        yield found.port
    finally:
        found.close()


def connected(port: int) -> Association:
    entity = AE(ae_title="PACS")
    entity.add_requested_context(COMPUTED_RADIOGRAPHY, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title="LEXISEG")


def send_pdu(peer: Association, content: bytes) -> None:
    """Send one fragment; its first byte says whether it is of a command and whether it is the last one."""
    primitive = P_DATA()
    primitive.presentation_data_value_list.append((1, content))
    assert peer.dul.socket is not None
    peer.dul.socket.send(P_DATA_TF(primitive).encode())


def send_command(peer: Association, number: int) -> None:
    """Send the command of a C-STORE request."""
    # The thread of the association would take the answer.
    peer._reactor_checkpoint.clear()
    request = C_STORE()
    request.MessageID, request.Priority = number, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = COMPUTED_RADIOGRAPHY, f"2.25.{number}"
    request.DataSet = io.BytesIO(b"a")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    primitive = next(message.encode_msg(1, 16_382))
    assert peer.dul.socket is not None
    peer.dul.socket.send(P_DATA_TF(primitive).encode())


def send_large(peer: Association, number: int, fragments: int) -> Any:
    """Send an object of zeros that is never whole in memory here; return the answer."""
    send_command(peer, number)
    for _ in range(fragments - 1):
        send_pdu(peer, b"\x00" + FRAGMENT)
    send_pdu(peer, b"\x02" + FRAGMENT)
    _, answer = peer.dimse.get_msg(block=True)
    peer._reactor_checkpoint.set()
    return answer


@contextmanager
def memory_below(megabytes: float) -> Iterator[None]:
    """Check how much memory Python takes in addition within the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak < megabytes, f"{peak:.1f} MB"


def is_taken(port: int) -> bool:
    """Return whether a peer gets an association; it is released again."""
    peer = connected(port)
    if peer.is_established:
        peer.release()
        return True
    return False


def received(folder: Path) -> list[Path]:
    return list((folder / "state/received").iterdir())


def test_an_object_above_the_limit_is_never_whole_and_the_next_one_is_taken(tmp_path: Path) -> None:
    limits = {"largest_image_mb": 1, "free_disk_mb": 1}
    with opened(settings(tmp_path, limits=limits)) as (state, events), receiver(state) as port:
        peer = connected(port)
        with memory_below(3):
            answer = send_large(peer, 1, 700)  # 11.2 MB
        assert (answer.Status, answer.ErrorComment) == (
            0xC000,
            "The image is larger than this gateway takes.",
        )
        assert received(tmp_path) == []
        assert peer.send_c_store(dcmread(io.BytesIO(image_bytes(2)))).Status == 0
        peer.release()
        said = [(event["event"], event.get("code")) for event in events()]
    assert said == [("too_large", "LEX-DATA-1400"), ("received", None)]


def test_objects_that_arrive_together_go_to_the_disk(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _), receiver(state) as port:
        peers = [connected(port) for _ in range(3)]
        answers: list[int] = []

        def send(number: int) -> None:
            answers.append(send_large(peers[number - 1], number, 300).Status)  # 4.8 MB

        threads = [Thread(target=send, args=[number]) for number in (1, 2, 3)]
        with memory_below(4):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for peer in peers:
            peer.release()
        assert answers == [0, 0, 0]
        files = received(tmp_path)
        assert len(files) == 3
        for file in files:
            content = file.read_bytes()
            assert content[data_set_start(content) :] == FRAGMENT * 300


def test_an_image_that_came_in_fragments_is_the_one_of_a_folder(tmp_path: Path) -> None:
    content = image_bytes(1)
    with opened(settings(tmp_path)) as (state, _), receiver(state) as port:
        peer = connected(port)
        assert peer.send_c_store(dcmread(io.BytesIO(content))).Status == 0
        peer.release()
        (file,) = received(tmp_path)
        stored = file.read_bytes()
        assert stored[data_set_start(stored) :] == content[data_set_start(content) :]
        assert dcmread(file).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert Intake(state).take(content, source="s", sop_uid="2.25.10001") == "repeated"


@pytest.mark.parametrize("ending", ["abort", "close"])
def test_a_peer_that_goes_in_the_middle_of_an_object_leaves_nothing(tmp_path: Path, ending: str) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port)
        send_command(peer, 1)
        for _ in range(9):
            send_pdu(peer, b"\x00" + FRAGMENT)
        wait_until(lambda: [file.stat().st_size > 100_000 for file in received(tmp_path)] == [True])
        if ending == "abort":
            peer.abort()
        else:
            assert peer.dul.socket is not None
            peer.dul.socket.close()
        wait_until(lambda: received(tmp_path) == [])
        wait_until(lambda: [event["event"] for event in events()] == ["peer_aborted"])
        other = connected(port)
        assert other.send_c_store(dcmread(io.BytesIO(image_bytes(2)))).Status == 0
        other.release()
        assert len(state.queue.ids("waiting")) == 1


def test_a_disk_that_becomes_full_is_answered_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SmallDisk(io.FileIO):
        def write(self, piece: Any) -> int:
            if self.tell() > 50_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(piece)

    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port)
        with monkeypatch.context() as patched:
            patched.setattr(
                "lexiseg.gateway.sources.incoming_file.open",
                lambda path, mode, buffering: SmallDisk(path, mode),
                raising=False,
            )
            answer = send_large(peer, 1, 20)
        assert (answer.Status, answer.ErrorComment) == (
            0xA700,
            "There is no room at the moment. Send it again later.",
        )
        assert received(tmp_path) == []
        assert send_large(peer, 1, 20).Status == 0
        peer.release()
        said = [(event["event"], event.get("code")) for event in events()]
    assert said == [("put_off", "LEX-DISK-002"), ("received", None)]


def test_a_pdu_above_the_limit_ends_its_association_only(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port)
        assert peer.dul.socket is not None
        peer.dul.socket.send(b"\x04\x00" + (MOST_PDU_BYTES + 1).to_bytes(4, "big") + bytes(100))
        wait_until(lambda: [event["event"] for event in events()] == ["peer_aborted"])
        other = connected(port)
        assert send_large(other, 1, 2).Status == 0
        other.release()


def test_a_command_without_end_ends_its_association_only(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state) as port:
        peer = connected(port)
        for _ in range(MOST_COMMAND_BYTES // len(FRAGMENT) + 3):
            send_pdu(peer, b"\x01" + FRAGMENT)
        wait_until(lambda: peer.is_aborted)
        other = connected(port)
        assert send_large(other, 1, 2).Status == 0
        other.release()
        assert {event["event"] for event in events()} == {"peer_aborted", "received"}


def test_one_association_too_many_is_rejected(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, events), receiver(state, associations=1) as port:
        first = connected(port)
        assert connected(port).is_rejected
        first.release()
        wait_until(lambda: not first.is_alive())
        wait_until(lambda: is_taken(port))
        said = [event["error"] for event in events() if event["event"] == "peer_rejected"]
    assert said[0] == "there are too many connections"


def multiframe_bytes(frames: int, **values: Any) -> bytes:
    """Return an image that states a number of frames."""
    dataset = dicom_dataset(picture(), **values)
    dataset.NumberOfFrames = frames
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_an_enormous_multiframe_is_not_read(tmp_path: Path) -> None:
    content = multiframe_bytes(100_000)
    pixels = content.rindex(b"\xe0\x7f\x10\x00")  # tag, VR and length come before the values
    size = 300_000_000
    file = tmp_path / "large.dcm"
    file.write_bytes(content[: pixels + 8] + size.to_bytes(4, "little"))
    os.truncate(file, pixels + 12 + size)  # a file with a hole takes no space
    rules = settings(tmp_path).rules
    with memory_below(5), refuses("LEX-DATA-1401", "holds 100000 frames", "Send single frames"):
        classify(file, rules)


def test_a_multiframe_that_no_rule_fits_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "clip.dcm"
    file.write_bytes(multiframe_bytes(3, modality="US"))
    assert classify(file, settings(tmp_path).rules).rule is None
