from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import struct
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from lexiseg.cli.app import app
from lexiseg.errors import UsageError
from lexiseg.json_records import write_record
from lexiseg.outputs.folder_lock import FolderLock
from lexiseg.serving.tokens import TokenFile, Tokens, new_token, read_token_file, revoke_token
from refusals import refuses


def test_a_token_is_held_as_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = new_token(file, "ward", ("predict",), days=2)
    assert token not in file.read_text()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    holder = Tokens(file).holder(token)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("ward", {"predict"})
    assert Tokens(file).holder(token[:-1]) is None
    assert Tokens(file).holder("") is None


def test_a_token_ends(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = new_token(file, "ward", ("predict",), days=1)
    (record,) = read_token_file(file).tokens
    ended = record.model_copy(update={"expires": datetime.now(UTC) - timedelta(seconds=1)})
    write_record(file, TokenFile(tokens=(ended,)))
    assert Tokens(file).holder(token) is None


def test_a_running_server_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    first = new_token(file, "first", ("predict",))
    tokens = Tokens(file)
    second = new_token(file, "second", ("jobs",))
    assert tokens.holder(second) is not None
    revoke_token(file, "first")
    assert tokens.holder(first) is None
    file.write_text("{half")  # somebody is writing it
    assert tokens.holder(second) is not None
    file.unlink()
    assert tokens.holder(second) is None


def test_a_change_keeps_the_access_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.json"
    new_token(file, "first", ("predict",))
    file.chmod(0o640)
    new_token(file, "second", ("predict",))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    # An administrator changes the file of another user.
    real, given = os.stat, []

    def stat_of_another(path: object, **options: bool) -> os.stat_result:
        found = real(path, **options)  # type: ignore[arg-type]
        return os.stat_result([*found[:4], 4321, 8765, *found[6:]]) if path == file else found

    monkeypatch.setattr("lexiseg.file_access.os.stat", stat_of_another)
    monkeypatch.setattr("lexiseg.file_access.os.chown", lambda path, *owner: given.append(owner))
    revoke_token(file, "first")
    assert given == [(4321, 8765)]

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("lexiseg.file_access.os.chown", refused)
    with refuses("LEX-DISK-1880", "4321", "as root"):
        revoke_token(file, "second")
    assert [token.name for token in read_token_file(file).tokens] == ["second"]


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL])
def test_the_owner_of_a_file_of_another_group_makes_and_revokes_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    file = tmp_path / "tokens.json"
    new_token(file, "first", ("predict",))
    file.chmod(0o2645)
    real, lists = os.stat, []

    def stat_of_another_group(path: object, **options: bool) -> os.stat_result:
        found = real(path, **options)  # type: ignore[arg-type]
        return os.stat_result([*found[:5], 8765, *found[6:]]) if path == file else found

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def entries(group: int, others: int) -> bytes:
        # Owner, a named user, the group of the file, a named group, the limit, others.
        return acl((1, 6, 0), (2, 4, 77), (4, group, 0), (8, 4, 88), (16, 6, 0), (32, others, 0))

    with monkeypatch.context() as patched:
        patched.setattr("lexiseg.file_access.os.stat", stat_of_another_group)
        patched.setattr("lexiseg.file_access.os.chown", refused)
        patched.setattr("lexiseg.file_access.os.getxattr", lambda *_: entries(4, 5), raising=False)
        patched.setattr(
            "lexiseg.file_access.os.setxattr", lambda *given: lists.append(given[-1]), raising=False
        )
        new_token(file, "second", ("predict",))
    # Nobody has more rights than before.
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert f"{file} belonged to group 8765" in caplog.text
    assert "`chgrp 8765`" in caplog.text
    if sys.platform == "linux":
        assert lists == [entries(0, 4)]
    revoke_token(file, "first")
    assert [token.name for token in read_token_file(file).tokens] == ["second"]


def test_a_token_is_revoked_in_the_file_behind_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "tokens.json", tmp_path / "link.json"
    token = new_token(file, "ward", ("predict",))
    link.symlink_to(file.name)
    revoke_token(link, "ward")
    assert link.is_symlink()
    assert Tokens(file).holder(token) is None


