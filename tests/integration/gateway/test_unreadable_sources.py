"""Sources that cannot be read are named by health; one bad image or file holds up no others."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server import Service, dicomweb_service
from gateway_setup import image_bytes, opened, running, settings, wait_until
from lexiseg.gateway.configuration import DicomwebSource, FolderSource
from lexiseg.gateway.service import Gateway
from lexiseg.gateway.sources.dicomweb import DicomwebReader
from lexiseg.gateway.sources.folder import FolderReader
from lexiseg.gateway.sources.intake import Intake
from lexiseg.gateway.sources.unreadable import UnreadableSourceError
from lexiseg.gateway.state import GatewayState

Events = Callable[[], list[dict[str, Any]]]


def uid(number: int) -> str:
    return f"2.25.1000{number}"


@contextmanager
def fetching(
    folder: Path, *, count: int = 6
) -> Iterator[tuple[Service, DicomwebReader, GatewayState, Events]]:
    """Yield a service with the images 1 to 6, or `count`, and a gateway that asks it."""
    for number in range(1, count + 1):
        (folder / f"{number}.dcm").write_bytes(image_bytes(number))
    files = sorted(folder.glob("*.dcm"))
    with dicomweb_service(files) as service, opened(settings(folder)) as (state, events):
        source = DicomwebSource.model_validate(
            {"kind": "dicomweb", "url": service.address, "modality": ["CR"], "timeout_s": 5}
        )
        yield service, DicomwebReader(state, "archive", source, Intake(state)), state, events


def named(events: Events, name: str) -> list[str]:
    return [event["error"] for event in events() if event["event"] == name]


def test_an_image_that_cannot_be_fetched_holds_up_no_others(tmp_path: Path) -> None:
    with fetching(tmp_path) as (service, reader, state, events):
        service.refused.update({uid(1): 404, uid(3): 410, uid(4): 500})
        reader.step()
        reader.step()
        assert state.queue.counts() == {"waiting": 3}
        assert named(events, "not_fetched") == ["HTTP 404", "HTTP 410", "HTTP 500"]
        assert all(event["study"] for event in events() if event["event"] == "not_fetched")
        # It is asked for again, as the service may be mended.
        service.refused.clear()
        reader.step()
        assert state.queue.counts() == {"waiting": 6}


def test_an_image_without_an_answer_holds_up_only_one_pass(tmp_path: Path) -> None:
    with fetching(tmp_path) as (service, reader, state, events):
        service.refused[uid(1)] = 0
        reader.step()
        assert state.queue.counts() == {}
        reader.step()
        assert state.queue.counts() == {"waiting": 5}
        assert named(events, "not_fetched") == ["ConnectionError"]


def test_a_service_that_gives_no_images_cannot_be_read(tmp_path: Path) -> None:
    with fetching(tmp_path) as (service, reader, state, events):
        service.refused.update({uid(number): 500 for number in range(1, 7)})
        # Not all images are asked for: one new image in each pass shows whether the service gives any.
        for count in (3, 4):
            with pytest.raises(UnreadableSourceError, match=f"{count} images in a row"):
                reader.step()
        assert named(events, "not_fetched") == ["HTTP 500"] * 4
        del service.refused[uid(5)]
        reader.step()
        assert state.queue.counts() == {"waiting": 1}
    with pytest.raises(UnreadableSourceError, match="ConnectionError"):
        DicomwebReader(state, "archive", reader._settings, Intake(state)).step()


@pytest.mark.parametrize(("status", "error"), [(404, "HTTP 404"), (500, "HTTP 500"), (0, "ConnectionError")])
def test_images_that_are_never_given_are_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, error: str
) -> None:
    """Three are all that the service lists, and none came before."""
    monkeypatch.setattr("lexiseg.gateway.sources.dicomweb._MOST_TRIES", 3)
    with fetching(tmp_path, count=3) as (service, reader, state, events):
        service.refused.update({uid(number): status for number in (1, 2, 3)})
        failed = 0
        for _ in range(12):
            try:
                reader.step()
            except UnreadableSourceError:
                failed += 1
        assert failed > 0
        reader.step()
        assert (state.queue.counts(), reader.not_fetched) == ({}, 3)
        assert named(events, "not_fetched") == [error] * 3
        assert named(events, "put_aside") == [error] * 3
        # They are still asked for.
        service.refused.clear()
        reader.step()
        assert (state.queue.counts(), reader.not_fetched) == ({"waiting": 3}, 0)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_service_that_refuses_its_user_is_not_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicomweb._MOST_TRIES", 3)
    with fetching(tmp_path, count=3) as (service, reader, _, events):
        service.refused.update({uid(number): status for number in (1, 2, 3)})
        for _ in range(6):
            with pytest.raises(UnreadableSourceError, match="3 images in a row"):
                reader.step()
        assert named(events, "put_aside") == []


def test_a_service_that_gives_nothing_any_more_is_not_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists images and gives none, as with its disk away; an image that came before shows it."""
    monkeypatch.setattr("lexiseg.gateway.sources.dicomweb._MOST_TRIES", 3)
    with fetching(tmp_path, count=4) as (service, reader, state, events):
        service.refused.update({uid(number): 500 for number in (1, 2, 3)})
        with pytest.raises(UnreadableSourceError):
            reader.step()
        reader.step()
        assert state.queue.counts() == {"waiting": 1}
        service.refused[uid(4)] = 500
        reader = DicomwebReader(state, "archive", reader._settings, Intake(state))
        for _ in range(8):
            with pytest.raises(UnreadableSourceError, match="3 images in a row"):
                reader.step()
        assert named(events, "put_aside") == []
        # Now the three images are at fault.
        del service.refused[uid(4)]
        reader.step()
        assert named(events, "put_aside") == ["HTTP 500"] * 3


