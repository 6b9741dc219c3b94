"""A model's server that wants to fill the memory, never ends, drives the console, or repeats the key."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lexiseg.console import PrintableConsole
from lexiseg.describing.describe import DescriptionResult, describe
from lexiseg.describing.multimodal import server_model as server_module
from lexiseg.describing.multimodal.key_redaction import REDACTED, KeyRedaction
from lexiseg.describing.multimodal.model import MAX_ANSWER_BYTES, LmmOptions
from lexiseg.describing.multimodal.server_model import KEY_VARIABLE, _retry_after
from lexiseg.errors import LexisegError, PartialFailureError, UsageError
from lmm_answers import answer
from vision_server import Asked, Reply, fails, says, serving

KEY = "sk-Abc+123/xyz==Quite&Long"
MEBIBYTE = 1 << 20

Ask = Callable[..., DescriptionResult]


@pytest.fixture
def ask(discs: Callable[[int], Path], tmp_path: Path) -> Callable[..., DescriptionResult]:
    """Describe one disc with a server's help."""

    def run(url: str, *, timeout_s: float = 2.0, **options: Any) -> DescriptionResult:
        lmm = LmmOptions(model="m", base_url=url, timeout_s=timeout_s, **options)
        root = tmp_path / "discs"
        return describe(
            root if root.is_dir() else discs(1), tmp_path / "d.jsonl", source="lmm", vocabulary="polyp",
            lmm=lmm, console=PrintableConsole(file=io.StringIO()),
        )  # fmt: skip

    return run


def first_then_good(bad: Reply) -> Callable[[Asked], Reply]:
    return lambda asked: bad if asked.total == 0 else says(answer())


def headers(**named: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items()]
    return ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + "".join(lines) + "\r\n").encode()


def endless(piece: bytes, before: bytes = b"") -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain([before], itertools.repeat(piece))


def bomb() -> Iterator[bytes]:
    """A gigabyte of blanks in a megabyte of gzip."""
    packed = gzip.compress(b" " * (64 * MEBIBYTE), 9)
    yield headers(Content_Encoding="gzip")
    yield from itertools.repeat(packed, 16)


HOSTILE = {
    "gzip bomb": Reply(raw=bomb),
    "gzip that is small": Reply(
        content=gzip.compress(says(answer()).content), headers={"Content-Encoding": "gzip"}
    ),
    "two gigabytes": Reply(raw=endless(b" " * 65536, headers(Content_Length=str(2 << 30)))),
    "endless body": Reply(raw=endless(b" " * 65536, headers())),
    "endless chunks": Reply(
        raw=endless(b"10000\r\n" + b" " * 65536 + b"\r\n", headers(Transfer_Encoding="chunked"))
    ),
    "endless headers": Reply(raw=endless(b"X-A: " + b"a" * 1000 + b"\r\n", b"HTTP/1.1 200 OK\r\n")),
    "dripping headers": Reply(raw=endless(b"X-A: a\r\n", b"HTTP/1.1 200 OK\r\n"), drip_s=0.1),
    "dripping body": Reply(raw=endless(b" ", headers()), drip_s=0.1),
    "flood of 100-continue": Reply(raw=endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    "endless status": Reply(raw=endless(b"a" * 65536, b"HTTP/1.1 200 ")),
}


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_is_too_much_is_given_up(ask: Ask, bad: Reply) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with serving(first_then_good(bad)) as server:
        described = ask(server.url)
    assert not described.fell_back
    assert len(server.asked) == 2
    assert time.monotonic() - begun < 30
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 200 * MEBIBYTE


def test_a_question_has_one_limit(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LONGEST_WAIT_S", 1.0)
    monkeypatch.setattr(server_module, "ATTEMPTS", 3)

    def behave(asked: Asked) -> Reply:  # each attempt resets its own limit, or none is counted
        return Reply(raw=endless(b" ", headers()), drip_s=0.05)

    begun = time.monotonic()
    with serving(behave) as server:
        described = ask(server.url, timeout_s=0.5)
    assert time.monotonic() - begun < 20
    assert len(described.fell_back) == 1


@pytest.mark.parametrize(
    "said",
    ["nan", "NaN", "-1", "inf", "-inf", "1e400", "Fri, 99 Foo 2026", "Mon, 01 Jan 0001 00:00:00 +2359", "",
     "Fri, 01 Jan 2027 00:00:00 -9999", "\u0661"],
)  # fmt: skip
def test_a_pause_that_is_none(said: str) -> None:
    assert 0 <= _retry_after(said) < 10


def test_the_year_9999_ends_the_run(ask: Ask) -> None:
    late = fails(429, "later", Retry_After="Fri, 31 Dec 9999 23:59:59 GMT")
    begun = time.monotonic()
    with serving(lambda asked: late) as server, pytest.raises(PartialFailureError, match="a pause of"):
        ask(server.url)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": "many"},
        [1],
        None,
    ],
)
def test_impossible_numbers_of_tokens_are_not_known(ask: Ask, usage: object) -> None:
    value = json.loads(says(answer()).content)
    value["usage"] = usage
    reply = Reply(content=json.dumps(value).encode(), headers={"Content-Type": "application/json"})
    with serving(first_then_good(reply)) as server:
        described = ask(server.url, price=(1.0, 1.0))
    assert described.tally is not None
    if usage is None or isinstance(usage, list) or 10**30 not in usage.values():
        assert (described.tally.tokens_in, described.tally.tokens_out, described.tally.cost) == (0, 0, 0)
    else:  # a number that no file of Lexiseg holds: the answer is asked for again
        assert (described.tally.tokens_in, described.tally.tokens_out) == (100, 20)


