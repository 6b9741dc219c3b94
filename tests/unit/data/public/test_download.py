"""Downloads from a server that cuts connections, ignores ranges, changes files and lies."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import urllib.request
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexiseg.data.public import download as module
from lexiseg.data.public.download import TRIES, download
from lexiseg.errors import DataError
from range_server import Served, serving
from refusals import refuses

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def no_pause(seconds: float) -> None:
    assert 0 <= seconds <= module.MAX_PAUSE_S


def test_whole_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with serving(Served(CONTENT)) as served:
        found = download(
            served.url,
            tmp_path / "a.zip",
            size=len(CONTENT),
            sha256=SHA256,
            progress=lambda *s: seen.append(s),
        )
    assert found.path.read_bytes() == CONTENT
    assert (found.size, found.sha256) == (300_000, SHA256)
    assert seen[-1] == (300_000, 300_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert served.requests[0]["accept-encoding"] == "identity"


def test_cut_connections_are_taken_up_where_they_ended(tmp_path: Path) -> None:
    pauses: list[float] = []
    with serving(Served(CONTENT, cuts=[100_000, 50_000, 0])) as served:
        found = download(served.url, tmp_path / "a.zip", sha256=SHA256, pause=pauses.append)
    assert found.path.read_bytes() == CONTENT
    assert [request.get("range") for request in served.requests] == [
        None, "bytes=100000-", "bytes=150000-", "bytes=150000-",
    ]  # fmt: skip
    assert {request.get("if-range") for request in served.requests[1:]} == {'"one"'}
    assert pauses == [1, 1, 2]  # the third connection brought nothing


def test_a_later_run_goes_on(tmp_path: Path) -> None:
    with serving(Served(CONTENT, cuts=[100_000] + [0] * 20)) as served:
        with pytest.raises(
            DataError, match=rf"{TRIES} times in a row\. 100,000 bytes are in .*run the command"
        ):
            download(served.url, tmp_path / "a.zip", pause=no_pause)
        served.cuts.clear()
        served.requests.clear()
        download(served.url, tmp_path / "a.zip", sha256=SHA256, pause=no_pause)
    assert [request.get("range") for request in served.requests] == ["bytes=100000-"]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(tmp_path: Path) -> None:
    with serving(Served(CONTENT, cuts=[100_000], ranges=False)) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert served.requests[1]["range"] == "bytes=100000-"


def test_a_server_that_always_cuts_is_given_up(tmp_path: Path) -> None:
    # Without ranges each connection starts anew, so the same bytes are no progress.
    with (
        serving(Served(CONTENT, cuts=[500, 400] * 20, ranges=False)) as served,
        pytest.raises(DataError, match=r"the connection ended after [\d,]+ of 300,000 bytes"),
    ):
        download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert len(served.requests) == TRIES


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_nothing_to_know_the_file_by_means_a_fresh_start(tmp_path: Path, etag: str | None) -> None:
    with serving(Served(CONTENT, cuts=[100_000], etag=etag)) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert "range" not in served.requests[1]


def test_the_date_serves_where_there_is_no_strong_etag(tmp_path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    with serving(Served(CONTENT, cuts=[100_000], etag=None, modified=date)) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert (served.requests[1]["range"], served.requests[1]["if-range"]) == ("bytes=100000-", date)


def test_the_date_need_not_be_repeated(tmp_path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    with serving(
        Served(CONTENT, cuts=[100_000, 50_000], etag=None, modified=date, modified_in_parts=False)
    ) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert [request.get("range") for request in served.requests] == [None, "bytes=100000-", "bytes=150000-"]


@pytest.mark.parametrize(("length", "etag"), [(300_000, '"two"'), (290_000, None)])
def test_a_server_that_goes_on_with_another_file(tmp_path: Path, length: int, etag: str | None) -> None:
    other = np.random.default_rng(1).bytes(length)
    with serving(Served(CONTENT, cuts=[100_000], conditional=False)) as served:

        def change(seconds: float) -> None:
            served.content, served.etag = other, etag

        found = download(served.url, tmp_path / "a.zip", pause=change)
    assert found.path.read_bytes() == other


def test_bytes_of_an_older_file_never_pass_for_the_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = np.random.default_rng(1).bytes(300_000)
    usage = namedtuple("usage", "total used free")
    with serving(Served(CONTENT, cuts=[100_000])) as served:

        def change(seconds: float) -> None:
            served.content, served.etag = other, '"two"'
            monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1000, 900, 100))

        with refuses("LEX-DISK-005", "needs 300,000 more bytes"):
            download(served.url, tmp_path / "a.zip", pause=change)
        monkeypatch.undo()
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == other


@pytest.mark.parametrize("length", [300_000, 80_000])
def test_a_file_that_changed_between_is_fetched_anew(tmp_path: Path, length: int) -> None:
    other = np.random.default_rng(1).bytes(length)
    with serving(Served(CONTENT, cuts=[100_000])) as served:

        def change(seconds: float) -> None:
            served.content, served.etag = other, '"two"'

        found = download(served.url, tmp_path / "a.zip", pause=change)
    assert found.path.read_bytes() == other


def test_a_range_that_is_not_there_any_more(tmp_path: Path) -> None:
    with serving(Served(CONTENT, cuts=[100_000])) as served:

        def shrink(seconds: float) -> None:
            served.content = CONTENT[:50_000]

        found = download(served.url, tmp_path / "a.zip", pause=shrink)
    assert found.path.read_bytes() == CONTENT[:50_000]


def test_a_range_that_nobody_asked_for_is_not_joined(tmp_path: Path) -> None:
    with serving(Served(CONTENT, cuts=[100_000], wrong_range=True)) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert [request.get("range") for request in served.requests] == [None, "bytes=100000-", None]


def test_bytes_of_another_address_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    state = {"url": "http://127.0.0.1:1/other", "validator": '"one"', "total": 300_000}
    (tmp_path / "a.zip.part.json").write_text(json.dumps(state))
    with serving(Served(CONTENT)) as served:
        found = download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert found.path.read_bytes() == CONTENT
    assert "range" not in served.requests[0]


def test_a_stated_size_that_differs_is_seen_before_a_byte_is_kept(tmp_path: Path) -> None:
    with (
        serving(Served(CONTENT)) as served,
        refuses("LEX-DATA-066", "expected 299,999 bytes,"),
    ):
        download(served.url, tmp_path / "a.zip", size=299_999, pause=no_pause)
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_nobody_stated_is_checked_at_the_end(tmp_path: Path) -> None:
    with (
        serving(Served(CONTENT, stated_length=False)) as served,
        refuses("LEX-DATA-063", "expected 300,001 bytes, got 300,000"),
    ):
        download(served.url, tmp_path / "a.zip", size=300_001, pause=no_pause)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_removes_the_file(tmp_path: Path) -> None:
    with (
        serving(Served(CONTENT)) as served,
        pytest.raises(DataError, match=f"SHA-256 {'0' * 64}, got {SHA256}"),
    ):
        download(served.url, tmp_path / "a.zip", sha256="0" * 64, pause=no_pause)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_file_is_checked_and_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    found = download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip", sha256=SHA256)
    assert found.size == 300_000
    with refuses("LEX-DATA-063", "expected the SHA-256"):
        download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip", sha256="0" * 64)
    assert not (tmp_path / "a.zip").exists()


def test_busy_servers_are_asked_again_when_they_say(tmp_path: Path) -> None:
    pauses: list[float] = []
    with serving(Served(CONTENT, failures=[503, 429], retry_after="7")) as served:
        found = download(served.url, tmp_path / "a.zip", pause=pauses.append)
    assert found.path.read_bytes() == CONTENT
    assert pauses == [7, 7]


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_is_final(tmp_path: Path, code: int) -> None:
    with (
        serving(Served(CONTENT, failures=[code])) as served,
        pytest.raises(DataError, match=f"cannot be downloaded: HTTP {code}"),
    ):
        download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert len(served.requests) == 1


def test_no_server_at_all(tmp_path: Path) -> None:
    pauses: list[float] = []
    with pytest.raises(DataError, match=rf"cannot be downloaded: .*refused, {TRIES} times in a row\."):
        download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip", pause=pauses.append)
    assert pauses == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a.zip", "/etc/passwd", "data:,x"])
def test_only_the_web_is_fetched(tmp_path: Path, url: str) -> None:
    with refuses("LEX-DATA-062", "only http and https"):
        download(url, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.zip"])
def test_redirects_to_elsewhere_are_not_followed(tmp_path: Path, target: str) -> None:
    with (
        serving(Served(CONTENT, redirect=target)) as served,
        pytest.raises(DataError, match=r"is not (followed|allowed)"),
    ):
        download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert list(tmp_path.iterdir()) == []


def test_redirects_never_drop_encryption() -> None:
    request = urllib.request.Request("https://example.org/a.zip")
    answer: list[Any] = [request, io.BytesIO(), 302, "Found", http.client.HTTPMessage()]
    with refuses("LEX-DATA-061", "to http://example.org/a.zip,"):
        module._SafeRedirects().redirect_request(*answer, "http://example.org/a.zip")
    assert module._SafeRedirects().redirect_request(*answer, "https://example.org/b.zip") is not None


def test_redirects_on_the_web_are_followed(tmp_path: Path) -> None:
    with serving(Served(CONTENT)) as served, serving(Served(b"", redirect=served.url)) as first:
        assert download(first.url, tmp_path / "a.zip", pause=no_pause).sha256 == SHA256


def test_a_full_disk_is_seen_before_it_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1000, 900, 100))
    with serving(Served(CONTENT)) as served, refuses("LEX-DISK-005", "needs 300,000 more bytes"):
        download(served.url, tmp_path / "a.zip", pause=no_pause)


def test_a_server_that_never_ends_is_stopped_at_the_expected_size(tmp_path: Path) -> None:
    with (
        serving(Served(CONTENT, stated_length=False)) as served,
        refuses("LEX-DATA-777", "expected 1,000 bytes", "sends more"),
    ):
        download(served.url, tmp_path / "a.zip", size=1000, pause=no_pause)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", ["9" * 5000, "-1", "nan", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "\u0661"])
def test_pauses_that_are_none(tmp_path: Path, said: str) -> None:
    said = said if said.isascii() else "x"
    with serving(Served(CONTENT, failures=[503], retry_after=said)) as served:
        download(served.url, tmp_path / "a.zip", pause=no_pause)
    assert len(served.requests) == 2


@pytest.mark.parametrize("total", ['"x"', "-1", "[" * 1000, "NaN"])
def test_a_damaged_state_starts_again(tmp_path: Path, total: str) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    with serving(Served(CONTENT)) as served:
        state = f'{{"url": "{served.url}", "validator": "\\"one\\"", "total": {total}}}'
        (tmp_path / "a.zip.part.json").write_text(state)
        assert download(served.url, tmp_path / "a.zip", sha256=SHA256).size == len(CONTENT)
    assert "range" not in served.requests[0]
