"""A server that misbehaves on purpose, asked through the whole of `lexiseg.describe`."""

from __future__ import annotations

import io
import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from lexiseg.data import open_dataset
from lexiseg.describing.describe import DescriptionResult, describe
from lexiseg.describing.multimodal import description as lmm_describe
from lexiseg.describing.multimodal import journal as journal_module
from lexiseg.describing.multimodal import server_model as server_module
from lexiseg.describing.multimodal.journal import Journal
from lexiseg.describing.multimodal.model import LmmOptions
from lexiseg.describing.multimodal.server_model import KEY_VARIABLE, ServerModel, _retry_after
from lexiseg.errors import PartialFailureError, UsageError
from lexiseg.extras import install_hint
from lmm_answers import answer
from refusals import refuses
from vision_server import Asked, Reply, VisionServer, fails, says, serving

Behaviour = Callable[[Asked], Reply]


@pytest.fixture
def ask(discs: Callable[[int], Path], tmp_path: Path) -> Callable[..., DescriptionResult]:
    """Describe `images` discs with a server's help."""

    def run(url: str, *, images: int = 3, **options: Any) -> DescriptionResult:
        options = {"timeout_s": 20.0, **options}
        lmm = LmmOptions(model="m", base_url=url, **options)
        return describe(discs(images), tmp_path / "d.jsonl", source="lmm", vocabulary="polyp", lmm=lmm)

    return run


def once(first: Reply | str) -> Behaviour:
    """Misbehave at the first question about each picture, and answer well after that."""
    bad = says(first) if isinstance(first, str) else first
    return lambda asked: bad if asked.number == 0 else says(answer())


GOOD = {"number": "one", "location": "center", "shape": "round", "size": "small", "color": "red"}


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("no idea", "no valid JSON object"),
        (answer()[:-3], "no valid JSON object"),
        (answer(mood="good"), "the key 'mood' is not asked for"),
        (answer(number="one"), "'number' must be a whole number from 1, not \"one\""),
        (answer(color="beige"), "'color' must be one of"),
        (answer() * 2, "2 JSON objects"),
    ],
    ids=["prose", "invalid JSON", "extra key", "wrong type", "no phrase", "twice"],
)
def test_the_reason_is_fed_back(ask: Callable[..., DescriptionResult], first: str, told: str) -> None:
    with serving(once(first)) as server:
        described = ask(server.url, images=3)
    assert [line.factors for line in described.lines] == [GOOD] * 3
    assert {line.provenance.replies for line in described.lines} == {2}  # type: ignore[union-attr]
    assert len(server.asked) == 6
    for asked in server.asked:
        if asked.number == 1:
            assert told in asked.complaint
            assert [message["role"] for message in asked.body["messages"]] == ["user", "assistant", "user"]
            assert asked.body["messages"][1]["content"] == first
    assert described.tally is not None
    assert (described.tally.tokens_in, described.tally.tokens_out) == (600, 120)


