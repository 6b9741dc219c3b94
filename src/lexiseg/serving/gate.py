"""The gate of the server: each request gets a number, a line in the log, and an answer without traces."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lexiseg.errors import DataError, DiskError, LexisegError, RequestError, ResourceError, UsageError
from lexiseg.open_files import NO_HANDLE_CODE
from lexiseg.serving.answers import error_record
from lexiseg.serving.limits import Limits
from lexiseg.serving.logs import request_id
from lexiseg.serving.metrics import Metrics
from lexiseg.serving.records.common import ErrorRecord, RefusalRecord
from lexiseg.serving.request_content import RequestContent
from lexiseg.serving.security import check_sender

_log = logging.getLogger("lexiseg.serving")

_FACTS, _HEADERS_ONLY = "lexiseg.facts", "lexiseg.headers_only"
_NUMBER = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Answers that may be on their way at a time, for each request that is worked on.
_ANSWERS = 8
# These answer also where the server has no place left: they say whether it lives.
_ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass
class RequestFacts:
    """What the log says of a request.

    Attributes:
        holder: Name of its token.
        model: Name of its model.
        version: Version of its model.
        images: Number of images.
        failed: Number of images that could not be predicted.
        flagged: Number of images that a person should look at.
        code: Code of the error with which it was refused.
    """

    holder: str = ""
    model: str = ""
    version: str = ""
    images: int = 0
    failed: int = 0
    flagged: int = 0
    code: str = ""


def facts_of(scope: Scope) -> RequestFacts:
    """Return what the log says of a request, to be completed."""
    return cast(RequestFacts, scope[_FACTS])


def asks_for_headers_only(scope: Scope) -> bool:
    """Return whether the method of a request is HEAD; its route finds GET in the scope."""
    return bool(scope.get(_HEADERS_ONLY))


def refusal(error: ErrorRecord, status: int, *, retry_after: int | None = None) -> Response:
    """Return the answer of a request that is refused."""
    body = RefusalRecord(error=error, request_id=request_id.get())
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def refusal_of(error: LexisegError) -> Response:
    """Return the answer of a request that an error ended."""
    status, retry_after = 500, None
    if isinstance(error, RequestError):
        status, retry_after = error.status, error.retry_after
    elif isinstance(error, UsageError | DataError):
        status = 422
    elif isinstance(error, ResourceError) or error.code == NO_HANDLE_CODE:
        status, retry_after = 503, 5
    elif isinstance(error, DiskError):
        status, retry_after = 507, 60
    return refusal(error_record(error), status, retry_after=retry_after)


class Gate:
    """Lets requests in, and turns what goes wrong into answers.

    Args:
        app: The application.
        limits: Limits of the server.
        metrics: Counts requests.
        names: Names under which the server is called; see `check_sender`.
    """

    def __init__(
        self, app: ASGIApp, *, limits: Limits, metrics: Metrics, names: frozenset[str] | None
    ) -> None:
        self._app, self._limits, self._metrics, self._names = app, limits, metrics, names
        self._in_flight = 0
        self._unanswered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = scope
        if asked["method"] == "HEAD":
            # The routes know GET; what sends the answer sees the first scope, and leaves the content out.
            scope = {**asked, "method": "GET", _HEADERS_ONLY: True}
        scope = _without_other_units(scope)
        headers = Headers(scope=scope)
        stated = headers.get("x-request-id", "")
        number = stated if _NUMBER.fullmatch(stated) else uuid.uuid4().hex
        request_id.set(number)
        facts = scope[_FACTS] = RequestFacts()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = number
            await send(message)

        content = RequestContent(receive, headers)
        started = time.monotonic()
        self._unanswered += 1
        try:
            try:
                await self._in_place(scope, headers, content.receive, note)
            except Exception as error:
                if status:  # the answer has begun, and cannot become another one
                    _log.exception("an answer broke off")
                    raise
                answer = self._answer(error, facts)
                await content.refuse(answer, note, most=self._limits.request_bytes)
        finally:
            self._unanswered -= 1
            seconds = time.monotonic() - started
            route = route_of(scope)
            # What is around the gate, such as traces, sees the first scope only.
            asked.update({name: scope[name] for name in (_FACTS, "route", "endpoint") if name in scope})
            self._metrics.request_ends(route, asked["method"], status, seconds)
            _log.info(
                "request",
                extra={
                    "method": asked["method"],
                    "route": route,
                    "status": status,
                    "milliseconds": round(1000 * seconds, 1),
                    **{name: value for name, value in asdict(facts).items() if value},
                },
            )

    async def _in_place(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Answer a request in one of the places, which is free again when the answer begins.

        What follows is no work: a client may follow a job for hours, or be slow to take its outputs. So a
        refused request holds none while its rest is awaited. `_ANSWERS` bounds the answers that their
        clients have not taken yet.
        """
        with ExitStack() as place:
            self._count(1)
            place.callback(self._count, -1)

            is_replaced = False

            async def begin(message: Message) -> None:
                nonlocal is_replaced
                place.close()
                if _refuses_range(message, headers):
                    is_replaced = True
                    await self._range_refused(message, facts_of(scope))(scope, receive, send)
                if not is_replaced:
                    await send(message)

            self._let_in(scope, headers)
            await self._app(scope, receive, begin)

    def _count(self, more: int) -> None:
        self._in_flight += more
        self._metrics.in_flight(self._in_flight)

    def _let_in(self, scope: Scope, headers: Headers) -> None:
        check_sender(scope["method"], headers, names=self._names)
        if scope["path"] in _ALWAYS:
            return
        answers = _ANSWERS * self._limits.requests
        if self._unanswered > answers:
            raise RequestError(
                f"The server has {answers} answers on their way already, such as those to followers of jobs. "
                "Send the request later.",
                status=429,
                retry_after=5,
                code="LEX-REQ-2097",
            )
        if self._in_flight > self._limits.requests:
            raise RequestError(
                f"The server works on {self._limits.requests} requests already. Send the request later.",
                status=429,
                retry_after=1,
                code="LEX-REQ-1112",
            )

    def _range_refused(self, start: Message, facts: RequestFacts) -> Response:
        """Return the answer to a header Range, in place of the plain text that begins with a message."""
        error = RequestError(
            "The header Range names bytes that the file does not have, or cannot be read: expected a part of "
            "the file, such as 'bytes=0-499'. Without this header, the whole file comes.",
            status=start["status"],
            code="LEX-REQ-2098",
        )
        answer = self._answer(error, facts)
        # From it, a client that goes on with a download sees that it has the whole file.
        size = Headers(raw=start["headers"]).get("content-range")
        if size is not None:
            answer.headers["Content-Range"] = size
        return answer

    def _answer(self, error: Exception, facts: RequestFacts) -> Response:
        if isinstance(error, LexisegError):
            facts.code = error.code
            self._metrics.refused(error.code)
            return refusal_of(error)
        _log.error("a defect of the server", exc_info=error)
        defect = RequestError(
            "The server has a defect, which this request met. Its log says more under the number of the "
            "request.",
            status=500,
            code="LEX-REQ-1113",
        )
        facts.code = defect.code
        self._metrics.refused(defect.code)
        return refusal_of(defect)


def _without_other_units(scope: Scope) -> Scope:
    """Return a scope without a header Range in other units than bytes.

    HTTP says that a server ignores it; what sends files would refuse it.
    """
    unit = Headers(scope=scope).get("range", "bytes").partition("=")[0]
    if unit.strip().lower() == "bytes":
        return scope
    return {**scope, "headers": [field for field in scope["headers"] if field[0] != b"range"]}


def _refuses_range(message: Message, headers: Headers) -> bool:
    """Return whether a message begins the answer of what sends files to a header Range."""
    return (
        "range" in headers
        and message["type"] == "http.response.start"
        and message["status"] in (400, 416)
        and Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
    )


def route_of(scope: Scope) -> str:
    """Return the route of a request with placeholders, so that there are few; "page" for its files."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str) and path:
        return path
    return "page" if "endpoint" in scope else "none"