def test_a_login_page_in_place_of_an_image_says_nothing_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicomweb._MOST_TRIES", 3)
    with fetching(tmp_path, count=3) as (service, reader, _, events):
        service.pages.update(uid(number) for number in (1, 2, 3))
        for _ in range(6):
            with pytest.raises(UnreadableSourceError, match="3 images in a row"):
                reader.step()
        assert named(events, "not_fetched") == ["WebPageError"] * 3
        assert named(events, "put_aside") == []


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_that_calls_itself_html_says_that_nothing_is_found(
    tmp_path: Path, status: int
) -> None:
    with fetching(tmp_path) as (service, reader, state, _):
        service.empty_search = status
        reader.step()
        assert state.queue.counts() == {}


def test_images_that_are_not_given_are_no_fault_of_the_service(tmp_path: Path) -> None:
    with fetching(tmp_path) as (service, reader, state, _):
        service.refused.update({uid(number): 404 for number in (4, 5, 6)})
        for _ in range(2):
            reader.step()
            assert (state.queue.counts(), reader.not_fetched) == ({"waiting": 3}, 3)
        # After a restart, an image that came before shows it.
        service.refused.update({uid(number): 500 for number in (1, 2)})
        after_restart = DicomwebReader(state, "archive", reader._settings, Intake(state))
        after_restart.step()
        assert after_restart.not_fetched == 3
        # The service gives nothing any more, and is mended.
        service.refused[uid(3)] = 500
        with pytest.raises(UnreadableSourceError, match="3 images in a row could not be fetched, and no ear"):
            DicomwebReader(state, "archive", reader._settings, Intake(state)).step()
        service.refused.clear()
        after_restart.step()
        assert (state.queue.counts(), after_restart.not_fetched) == ({"waiting": 6}, 0)