def test_4000_digits_are_asked_for_again(ask: Ask) -> None:
    content = says(answer()).content.replace(b'"prompt_tokens": 100', b'"prompt_tokens": ' + b"9" * 4000)
    with serving(first_then_good(Reply(content=content))) as server:
        described = ask(server.url, price=(1.0, 1.0))
    assert not described.fell_back
    assert len(server.asked) == 2


ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e"


@pytest.mark.parametrize("status", [401, 404, 429])
def test_a_status_cannot_drive_the_console(ask: Ask, status: int) -> None:
    refusal = fails(status, f"no {ESCAPES}", **({"Retry_After": "7200"} if status == 429 else {}))
    with serving(lambda asked: refusal) as server, pytest.raises(LexisegError, match="no ") as caught:
        ask(server.url)
    assert str(caught.value).isprintable()


def test_a_redirect_cannot_drive_the_console(ask: Ask) -> None:
    moved = (
        b"HTTP/1.1 307 Moved\r\nLocation: http://a/\xc2\x9b31m\xe2\x80\xae?k=" + quote(KEY, safe="").encode()
    )
    reply = Reply(raw=lambda: [moved + b"\r\nContent-Length: 0\r\n\r\n"])
    with serving(lambda asked: reply) as server, pytest.raises(UsageError, match="redirects to") as caught:
        ask(server.url)
    assert str(caught.value).isprintable()


FORMS = {
    "literal": KEY,
    "capitals": KEY.upper(),
    "URL": quote(KEY, safe=""),
    "JSON": json.dumps({"a": KEY}),
    "hexadecimal": KEY.encode().hex(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of a header": base64.b64encode(f"Bearer {KEY}\n".encode()).decode(),
    "base64 of JSON": base64.b64encode(json.dumps({"key": KEY}).encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_the_key_is_removed_in_every_form(form: str) -> None:
    redacted = KeyRedaction(KEY)(f"you sent {form} to me")
    assert REDACTED in redacted
    assert KEY not in redacted
    for size in range(12, len(form)):
        for start in range(len(form) - size):
            part = form[start : start + size]
            if part in redacted:
                assert "sk-" not in _decoded(part)
    assert redacted.startswith("you sent ")
    assert redacted.endswith(" to me")


def _decoded(part: str) -> str:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_").decode("latin-1")


def test_without_a_key_nothing_is_removed() -> None:
    assert KeyRedaction("")("you sent none") == "you sent none"


def test_the_key_reaches_no_console_and_no_file(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    said = " ".join(FORMS.values())
    replies = iter([says(f"the key is {said}"), fails(413, said), says(answer())])
    with serving(lambda asked: next(replies)) as server:
        described = ask(server.url, tries=3)
    assert len(described.fell_back) == 1
    written = b"".join(path.read_bytes() for path in tmp_path.glob("d.jsonl*"))
    for form in FORMS.values():
        assert form.encode() not in written
    assert REDACTED.encode() in written


def test_the_journal_has_no_key(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    replies = iter([says(f"sure: {KEY}"), fails(401, f"bad {KEY}")])
    with serving(lambda asked: next(replies)) as server, pytest.raises(UsageError, match="the key") as caught:
        ask(server.url)
    assert KEY not in str(caught.value)
    journal = (tmp_path / "d.jsonl.journal").read_text(encoding="utf-8")
    assert f"sure: {REDACTED}" in journal
    assert KEY not in journal


def test_another_host_gets_no_key(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with serving(lambda asked: says(answer())) as other:
        moved = fails(307, Location=f"{other.url.replace('127.0.0.1', 'localhost')}/chat/completions")
        with serving(lambda asked: moved) as server, pytest.raises(UsageError, match="not followed"):
            ask(server.url)
    assert other.asked == []


def test_the_limit_is_far_above_a_description() -> None:
    assert len(says(answer()).content) * 100 < MAX_ANSWER_BYTES