@pytest.mark.parametrize(
    "first",
    [
        fails(500),
        fails(503),
        fails(429),
        fails(429, Retry_After="0"),
        Reply(content=b"<html>login</html>", headers={"Content-Type": "text/html"}),
        Reply(content=b'{"choices": []}', headers={"Content-Type": "application/json"}),
        Reply(content=b'{"choices": [{"message"', headers={"Content-Type": "application/json"}),
        Reply(content=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        says(None),
        Reply(content=says(answer()).content, cut=True),
    ],
    ids=["500", "503", "429", "429 now", "HTML", "no choice", "half JSON", "deep", "null", "cut"],
)
def test_what_is_no_answer_is_asked_for_again(ask: Callable[..., DescriptionResult], first: Reply) -> None:
    with serving(once(first)) as server:
        described = ask(server.url)
    assert [line.factors for line in described.lines] == [GOOD] * 3
    assert {line.provenance.replies for line in described.lines} == {1}  # type: ignore[union-attr]
    assert len(server.asked) == 6
    assert not described.fell_back


@pytest.mark.parametrize(
    "first", [says(answer()), Reply(content=says(answer()).content, drip_s=0.2)], ids=["silent", "dripping"]
)
def test_a_stall_is_given_up(ask: Callable[..., DescriptionResult], first: Reply) -> None:
    stalled = Reply(
        content=first.content, headers=first.headers, drip_s=first.drip_s, stall_s=60 * (not first.drip_s)
    )
    with serving(once(stalled)) as server:
        start = time.monotonic()
        described = ask(server.url, timeout_s=3)
    assert time.monotonic() - start < 50
    assert [line.factors for line in described.lines] == [GOOD] * 3
    assert len(server.asked) == 6


def test_a_server_that_wants_rest_gets_it(ask: Callable[..., DescriptionResult]) -> None:
    times: list[float] = []

    def behave(asked: Asked) -> Reply:
        times.append(time.monotonic())
        return fails(429, Retry_After="1") if asked.total == 0 else says(answer())

    with serving(behave) as server:
        ask(server.url, concurrency=1)
    assert times[1] - times[0] >= 1


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < _retry_after(later) <= 90
    assert _retry_after("7.5") == 7.5
    assert _retry_after("-3") == _retry_after("soon") == _retry_after(None) == 0
    assert _retry_after(f"Fri, 01 Jan {'9' * 20} 00:00:00 GMT") == 0


def test_hours_of_rest_end_the_run_and_keep_what_was_answered(
    ask: Callable[..., DescriptionResult], tmp_path: Path
) -> None:
    with serving(
        lambda asked: says(answer()) if asked.total == 0 else fails(429, "quota", Retry_After="7200")
    ) as server:
        with pytest.raises(
            PartialFailureError, match=r"quota.*a pause of 7200 s.*run the same command again"
        ):
            ask(server.url, concurrency=1)
        assert not (tmp_path / "d.jsonl").exists()
        server.behave = lambda asked: says(answer())
        before = len(server.asked)
        ask(server.url)
    assert len(server.asked) == before + 2


def test_who_never_answers_properly_is_measured_and_marked(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: says("A polyp." if b"" in asked.picture else "")) as server:
        described = ask(server.url, tries=2)
    assert len(server.asked) == 6
    assert [line.factors for line in described.lines] == [GOOD] * 3
    assert len(described.fell_back) == 3
    line = described.lines[0]
    assert line.provenance.fell_back is not None  # type: ignore[union-attr]
    assert line.provenance.fell_back.startswith("no valid reply in 2: ")  # type: ignore[union-attr]
    assert line.check is not None
    assert line.check.how == "measured"
    with pytest.raises(PartialFailureError, match=r"Measured instead: 3 of 3 descriptions.*d\.jsonl"):
        described.raise_for_failures()


def test_a_server_that_is_gone_ends_the_run(ask: Callable[..., DescriptionResult], tmp_path: Path) -> None:
    with serving(lambda asked: says(answer()) if asked.total < 2 else fails(500, "boom")) as server:
        with pytest.raises(PartialFailureError, match=r"5 questions in a row had no answer: .*boom"):
            ask(server.url, images=9, concurrency=1)
        assert len(server.asked) == 2 + 5 * server_module.ATTEMPTS
        server.behave = lambda asked: says(answer())
        before = len(server.asked)
        described = ask(server.url, images=9)
    assert len(server.asked) == before + 7
    assert not described.fell_back
    assert not (tmp_path / "d.jsonl.journal").exists()


def test_nobody_listens(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: says("")) as server:
        url = server.url
    with pytest.raises(PartialFailureError, match=f"the connection to {url} failed"):
        ask(url, images=6)


def test_a_server_that_does_not_encrypt_ends_the_run_at_once(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: says(answer())) as server:
        url = server.url.replace("http://", "https://")
        tries = counted(server)
        with pytest.raises(UsageError, match=rf"no secure connection with {url} \(.*begins with http://"):
            ask(url, concurrency=1)
    assert len(tries) == 1
    assert server.asked == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
def test_a_certificate_nobody_signed_ends_the_run_at_once(
    ask: Callable[..., DescriptionResult], tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    subprocess.run(
        ["openssl", *made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(lambda asked: says(answer())) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        tries = counted(server)
        url = server.url.replace("http://", "https://")
        with pytest.raises(UsageError, match=rf"certificate of {url} is not accepted \(.*nothing was sent"):
            ask(url, concurrency=1)
    assert len(tries) == 1
    assert server.asked == []


def counted(server: VisionServer) -> list[object]:
    """Return a list that grows with every connection to the server."""
    connections: list[object] = []
    accept = server.get_request

    def counting() -> Any:
        connections.append(None)
        return accept()

    server.get_request = counting  # type: ignore[method-assign]
    return connections


@pytest.mark.parametrize("cut", [ssl.SSLEOFError, ssl.SSLZeroReturnError])
def test_a_secure_connection_that_is_cut_is_tried_again(cut: type[ssl.SSLError]) -> None:
    model = ServerModel(LmmOptions(model="m", base_url="https://127.0.0.1:9/v1"))
    error = ConnectionError("gone")
    error.__context__ = cut(1, "EOF occurred in violation of protocol")
    model._refuse_insecure(error)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (fails(401, "bad key"), f"refuses the key .*bad key.*{KEY_VARIABLE}"),
        (fails(404, "no such model"), "does not know this address, or the model 'm' .*no such model.*/v1"),
        (
            fails(307, Location="http://127.0.0.1:9/v1"),
            "redirects to http://127.0.0.1:9/v1, which is not followed",
        ),
    ],
)
def test_what_no_question_gets_past_ends_the_run(
    ask: Callable[..., DescriptionResult], reply: Reply, message: str
) -> None:
    with serving(lambda asked: reply) as server, pytest.raises(UsageError, match=message):
        ask(server.url, concurrency=1)
    assert len(server.asked) == 1


def test_redirects_are_not_followed(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: says(answer())) as other:
        moved = fails(308, Location=f"{other.url}/chat/completions")
        with serving(lambda asked: moved) as server, pytest.raises(UsageError, match="not followed"):
            ask(server.url)
    assert other.asked == []


def test_a_refused_question_is_measured(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: fails(413, "too large") if asked.total == 0 else says(answer())) as server:
        described = ask(server.url, concurrency=1)
    assert len(server.asked) == 3
    assert len(described.fell_back) == 1
    assert "too large" in str(described.fell_back[0].provenance)


@pytest.mark.parametrize("status", [400, 422, 501])
@pytest.mark.parametrize("known", ["json_object", None])
def test_what_a_server_does_not_know_is_left_away(
    ask: Callable[..., DescriptionResult], status: int, known: str | None
) -> None:
    def behave(asked: Asked) -> Reply:
        wanted = asked.body.get("response_format", {}).get("type")
        return says(answer()) if wanted in (known, None) else fails(status, "unknown field")

    with serving(behave) as server:
        described = ask(server.url, concurrency=1)
    assert not described.fell_back
    formats = [asked.body.get("response_format", {}).get("type") for asked in server.asked]
    tried = ["json_schema", "json_object"] if known else ["json_schema", "json_object", None]
    assert formats == [*tried, known, known]


def test_parameters_a_server_names_are_left_away(ask: Callable[..., DescriptionResult]) -> None:
    def behave(asked: Asked) -> Reply:
        for name in ("max_tokens", "temperature"):
            if name in asked.body:
                return fails(400, f"Unsupported parameter: '{name}'")
        return says(answer())

    with serving(behave) as server:
        described = ask(server.url, concurrency=4, images=6)
    assert not described.fell_back
    last = server.asked[-1].body
    assert last["max_completion_tokens"] == 512
    assert last["response_format"]["type"] == "json_schema"


def test_the_schema_is_sent(ask: Callable[..., DescriptionResult]) -> None:
    with serving(lambda asked: says(answer())) as server:
        ask(server.url)
    asked = server.asked[0]
    assert (asked.path, asked.body["model"], asked.body["temperature"]) == ("/v1/chat/completions", "m", 0)
    sent = asked.body["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == list(GOOD)


def test_concurrency_is_bounded(ask: Callable[..., DescriptionResult]) -> None:
    slow = Reply(content=says(answer()).content, headers={"Content-Type": "application/json"}, stall_s=0.2)
    with serving(lambda asked: slow) as server:
        ask(server.url, images=9, concurrency=3)
    assert 2 <= server.most_at_once <= 3


class TestPrivacy:
    def test_only_the_region_is_sent_to_the_address_alone(
        self, ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: using it would fail
        for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
            monkeypatch.setenv(name, "private")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: private")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        with serving(lambda asked: says(answer())) as server:
            ask(server.url)
        assert len(server.asked) == 3
        samples = open_dataset(tmp_path / "discs").samples
        rois = []
        for sample in samples:
            image = np.array(Image.open(sample.image))
            image[np.array(Image.open(sample.mask)) == 0] = 0  # type: ignore[arg-type]
            rois.append(image.tobytes())
        sent = [np.array(Image.open(io.BytesIO(asked.picture))).tobytes() for asked in server.asked]
        assert sorted(sent) == sorted(rois)
        for asked in server.asked:
            told = json.dumps([asked.headers, asked.body]) + str(Image.open(io.BytesIO(asked.picture)).info)
            assert "private" not in told
            assert "disc0" not in told
            assert {name.lower() for name in asked.headers} <= {
                "host", "content-type", "content-length", "accept", "accept-encoding", "connection",
                "user-agent", "x-stainless-raw-response",
            }  # fmt: skip

    def test_the_key_comes_from_its_own_variable(
        self, ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(KEY_VARIABLE, "sesame")
        with serving(lambda asked: says(answer())) as server:
            ask(server.url)
        headers = {name.lower(): value for name, value in server.asked[0].headers.items()}
        assert headers["authorization"] == "Bearer sesame"
        assert "sesame" not in (tmp_path / "d.jsonl").read_text()

    @pytest.mark.parametrize("key", ["sesame\r", "ses ame", "s\u00e9same"])
    def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(
        self, ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch, key: str
    ) -> None:
        monkeypatch.setenv(KEY_VARIABLE, key)
        with pytest.raises(UsageError, match=rf"{KEY_VARIABLE} holds a space, a line break") as refusal:
            ask("http://127.0.0.1:9/v1")
        assert key.strip() not in str(refusal.value)

    @pytest.mark.parametrize("url", ["http://models.example/v1", "http://192.0.2.7:8000/v1"])
    def test_a_key_is_not_sent_where_others_can_read_it(
        self, ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        monkeypatch.setenv(KEY_VARIABLE, "sesame")
        with refuses("LEX-USE-1800", "not encrypted", KEY_VARIABLE) as refusal:
            ask(url)
        assert "sesame" not in str(refusal.value)
        # With this option only the connection is missing here.
        assert ServerModel(LmmOptions(model="m", base_url=url, unencrypted=True))

    def test_a_key_that_the_server_repeats_is_not_written_down(
        self, ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(KEY_VARIABLE, "sesame")
        with serving(lambda asked: fails(413, "sesame may not send as much")) as server:
            assert len(ask(server.url).fell_back) == 3
        written = (tmp_path / "d.jsonl").read_text()
        assert "(the key) may not send as much" in written
        assert "sesame" not in written


class TestOneProcess:
    def again(self, url: str, tmp_path: Path, console: Console | None = None) -> DescriptionResult:
        lmm = LmmOptions(model="m", base_url=url)
        out = tmp_path / "d.jsonl"
        return describe(tmp_path / "discs", out, source="lmm", vocabulary="polyp", lmm=lmm, console=console)

    @pytest.mark.skipif(journal_module.fcntl is None, reason="needs a system with fcntl, which locks files")
    def test_a_second_one_to_the_same_file_is_refused(
        self, ask: Callable[..., DescriptionResult], tmp_path: Path
    ) -> None:
        refused: list[str] = []

        def behave(asked: Asked) -> Reply:
            if asked.total == 0:
                with pytest.raises(UsageError) as refusal:
                    self.again(server.url, tmp_path)
                refused.append(str(refusal.value))
            return says(answer())

        with serving(behave) as server:
            described = ask(server.url)
        (message,) = refused
        assert message.startswith("Another process is writing the same description file")
        assert len(server.asked) == 3
        assert not described.fell_back

    def test_what_another_finished_in_the_meantime_is_not_made_again(
        self, discs: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        discs(3)

        class Late(Journal):
            def __init__(self, *arguments: Any) -> None:
                (tmp_path / "d.jsonl").write_text("the other's")
                super().__init__(*arguments)

        monkeypatch.setattr(lmm_describe, "Journal", Late)
        with (
            serving(lambda asked: says(answer())) as server,
            pytest.raises(UsageError, match="already exists"),
        ):
            self.again(server.url, tmp_path)
        assert server.asked == []
        assert (tmp_path / "d.jsonl").read_text() == "the other's"
        assert not (tmp_path / "d.jsonl.journal").exists()

    def test_without_locks_it_is_said(
        self, discs: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        discs(3)
        said = io.StringIO()
        with serving(lambda asked: says(answer())) as server:
            self.again(server.url, tmp_path, Console(file=said, width=999))
            assert "locked" not in said.getvalue()
            (tmp_path / "d.jsonl").unlink()
            monkeypatch.setattr(journal_module, "fcntl", None)
            self.again(server.url, tmp_path, Console(file=said, width=999))
        assert "d.jsonl.journal cannot be locked on this system" in said.getvalue()


def test_a_missing_client_names_the_extra(
    ask: Callable[..., DescriptionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with refuses("LEX-USE-064", install_hint("lmm")):
        ask("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://a/v1",
        "http://",
        "http://key:x@a/v1",
        "http://a/v1?k=1",
        "http://a:x",
        "http://key:x/y@a/v1",
    ],
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url must be the plain address") as caught:
        LmmOptions(model="m", base_url=url)
    assert "key:x" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"tries": 0}, {"concurrency": 0}, {"timeout_s": 0.0}, {"price": (-1.0, 0.0)}]
)
def test_impossible_options_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"at least 1 try|prices"):
        LmmOptions(model="m", **bad)


def test_where_regions_go_is_said() -> None:
    far = LmmOptions(model="m", base_url="http://far.example/v1").destination
    assert "Sent to http://far.example/v1, and nowhere else" in far
    assert "NOT encrypted" in far
    assert "NOT" not in LmmOptions(model="m", base_url="http://localhost:1/v1").destination
    assert "none leaves it" in LmmOptions(model="m").destination