def test_health_counts_images_that_are_not_given(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.dcm").write_bytes(image_bytes(number))
    with dicomweb_service(sorted(tmp_path.glob("*.dcm"))) as service:
        service.refused[uid(1)] = 404
        archive = {"kind": "dicomweb", "url": service.address, "modality": ["CR"], "every_s": 0.05}
        with (
            opened(settings(tmp_path, sources={"archive": archive})) as (state, _),
            running(state) as gateway,
        ):
            address = f"http://127.0.0.1:{gateway.monitoring_port}"
            wait_until(lambda: gateway.health().not_fetched == {"archive": 1})
            answer = json.loads(urllib.request.urlopen(f"{address}/health").read())
            assert (answer["status"], answer["not_fetched"]) == ("ok", {"archive": 1})
            figures = urllib.request.urlopen(f"{address}/metrics").read().decode()
            assert 'lexiseg_not_fetched{source="archive"} 1.0' in figures


@pytest.mark.parametrize(("most", "offsets"), [(4, [0, 4, 6]), (None, [0, 6])])
def test_a_service_may_return_fewer_images_than_it_is_asked_for(
    tmp_path: Path, most: int | None, offsets: list[int]
) -> None:
    with fetching(tmp_path) as (service, reader, state, _):
        service.most = most
        reader.step()
        assert state.queue.counts() == {"waiting": 6}
        assert service.offsets == offsets


def test_a_service_that_knows_no_offset_is_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.sources.dicomweb._PAGE", 6)
    with fetching(tmp_path) as (service, reader, state, _):
        service.knows_offset = False
        reader.step()
        assert state.queue.counts() == {"waiting": 6}
        assert service.offsets == [0, 6]


@pytest.mark.parametrize("status", [404, 204])
def test_a_service_may_answer_that_nothing_is_left(tmp_path: Path, status: int) -> None:
    with fetching(tmp_path) as (service, reader, state, _):
        service.after_last = status
        service.refused[uid(1)] = 404
        reader.step()
        assert state.queue.counts() == {"waiting": 5}
        # An image that was refused is asked for again, after the last page.
        service.refused.clear()
        reader.step()
        assert state.queue.counts() == {"waiting": 6}


# Without the UIDs of their images, the two answers are equal.
@pytest.mark.parametrize(("tag", "count"), [("0020000D", 2), ("0020000E", 2), ("00080018", 1)])
def test_an_incomplete_answer_holds_up_no_others(tmp_path: Path, tag: str, count: int) -> None:
    with fetching(tmp_path) as (service, reader, state, events):
        service.most = 4
        service.unnamed.update({uid(3): tag, uid(6): tag})
        for _ in range(2):
            reader.step()
            assert (state.queue.counts(), reader.not_fetched) == ({"waiting": 4}, count)
        assert named(events, "not_fetched") == ["incomplete answer to the search"] * count
        service.unnamed.clear()
        reader.step()
        assert (state.queue.counts(), reader.not_fetched) == ({"waiting": 6}, 0)


def test_a_service_whose_answers_name_no_images_cannot_be_read(tmp_path: Path) -> None:
    with fetching(tmp_path) as (service, reader, _, _):
        service.unnamed.update({uid(number): "0020000E" for number in range(1, 7)})
        with pytest.raises(UnreadableSourceError, match="no answer names study, series and image"):
            reader.step()


def health(gateway: Gateway) -> tuple[int, list[str]]:
    """Return the status of `/health` and its problems."""
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{gateway.monitoring_port}/health")
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, json.loads(answer.read())["problems"]


def test_health_names_sources_until_they_can_be_read(tmp_path: Path) -> None:
    with dicomweb_service([]) as service:
        pass  # nothing listens there now
    inbox, away = tmp_path / "in", tmp_path / "away"
    inbox.mkdir()
    sources = {
        "inbox": {"kind": "folder", "path": inbox, "every_s": 0.05},
        "archive": {"kind": "dicomweb", "url": service.address, "modality": ["CR"], "every_s": 0.05},
    }
    with opened(settings(tmp_path, sources=sources)) as (state, events):
        unreachable = "source archive: ConnectionError"
        with running(state, problems=(unreachable,)) as gateway:
            wait_until(lambda: health(gateway) == (503, [unreachable]))
            inbox.rename(away)
            wait_until(lambda: "source inbox: FileNotFoundError" in health(gateway)[1])
            away.rename(inbox)
            wait_until(lambda: health(gateway)[1] == [unreachable])
        said = [event for event in events() if event["event"] == "source_unreachable"]
        assert [event["source"] for event in said] == ["archive", "inbox"]


@contextmanager
def reading(folder: Path) -> Iterator[tuple[Path, FolderReader, GatewayState, Events]]:
    """Yield a folder, and a gateway that reads it."""
    (folder / "in").mkdir()
    with opened(settings(folder)) as (state, events):
        source = FolderSource.model_validate({"kind": "folder", "path": folder / "in", "settle_s": 0})
        yield folder / "in", FolderReader(state, "inbox", source, Intake(state)), state, events


def test_a_file_that_cannot_be_removed_holds_up_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, read = Path.unlink, Path.read_bytes
    reads: list[str] = []

    def refuse(path: Path, **options: Any) -> None:
        if path.name == "a.dcm":
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, **options)

    def note(path: Path) -> bytes:
        reads.append(path.name)
        return read(path)

    with reading(tmp_path) as (inbox, reader, state, events):
        for number, name in enumerate(("a.dcm", "b.dcm"), start=1):
            (inbox / name).write_bytes(image_bytes(number))
        monkeypatch.setattr(Path, "read_bytes", note)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", refuse)
            steps = [reader.step() for _ in range(3)]
        assert (steps, reads) == ([True, False, False], ["a.dcm", "b.dcm"])
        assert state.queue.counts() == {"waiting": 2}
        assert [file.name for file in inbox.iterdir()] == ["a.dcm"]
        assert named(events, "not_removed") == ["PermissionError"]
        # It is removed as soon as that works, and not read again.
        reader.step()
        assert (list(inbox.iterdir()), len(reads)) == ([], 2)