def test_no_token_is_valid_where_the_file_may_not_be_read(
    file: Path, serving: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token(file, "ward", ("predict",))
    client = serving(token_file=file)
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/v1/models", headers=headers).status_code == 200

    def refused(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("lexiseg.serving.tokens.read_json", refused)
        write_record(file, TokenFile(tokens=()))  # by an administrator, who may
        answer = client.get("/v1/models", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "LEX-REQ-1882")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "no_token_valid")
        assert ready.json()["tokens"]["code"] == "LEX-DATA-1881"
        assert str(file) not in ready.text
        with refuses("LEX-DATA-1881", "may not read"):
            Tokens(file)
    # The file is the same, and can be read again.
    assert client.get("/readyz").json()["tokens"] is None
    assert client.get("/v1/models", headers=headers).status_code == 401


def test_a_file_that_stays_damaged_holds_no_valid_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens.json"
    token = new_token(file, "ward", ("predict",))
    tokens, whole = Tokens(file), file.read_text()
    now = time.monotonic()
    monkeypatch.setattr("lexiseg.serving.tokens.time.monotonic", lambda: now)
    file.write_text("{half")
    assert tokens.holder(token) is not None
    now += 11
    with refuses("LEX-REQ-1882", "accepts no token"):
        tokens.holder(token)
    file.write_text(whole)
    assert tokens.holder(token) is not None


def test_two_processes_do_not_change_a_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    new_token(file, "ward", ("predict",))
    lock = FolderLock.beside(file)
    assert lock.take() is None
    for change in (lambda: new_token(file, "other", ("jobs",)), lambda: revoke_token(file, "ward")):
        with refuses("LEX-USE-1129", "process"):
            change()
    lock.release()
    assert [token.name for token in read_token_file(file).tokens] == ["ward"]
    revoke_token(file, "ward")
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json"]


def test_refused_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    new_token(file, "ward", ("predict",))
    with refuses("LEX-USE-1103", "ward"):
        new_token(file, "ward", ("predict",))
    with refuses("LEX-USE-1105", "letters"):
        new_token(file, "a b", ("predict",))
    with refuses("LEX-USE-1104", "above 0"):
        new_token(file, "other", ("predict",), days=0)
    with refuses("LEX-USE-1106", "ward"):
        revoke_token(file, "other")
    with refuses("LEX-USE-1107", "token new"):
        Tokens(tmp_path / "missing.json")
    file.write_text('{"tokens": [{}]}')
    with refuses("LEX-DATA-1106", "tokens.0"):
        Tokens(file)


def test_the_commands_make_list_and_revoke(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["token", *words, "--file", str(tmp_path / "t.json")])
        assert done.exit_code == 0, done.output
        return done.output

    token = run("new", "ward", "--scope", "predict", "--scope", "jobs", "--days", "30").strip()
    assert token.startswith("lxs_")
    assert "ward: predict, jobs; ends 20" in run("list")
    run("revoke", "ward")
    assert "holds no tokens" in run("list")


def test_a_new_token_is_printed_exactly_once(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[str, str]:
        done = CliRunner().invoke(app, ["token", "new", *words, "--file", str(tmp_path / "t.json")])
        assert done.exit_code == 0, done.output
        return done.stdout, done.stderr

    printed, said = run("quiet", "--quiet")
    assert printed.startswith("lxs_")
    assert said == ""
    printed, said = run("json", "--json")
    assert json.loads(printed)["token"].startswith("lxs_")
    assert "lxs_" not in said


@pytest.mark.parametrize("words", [["list"], ["revoke", "ward"]])
def test_a_token_file_that_does_not_exist_is_named(tmp_path: Path, words: list[str]) -> None:
    done = CliRunner().invoke(app, ["token", *words, "--file", str(tmp_path / "none.json")])
    assert isinstance(done.exception, UsageError)
    assert done.exception.code == "LEX-USE-1107"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def test_routes_ask_for_scopes(file: Path, serving: Callable[..., TestClient], picture: bytes) -> None:
    watcher = new_token(file, "watcher", ("metrics",))
    reader = new_token(file, "reader", ("predict",))
    client = serving(token_file=file)

    def answers(token: str | None) -> list[tuple[int, str]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        found = [
            client.get("/v1/models", headers=headers),
            client.get("/metrics", headers=headers),
            client.post("/v1/predict", headers=headers, files={"image": ("a.png", picture)}),
        ]
        return [
            (answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"])
            for answer in found
        ]

    assert answers(None) == [(401, "LEX-REQ-1122")] * 3
    assert answers("lxs_wrong") == [(401, "LEX-REQ-1123")] * 3
    assert answers(watcher) == [(200, ""), (200, ""), (403, "LEX-REQ-1124")]
    assert answers(reader) == [(200, ""), (403, "LEX-REQ-1124"), (200, "")]
    assert client.get("/healthz").status_code == 200
    assert client.get("/v1/models").headers["www-authenticate"] == "Bearer"
    # With tokens, the server has any name.
    named = {"Host": "images.example.org", "Authorization": f"Bearer {reader}"}
    assert client.get("/v1/models", headers=named).status_code == 200


def test_a_new_version_of_a_secret_of_kubernetes_is_followed(tmp_path: Path) -> None:
    # A pod sees links; a new version is a new folder, and one link is replaced.
    mounted = tmp_path / "mounted"
    old, new = mounted / "..1", mounted / "..2"
    first = new_token(old / "tokens.json", "first", ("predict",))
    (mounted / "..data").symlink_to("..1")
    (mounted / "tokens.json").symlink_to("..data/tokens.json")
    tokens = Tokens(mounted / "tokens.json")
    assert tokens.holder(first) is not None
    second = new_token(new / "tokens.json", "second", ("predict",))
    (mounted / "..next").symlink_to("..2")
    (mounted / "..next").replace(mounted / "..data")
    shutil.rmtree(old)
    assert tokens.holder(first) is None
    found = tokens.holder(second)
    assert found is not None
    assert found.name == "second"
