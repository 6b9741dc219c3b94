from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from lexiseg.serving import tracing
from lexiseg.serving.tracing import Tracing
from refusals import refuses


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Return where the spans of all requests are kept."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return kept


def test_a_request_is_a_span_that_goes_on_with_its_trace(
    serving: Callable[..., TestClient], picture: bytes, spans: InMemorySpanExporter
) -> None:
    client = serving(trace=True)
    begun = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    client.post("/v1/predict", headers=begun, files={"image": ("Smith.png", picture)})
    client.get("/v1/Smith")
    first, second = spans.get_finished_spans()
    assert first.name == "POST /v1/predict"
    assert f"{first.context.trace_id:032x}" == "a" * 32
    assert (first.attributes or {})["lexiseg.images"] == 1
    assert (first.attributes or {})["http.response.status_code"] == 200
    assert second.name == "GET none"
    assert "Smith" not in first.to_json() + second.to_json()


def test_a_request_for_headers_alone_is_a_span(
    serving: Callable[..., TestClient], spans: InMemorySpanExporter
) -> None:
    client = serving(trace=True)
    assert client.head("/v1/models").status_code == 200
    (span,) = spans.get_finished_spans()
    assert span.name == "HEAD /v1/models"
    assert (span.attributes or {})["http.route"] == "/v1/models"


def test_traces_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "is_installed", lambda package: False)
    with refuses("LEX-USE-1113", "pip install"):
        Tracing(lambda scope, receive, send: None)  # type: ignore[arg-type, return-value]