def test_another_file_in_the_place_of_one_that_could_not_be_removed_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(tmp_path) as (inbox, reader, state, _):
        (inbox / "a.dcm").write_bytes(image_bytes(1))
        with monkeypatch.context() as patched:
            patched.setattr(FolderReader, "_remove", lambda *_: None)  # as if it could not be removed
            reader.step()
        (inbox / "a.dcm").write_bytes(image_bytes(2, PatientComments="longer"))
        reader.step()
        assert state.queue.counts() == {"waiting": 2}


def test_a_file_that_changes_after_the_look_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Intake.take

    def and_write(intake: Intake, content: bytes, **options: Any) -> object:
        # Another program writes the next file again while this one is stored.
        (inbox / "b.dcm").write_bytes(half)
        return take(intake, content, **options)

    whole = image_bytes(2)
    half = whole[: len(whole) // 2]
    with reading(tmp_path) as (inbox, reader, state, _):
        (inbox / "a.dcm").write_bytes(image_bytes(1))
        (inbox / "b.dcm").write_bytes(whole)
        with monkeypatch.context() as patched:
            patched.setattr(Intake, "take", and_write)
            reader.step()
        assert state.queue.counts() == {"waiting": 1}
        assert (inbox / "b.dcm").read_bytes() == half
        (inbox / "b.dcm").write_bytes(whole)
        reader.step()
        assert state.queue.counts() == {"waiting": 2}
        assert list(inbox.iterdir()) == []


@pytest.mark.parametrize("when", ["while it is read", "after it is read"])
@pytest.mark.parametrize("way", ["replaced", "written again", "removed"])
def test_only_the_file_that_was_read_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, way: str
) -> None:
    read, take = Path.read_bytes, Intake.take

    def change() -> None:
        if way == "replaced":
            (tmp_path / "new.dcm").replace(inbox / "a.dcm")
        elif way == "written again":
            (inbox / "a.dcm").write_bytes(new)
        else:
            (inbox / "a.dcm").unlink()

    def and_change(path: Path) -> bytes:
        content = read(path)
        change()
        return content

    def change_and_take(intake: Intake, content: bytes, **options: Any) -> object:
        change()
        return take(intake, content, **options)

    new = image_bytes(2, PatientComments="longer")
    (tmp_path / "new.dcm").write_bytes(new)
    with reading(tmp_path) as (inbox, reader, state, events):
        (inbox / "a.dcm").write_bytes(image_bytes(1))
        with monkeypatch.context() as patched:
            if when == "while it is read":
                patched.setattr(Path, "read_bytes", and_change)
            else:
                patched.setattr(Intake, "take", change_and_take)
            reader.step()
        taken = 0 if when == "while it is read" else 1
        assert sum(state.queue.counts().values()) == taken
        assert [file.read_bytes() for file in inbox.iterdir()] == ([] if way == "removed" else [new])
        reader.step()
        assert sum(state.queue.counts().values()) == taken + (way != "removed")
        assert list(inbox.iterdir()) == []
        assert named(events, "unreadable") == named(events, "not_removed") == []


def test_a_locked_folder_in_the_folder_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    with reading(tmp_path) as (inbox, reader, state, events):
        (inbox / "locked").mkdir()
        (inbox / "locked" / "a.dcm").write_bytes(image_bytes(1))
        (inbox / "z.dcm").write_bytes(image_bytes(2))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "is_file", refuse)
            reader.step()
            reader.step()
        assert state.queue.counts() == {"waiting": 1}
        assert named(events, "unreadable") == ["PermissionError"]
        reader.step()
        assert state.queue.counts() == {"waiting": 2}


def test_a_silent_connection_holds_up_no_monitoring(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexiseg.gateway.monitoring._Quiet.timeout", 3.0)
    with opened(settings(tmp_path)) as (state, _), running(state) as gateway:
        place = ("127.0.0.1", gateway.monitoring_port)
        silent = [socket.create_connection(place) for _ in range(4)]  # no more wait at the port
        began = time.monotonic()
        assert urllib.request.urlopen(f"http://127.0.0.1:{place[1]}/health", timeout=30).status == 200
        assert time.monotonic() - began < 3  # one after the other, the silent ones take 12 s
        assert [connection.recv(1) for connection in silent] == [b""] * 4  # they are closed after a while
        for connection in silent:
            connection.close()
    assert "Traceback" not in capfd.readouterr().err
