"""Figures of a server and of a gateway, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

#: Content type of `prometheus_text`.
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def prometheus_text(registry: CollectorRegistry) -> bytes:
    """Return all figures of a registry in the text format of Prometheus."""
    return generate_latest(registry)
