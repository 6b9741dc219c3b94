"""The queue and the intake: nothing is lost, nothing comes twice, and a kill between two steps is mended."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from gateway_setup import image_bytes, opened, running, settings, wait_until
from lexiseg.errors import LexisegError
from lexiseg.gateway.monitoring import Figures, Health
from lexiseg.gateway.quarantine import act, quarantined_objects
from lexiseg.gateway.queue.durable_queue import Queue
from lexiseg.gateway.queue.faults import queue_errors
from lexiseg.gateway.queue.spool import Spool
from lexiseg.gateway.service import Gateway, delete_old, keep_age
from lexiseg.gateway.sources.intake import Intake, data_set_start
from lexiseg.gateway.state import GatewayState
from refusals import refuses


def take(state: GatewayState, content: bytes, uid: str = "2.25.10001") -> str:
    Intake(state).take(content, source="s", sop_uid=uid)
    return state.queue.ids("waiting", "quarantined")[-1]


def test_an_image_is_on_the_disk_and_in_the_queue_when_it_is_taken(tmp_path: Path) -> None:
    content = image_bytes()
    with opened(settings(tmp_path)) as (state, _):
        id = take(state, content)
        assert state.spool.image(id).read_bytes() == content
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.ids("waiting") == [id]
        assert state.spool.image(id).read_bytes() == content


def test_the_same_image_again_is_one_image(tmp_path: Path) -> None:
    # The file meta information of the second one differs, as that of an image that another system sent.
    content = image_bytes()
    other_meta = content.replace(b"PYDICOM ", b"OTHERSYS")
    assert other_meta[data_set_start(other_meta) :] == content[data_set_start(content) :] != content
    with opened(settings(tmp_path)) as (state, events):
        intake = Intake(state)
        assert intake.take(content, source="s", sop_uid="2.25.10001") == "new"
        assert intake.take(other_meta, source="s", sop_uid="2.25.10001") == "repeated"
        assert state.queue.counts() == {"waiting": 1}
        assert [event["event"] for event in events()] == ["received", "repeated"]


def test_another_image_with_the_same_uid_goes_into_quarantine(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _):
        intake = Intake(state)
        intake.take(image_bytes(), source="s", sop_uid="2.25.10001")
        assert intake.take(image_bytes(PatientID="x"), source="s", sop_uid="2.25.10001") == "conflicting"
        # Its sender may send it again, as often as it likes.
        for _ in range(3):
            assert intake.take(image_bytes(PatientID="x"), source="s", sop_uid="2.25.10001") == "repeated"
            assert intake.take(image_bytes(), source="s", sop_uid="2.25.10001") == "repeated"
        assert state.queue.counts() == {"waiting": 1, "quarantined": 1}
        (id,) = state.queue.ids("quarantined")
        assert (tmp_path / "state" / "quarantine" / f"{id}.dcm").exists()
        assert '"LEX-DATA-1232"' in (tmp_path / "state" / "quarantine" / f"{id}.json").read_text()


@pytest.mark.parametrize("step", ["sync_received", "explain", "add"])
def test_nothing_is_left_of_an_image_that_could_not_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with opened(settings(tmp_path)) as (state, _):
        take(state, image_bytes())
        before = kept_files(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(Queue if step == "add" else Spool, step, fail)
            for uid in ("2.25.10001", "2.25.10002") if step != "explain" else ("2.25.10001",):
                with pytest.raises(sqlite3.OperationalError):
                    take(state, image_bytes(2), uid)
        assert kept_files(tmp_path) == before
        # The next attempt of the sender finds room.
        assert Intake(state).take(image_bytes(2), source="s", sop_uid="2.25.10002") == "new"


def kept_files(folder: Path) -> set[str]:
    """Return the names of all images and reasons in the state folder."""
    return {
        path.name for path in (folder / "state").rglob("*") if path.is_file() and "queue" not in path.name
    }


def test_a_full_queue_takes_nothing(tmp_path: Path) -> None:
    with opened(settings(tmp_path, limits={"queue": 1, "free_disk_mb": 1})) as (state, _):
        take(state, image_bytes(1))
        with refuses("LEX-RES-1230", "queue full"):
            Intake(state).take(image_bytes(2), source="s", sop_uid="2.25.10002")
        assert state.health().problems == ("queue full",)
    with (
        opened(settings(tmp_path, limits={"free_disk_mb": 1e9})) as (state, _),
        refuses("LEX-RES-1230", "disk full"),
    ):
        Intake(state).take(image_bytes(2), source="s", sop_uid="2.25.10002")


def test_files_follow_the_queue_after_a_kill(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _):
        first, second = take(state, image_bytes(1), "1"), take(state, image_bytes(2), "2")
        # A kill after the file and before the queue; in the middle of a file; in a batch; before a move.
        state.spool.image("f" * 32).write_bytes(b"not acknowledged")
        (tmp_path / "state/received/.partial-abcdefgh.dcm").write_bytes(b"half")
        (state.spool.work("batch")).mkdir()
        (state.spool.results(first)).mkdir()
        state.queue.settle(second, "quarantined", code="LEX-DATA-1233")
    with opened(settings(tmp_path)) as (state, _):
        files = sorted(path.name for path in (tmp_path / "state").rglob("*") if path.is_file())
        assert files == sorted([f"{first}.dcm", f"{second}.dcm", "queue.sqlite3", "queue.sqlite3-shm",
                                "queue.sqlite3-wal", "queue-age.json", "site.key",
                                ".lexiseg.lock"])  # fmt: skip
        assert (tmp_path / "state/quarantine" / f"{second}.dcm").exists()
        assert not state.spool.work("batch").exists()
        assert not state.spool.results(first).exists()


def test_old_images_are_deleted_and_still_known(tmp_path: Path) -> None:
    with opened(settings(tmp_path, delete_after_days=0)) as (state, _):
        done, waiting = take(state, image_bytes(1), "1"), take(state, image_bytes(2), "2")
        state.queue.settle(done, "done")
        assert delete_old(state) == 1
        assert not state.spool.image(done).exists()
        assert state.spool.image(waiting).exists()
        assert Intake(state).take(image_bytes(1), source="s", sop_uid="1") == "repeated"
    with opened(settings(tmp_path)) as (state, _):
        assert delete_old(state) == 0


def test_hashes_of_deleted_images_are_forgotten_after_some_days(tmp_path: Path) -> None:
    with opened(settings(tmp_path, delete_after_days=0, forget_after_days=90)) as (state, events):
        take(state, image_bytes(1), "1")
        state.queue.settle(state.queue.ids("waiting")[0], "done")
        assert delete_old(state) == 1
        assert delete_old(state) == 0
        assert state.queue.counts() == {"deleted": 1}
        # Another content with its UID would replace its results in an archive.
        assert Intake(state).take(image_bytes(1, PatientID="x"), source="s", sop_uid="1") == "conflicting"
    with opened(settings(tmp_path, delete_after_days=0, forget_after_days=0)) as (state, events):
        assert delete_old(state) == 0
        assert [(event["event"], event["count"]) for event in events()] == [("forgotten", 1)]
        assert state.queue.counts() == {"quarantined": 1}
    with opened(settings(tmp_path / "other", delete_after_days=0, forget_after_days=0)) as (state, _):
        take(state, image_bytes(1), "1")
        state.queue.settle(state.queue.ids("waiting")[0], "left_out")
        assert (delete_old(state), delete_old(state)) == (1, 0)
        assert Intake(state).take(image_bytes(1), source="s", sop_uid="1") == "new"


def test_without_deletion_nothing_is_forgotten(tmp_path: Path) -> None:
    with opened(settings(tmp_path, forget_after_days=0)) as (state, _):
        take(state, image_bytes(1), "1")
        state.queue.settle(state.queue.ids("waiting")[0], "done")
        delete_old(state)
        assert state.queue.counts() == {"done": 1}


def test_the_file_of_the_queue_does_not_grow_without_bound(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite3"
    queue = Queue(file)
    queue._database.execute("PRAGMA synchronous = OFF")  # only for the speed of this test
    sizes, known = [], []
    for day in range(12):
        for number in range(60):
            id = f"{day:016d}{number:016d}"
            queue.add(id, uid_hash=id * 2, content_hash=id * 2, source="port")
            queue.predicted(id, rule="chest", code="", destinations=["archive", "folder"])
            queue.delivered(id, "archive")
            queue.delivered(id, "folder")
            queue.delete(id)
        # A day of 1000 seconds goes by; what was deleted more than two days ago is forgotten.
        queue._database.execute("UPDATE image SET changed = changed - 1000")
        assert queue.forget_deleted(time.time() - 2500) == (60 if day > 1 else 0)
        queue._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(file.stat().st_size)
        known.append(sum(queue.counts().values()))
        (rows,) = queue._database.execute("SELECT COUNT(*) FROM delivery").fetchone()
        assert rows == 0
    queue.close()
    assert max(known) == known[-1] == 120
    # It grows while the first days come, and then uses its room again.
    assert sizes[0] < sizes[2]
    assert max(sizes[3:]) <= 1.1 * sizes[3]


def test_an_image_that_ended_the_process_comes_alone_and_last(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q.sqlite3")
    for name in "abc":
        queue.add(name, uid_hash=name, content_hash=name, source="s")
    assert [image.id for image in queue.begin(2)] == ["a", "b"]
    # The process was killed here. An image that waits for its first attempt comes before the two.
    assert [image.id for image in queue.begin(2)] == ["c"]
    assert [image.id for image in queue.begin(2)] == ["a"]
    queue.give_back(["a"])
    assert [(image.id, image.attempts) for image in queue.begin(2)] == [("a", 1)]


def test_an_image_is_done_when_all_destinations_have_it(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q.sqlite3")
    for name in "ab":
        queue.add(name, uid_hash=name, content_hash=name, source="s")
        queue.predicted(name, rule="r", code="", destinations=["x", "y"])
    assert queue.delivered("a", "x") == "predicted"
    queue.postpone("a", "y", 1000)
    assert [due.image.id for due in queue.due("y", 9)] == ["b"]
    queue.postpone("a", "y", -1)
    assert [(due.image.id, due.attempts) for due in queue.due("y", 9)] == [("a", 2), ("b", 0)]
    assert queue.delivered("a", "y") == "done"
    assert queue.refused("b", "x", "LEX-1") == "predicted"
    assert queue.delivered("b", "y") == "quarantined"
    assert queue.get("b") is not None
    assert queue.get("b").code == "LEX-1"  # type: ignore[union-attr]


def test_results_for_a_removed_destination_are_named_and_given_up(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _):
        id = take(state, image_bytes())
        state.queue.predicted(id, rule="chest", code="", destinations=["old"])
        state.spool.results(id).mkdir()
    with opened(settings(tmp_path, retries={"first_s": 0.1})) as (state, events):
        gateway = Gateway(state)
        try:
            (problem,) = gateway.health().problems
            assert problem.startswith("destination old: 1 images wait for it")
            (said,) = [event for event in events() if event["event"] == "destination_missing"]
            assert (said["destination"], said["count"], said["code"]) == ("old", 1, "LEX-DATA-1840")
            wait_until(lambda: any(event["event"] == "delivery_failed" for event in events()))
            assert state.queue.pending() == {"old": 1}
        finally:
            gateway.close()
    with opened(settings(tmp_path, retries={"first_s": 0.1, "give_up_h": 1e-9})) as (state, _):
        with running(state):
            wait_until(lambda: state.queue.counts() == {"quarantined": 1})
        (found,) = quarantined_objects(tmp_path / "state")
        assert found.why is not None
        assert "no destination 'old'" in found.why.reason + found.why.advice
        assert act(state, [id], "retry") == [id]
        assert state.queue.pending() == {}


def test_what_is_no_queue_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database" * 100)
    with refuses("LEX-DATA-1230", "damaged.sqlite3"):
        Queue(damaged)
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as database:
        database.execute("PRAGMA user_version = 7")
    with refuses("LEX-DATA-1231", "format 7"):
        Queue(other)


def files_of(folder: Path) -> set[Path]:
    """Return the images, results and reasons in the state folder."""
    kept = ("received", "results", "quarantine")
    return {file for name in kept for file in (folder / "state" / name).rglob("*") if file.is_file()}


def test_an_older_copy_of_the_queue_is_refused(tmp_path: Path) -> None:
    queue, age = tmp_path / "state/queue.sqlite3", tmp_path / "state/queue-age.json"
    with opened(settings(tmp_path)) as (state, _):
        take(state, image_bytes(1), "1")
    backup = queue.read_bytes()
    with opened(settings(tmp_path)) as (state, _):
        take(state, image_bytes(2), "2")
        # A gateway that works notes it now and then; a kill leaves the note as it was.
        keep_age(state)
        killed = age.read_bytes()
    newest, files = queue.read_bytes(), files_of(tmp_path)
    assert len(files) == 2
    for noted in (age.read_bytes(), killed):
        queue.write_bytes(backup)
        age.write_bytes(noted)
        for _ in range(2):
            with (
                refuses("LEX-DATA-2031", "1 image and 1 start are in it", "2 images and 2 starts were"),
                opened(settings(tmp_path)),
            ):
                pytest.fail("it was opened")
            assert files_of(tmp_path) == files
    # The newest queue may be ahead of the note.
    queue.write_bytes(newest)
    age.unlink()
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.counts() == {"waiting": 2}
    assert files_of(tmp_path) == files
    # A whole folder of earlier is of one piece, and after the folders are moved away a new queue begins.
    for name in ("queue.sqlite3", "received", "results", "quarantine"):
        (tmp_path / "state" / name).rename(tmp_path / name)
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.counts() == {}


def test_an_older_copy_of_the_same_images_is_refused(tmp_path: Path) -> None:
    """It would predict and send again what is done."""
    with opened(settings(tmp_path)) as (state, _):
        id = take(state, image_bytes(1), "1")
    backup = (tmp_path / "state/queue.sqlite3").read_bytes()
    with opened(settings(tmp_path)) as (state, _):
        state.queue.settle(id, "done")
    (tmp_path / "state/queue.sqlite3").write_bytes(backup)
    with refuses("LEX-DATA-2031", "1 image and 2 starts were"), opened(settings(tmp_path)):
        pytest.fail("it was opened")


@pytest.mark.parametrize("lost", ["missing", "empty", "damaged"])
def test_a_new_queue_deletes_nothing_of_an_earlier_one(tmp_path: Path, lost: str) -> None:
    with opened(settings(tmp_path)) as (state, _):
        done, bad = take(state, image_bytes(1), "1"), take(state, image_bytes(2), "2")
        state.spool.results(done).mkdir()
        (state.spool.results(done) / "seg.dcm").write_bytes(b"result")
        state.queue.settle(done, "done")
        state.quarantine(bad, LexisegError("bad", code="LEX-DATA-1233"), source="s")
    before, queue = files_of(tmp_path), tmp_path / "state/queue.sqlite3"
    assert len(before) == 4
    good = queue.read_bytes()
    queue.unlink()
    if lost == "damaged":
        queue.write_bytes(good[:100] + b"x" * 500)
        with refuses("LEX-DATA-1230", "`received`", "another place"), opened(settings(tmp_path)):
            pytest.fail("it was opened")
        queue.unlink()
    elif lost == "empty":
        queue.touch()
    # The first refusal leaves nothing behind that the next start takes for a queue.
    for _ in range(2):
        with (
            refuses("LEX-DATA-1837", "queue.sqlite3", "`received`", "another place"),
            opened(settings(tmp_path)),
        ):
            pytest.fail("it was opened")
        assert files_of(tmp_path) == before
    # Both remedies work: the queue is put back, or the folders are moved away.
    queue.write_bytes(good)
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.counts() == {"done": 1, "quarantined": 1}
    assert files_of(tmp_path) == before
    for name in ("queue.sqlite3", "received", "results", "quarantine"):
        (tmp_path / "state" / name).rename(tmp_path / name)
    with opened(settings(tmp_path)) as (state, _):
        assert state.queue.counts() == {}


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (sqlite3.SQLITE_READONLY, "LEX-DISK-1838", "permissions"),
        (sqlite3.SQLITE_IOERR_WRITE, "LEX-DISK-1838", "disk"),
        (sqlite3.SQLITE_FULL, "LEX-DISK-1838", "free space"),
        (sqlite3.SQLITE_BUSY, "LEX-USE-1839", "another program"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "LEX-DATA-1230", "damaged"),
    ],
)
def test_a_fault_of_the_machine_is_no_damage(tmp_path: Path, kind: int, code: str, words: str) -> None:
    error = sqlite3.DatabaseError("as SQLite says")
    error.sqlite_errorcode = kind
    with refuses(code, "queue.sqlite3", "as SQLite says", words), queue_errors(tmp_path / "queue.sqlite3"):
        raise error


def test_a_queue_that_cannot_be_opened_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    with refuses("LEX-DISK-1838", "unable to open database file"):
        Queue(tmp_path / "folder")
    monkeypatch.setattr("lexiseg.gateway.queue.sqlite_file._WAIT_S", 0.05)
    file = tmp_path / "queue.sqlite3"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with refuses("LEX-USE-1839", "database is locked"):
            Queue(file)
    other.close()


def test_damage_behind_the_head_of_a_queue_is_refused_before_files_are_removed(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as (state, _):
        take(state, image_bytes())
    before, queue = files_of(tmp_path), tmp_path / "state/queue.sqlite3"
    content = queue.read_bytes()
    queue.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with refuses("LEX-DATA-1230", "malformed"), opened(settings(tmp_path)):
        pytest.fail("it was opened")
    assert files_of(tmp_path) == before


def test_two_gateways_do_not_share_a_state(tmp_path: Path) -> None:
    with (
        opened(settings(tmp_path)),
        refuses("LEX-USE-1237", "in use"),
        opened(settings(tmp_path)),
    ):
        pytest.fail("it was opened twice")


def test_no_name_and_no_id_is_in_queue_or_log(tmp_path: Path) -> None:
    secret = "9876.5432.1"
    with opened(settings(tmp_path)) as (state, events):
        take(state, image_bytes(PatientID="Q-4711", PatientName="Secret^Name"), secret)
        said = str(events())
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").glob("queue*"))
    for text in (secret, "Q-4711", "Secret"):
        assert text not in said
        assert text.encode() not in stored


def test_a_change_that_cannot_be_written_ends_its_transaction(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite3")
    queue.add("a", uid_hash="1", content_hash="1", source="s")
    # SQLite looks at these references only when a transaction is written.
    queue._database.execute("PRAGMA foreign_keys = ON")
    statements = (
        "PRAGMA defer_foreign_keys = ON",
        "INSERT INTO delivery (image, destination) VALUES ('none', 'd')",
    )
    with pytest.raises(sqlite3.IntegrityError), queue._transaction() as database:
        list(map(database.execute, statements))
    assert queue.due("d", 1) == []
    queue.settle("a", "done")
    assert queue.counts() == {"done": 1}
    queue.close()


def test_a_state_without_images_is_shown_as_0() -> None:
    def shown(images: dict[str, int]) -> str:
        figures.show(Health(problems=(), images=images, oldest_open_s=0.0, free_bytes=1))
        return generate_latest(figures.registry).decode()

    figures = Figures()
    assert 'lexiseg_images{state="waiting"} 2.0' in shown({"waiting": 2})
    later = shown({"done": 2})
    assert 'lexiseg_images{state="waiting"} 0.0' in later
    assert 'lexiseg_images{state="done"} 2.0' in later
