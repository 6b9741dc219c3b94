"""Refused requests are answered before the rest of their content arrives; uploads may not pause."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from lexiseg.errors import RequestError
from lexiseg.serving import request_content
from lexiseg.serving.gate import Gate
from lexiseg.serving.limits import Limits
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.request_body import read_files
from lexiseg.serving.request_content import RequestContent
from refusals import refuses


def refused(headers: dict[str, str], pieces: list[bytes | None], most: int = 1000) -> list[Any]:
    """Refuse a request, and return what was sent and received, in order; None stands for a pause."""
    events: list[Any] = []
    left = list(pieces)

    async def receive() -> Message:
        piece = left.pop(0) if left else None
        if piece is None:
            await asyncio.sleep(60)
        events.append(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Message) -> None:
        events.append(message)

    async def run() -> None:
        content = RequestContent(receive, Headers(headers))
        await content.refuse(Response(b"no", 413), send, most=most)

    asyncio.run(run())
    return events


def kinds(events: list[Any]) -> list[str]:
    return [
        "piece" if isinstance(event, bytes) else f"{event['type'][14:]} {event.get('more_body', '')}".strip()
        for event in events
    ]


def closes(events: list[Any]) -> bool:
    (start,) = (event for event in events if isinstance(event, dict) and "status" in event)
    return (b"connection", b"close") in start["headers"]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_content, "_REST_SECONDS", 0.1)


def test_content_that_has_arrived_is_read_and_the_connection_stays() -> None:
    events = refused({"content-length": "4"}, [b"ab", b"cd"])
    assert kinds(events) == ["piece", "piece", "start", "body True", "body False"]
    assert not closes(events)


def test_content_that_has_not_arrived_does_not_delay_the_answer() -> None:
    events = refused({"content-length": "4"}, [b"ab", None])
    assert kinds(events) == ["piece", "start", "body True", "body False"]
    assert closes(events)


def test_a_client_that_waits_for_permission_gets_none() -> None:
    events = refused({"content-length": "4", "expect": "100-continue"}, [None])
    assert kinds(events) == ["start", "body True", "body False"]
    assert closes(events)


def test_a_client_that_sends_on_is_read_up_to_a_limit() -> None:
    events = refused({"transfer-encoding": "chunked"}, [bytes(10)] * 10, most=30)
    assert kinds(events) == ["piece"] * 3 + ["start", "body True"] + ["piece"] * 3 + ["body False"]
    assert closes(events)


def test_a_request_without_content_is_answered_only() -> None:
    events = refused({}, [])
    assert kinds(events) == ["start", "body True", "body False"]
    assert not closes(events)


def test_an_upload_that_pauses_is_refused() -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with refuses("LEX-REQ-1451", "0.05 seconds") as caught:
        asyncio.run(read_files(request, Limits(silent_seconds=0.05), lambda name: io.BytesIO()))
    assert caught.value.status == 408  # type: ignore[attr-defined]


def test_a_refused_request_holds_no_place_while_its_content_is_awaited() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/refused":
            raise RequestError("no", status=413, code="LEX-REQ-1106")
        await Response(b"yes")(scope, receive, send)

    gate = Gate(app, limits=Limits(requests=1), metrics=Metrics(), names=None)
    statuses: asyncio.Queue[int] = asyncio.Queue()

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.put_nowait(message["status"])

    async def run() -> tuple[int, int, bool]:
        def ask(path: str) -> asyncio.Task[None]:
            headers = [(b"content-length", b"9")]
            scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
            return asyncio.create_task(gate(scope, receive, send))

        refused = ask("/refused")
        first = await statuses.get()
        taken = ask("/taken")
        second, is_waiting = await statuses.get(), not refused.done()
        await asyncio.gather(refused, taken)
        return first, second, is_waiting

    assert asyncio.run(run()) == (413, 200, True)


@pytest.mark.parametrize("in_parts", [True, False])
def test_an_answer_that_lasts_holds_no_place(in_parts: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": in_parts})

    metrics = Metrics()
    gate = Gate(app, limits=Limits(requests=1), metrics=metrics, names=None)
    found: asyncio.Queue[int] = asyncio.Queue()

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        if "status" in message:
            found.put_nowait(message["status"])
        else:
            await asyncio.sleep(60)  # a client that takes nothing

    def ask() -> asyncio.Task[None]:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"content-length", b"0")]}
        return asyncio.create_task(gate(scope, receive, send))

    async def run() -> list[int]:
        asking = [ask()]
        answered = [await found.get()]
        asking.append(ask())
        answered.append(await found.get())
        assert "lexiseg_requests_in_flight 0.0" in metrics.text({}).decode()
        for task in asking:
            task.cancel()
        return answered

    assert asyncio.run(run()) == [200, 200]


def test_answers_that_nobody_takes_are_limited_but_signs_of_life_are_not() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"yes")(scope, receive, send)

    gate = Gate(app, limits=Limits(requests=1), metrics=Metrics(), names=None)

    async def receive() -> Message:
        raise AssertionError

    async def ask(path: str, *, takes: bool) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)
            if not takes:
                await asyncio.sleep(60)

        scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"content-length", b"0")]}
        await gate(scope, receive, send)
        return sent

    async def run() -> tuple[list[Message], list[Message]]:
        slow = [asyncio.create_task(ask("/", takes=False)) for _ in range(8)]
        await asyncio.sleep(0)
        answers = await ask("/", takes=True), await ask("/healthz", takes=True)
        for task in slow:
            task.cancel()
        return answers

    full, alive = asyncio.run(run())
    assert (full[0]["status"], b"LEX-REQ-2097" in full[1]["body"]) == (429, True)
    assert alive[0]["status"] == 200
