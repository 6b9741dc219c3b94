"""Traces of requests with OpenTelemetry, where its package is installed and an option asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lexiseg._version import __version__
from lexiseg.errors import UsageError
from lexiseg.extras import is_installed
from lexiseg.serving.gate import facts_of, route_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class Tracing:
    """Records a span per request: its route, status, model and number of images.

    It uses the provider that the process has; the command `opentelemetry-instrument` sets one up from the
    environment. A trace that the client or a proxy has begun goes on (header `traceparent`).

    Args:
        app: The application, with its gate.

    Raises:
        UsageError: OpenTelemetry is not installed.
    """

    def __init__(self, app: ASGIApp) -> None:
        if not is_installed("opentelemetry"):
            raise UsageError(
                "Traces need OpenTelemetry, which is not installed. Install it with: pip install "
                "opentelemetry-distro opentelemetry-exporter-otlp",
                code="LEX-USE-1113",
            )
        from opentelemetry import trace

        self._app = app
        self._tracer = trace.get_tracer("lexiseg", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = Headers(scope=scope)
        context = extract({name: headers[name] for name in ("traceparent", "tracestate") if name in headers})
        with self._tracer.start_as_current_span("request", context, kind=SpanKind.SERVER) as span:
            try:
                await self._app(scope, receive, note)
            finally:
                _describe(span, scope, status)


def _describe(span: Span, scope: Scope, status: int) -> None:
    facts, route = facts_of(scope), route_of(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "lexiseg.model": facts.model,
            "lexiseg.version": facts.version,
            "lexiseg.images": facts.images,
        }
    )
