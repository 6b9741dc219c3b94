"""Health and figures of a gateway, for people and for Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from threading import Lock, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import Monitoring
from lexiseg.prometheus_text import PROMETHEUS_TYPE, prometheus_text

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class Figures:
    """The figures of a gateway since its start.

    Attributes:
        registry: All of them.
        received: Images that came, by source.
        repeated: Images that came again, by source.
        put_off: Images that were not taken because of a limit, by source.
        predicted: Images segmented, by rule.
        left_out: Images that no rule fits, or that Lexiseg made.
        sent: Images whose results a destination has, by destination.
        put_back: Failed deliveries that are tried again, by destination.
        quarantined: Images that went into quarantine, by code.
        seconds: Seconds from the arrival of an image to the delivery of its results, by destination.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"lexiseg_{name}", text, labels, registry=self.registry)

        self.received = counter("received", "Images that came", "source")
        self.repeated = counter("repeated", "Images that came again", "source")
        self.put_off = counter("put_off", "Images that were not taken because of a limit", "source")
        self.predicted = counter("predicted", "Images segmented", "rule")
        self.left_out = counter("left_out", "Images that no rule fits, or that Lexiseg made")
        self.sent = counter("sent", "Images whose results a destination has", "destination")
        self.put_back = counter("put_back", "Failed deliveries that are tried again", "destination")
        self.quarantined = counter("quarantined", "Images that went into quarantine", "code")
        self.seconds = Histogram(
            "lexiseg_seconds",
            "Seconds from the arrival of an image to the delivery of its results",
            ("destination",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._images = Gauge("lexiseg_images", "Images in the queue", ("state",), registry=self.registry)
        self._oldest = Gauge(
            "lexiseg_oldest_open_seconds", "Age of the oldest open image", registry=self.registry
        )
        self._not_fetched = Gauge(
            "lexiseg_not_fetched",
            "Images that a DICOMweb service lists and does not give",
            ("source",),
            registry=self.registry,
        )
        self._shown: set[str] = set()
        self._showing = Lock()
        self._free = Gauge("lexiseg_free_disk_bytes", "Free space on the disk", registry=self.registry)

    def show(self, health: Health) -> None:
        """Take over the state of the gateway at this moment."""
        with self._showing:
            # A state that no image is in any more is not in the counts.
            self._shown.update(health.images)
            for state in self._shown:
                self._images.labels(state).set(health.images.get(state, 0))
        for source, count in health.not_fetched.items():
            self._not_fetched.labels(source).set(count)
        self._oldest.set(health.oldest_open_s)
        self._free.set(health.free_bytes)


@dataclass(frozen=True, kw_only=True)
class Health:
    """The state of a gateway at one moment.

    Attributes:
        problems: What is wrong, such as "disk full"; empty if all is well.
        images: Number of images in each state.
        oldest_open_s: Age in seconds of the oldest image that is not settled; 0 without one.
        free_bytes: Free space on the disk.
        not_fetched: Number of images that each DICOMweb source lists and does not give.
    """

    problems: tuple[str, ...]
    images: dict[str, int]
    oldest_open_s: float
    free_bytes: int
    not_fetched: Mapping[str, int] = field(default_factory=dict)


class MonitoringServer:
    """A web server with `/health` and `/metrics`, in a thread of its own.

    Args:
        settings: Address and port.
        figures: The figures.
        health: Returns the state of the gateway.

    Attributes:
        port: The port that it listens on.

    Raises:
        UsageError: The port is in use, or the address is none of this machine.
    """

    def __init__(self, settings: Monitoring, figures: Figures, health: Callable[[], Health]) -> None:
        self._figures, self._health = figures, health
        try:
            self._server = make_server(
                settings.host, settings.port, self._answer, server_class=_Server, handler_class=_Quiet
            )
        except OSError as error:
            raise UsageError(
                f"The monitoring cannot listen on {settings.host}, port {settings.port}: "
                f"{error.strerror or error}. Choose another port under `monitoring`.",
                code="LEX-USE-1236",
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, name="lexiseg-monitoring", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = request.get("PATH_INFO", "")
        if request.get("REQUEST_METHOD") not in ("GET", "HEAD") or path not in ("/health", "/metrics"):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"There are /health and /metrics.\n"]
        health = self._health()
        if path == "/metrics":
            self._figures.show(health)
            start("200 OK", [("Content-Type", PROMETHEUS_TYPE)])
            return [prometheus_text(self._figures.registry)]
        start(
            "503 Service Unavailable" if health.problems else "200 OK",
            [("Content-Type", "application/json")],
        )
        answer = {
            "status": "failing" if health.problems else "ok",
            "problems": list(health.problems),
            "images": health.images,
            "not_fetched": dict(health.not_fetched),
            "oldest_open_s": round(health.oldest_open_s, 1),
            "free_disk_mb": round(health.free_bytes / 1e6),
            "time": round(time.time()),
        }
        return [json.dumps(answer).encode("ascii") + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    # A thread for each connection: one that says nothing holds up no other.
    # A second gateway on the same port is an error, not a second listener.
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        """Write nothing: a peer said nothing in time, or has gone."""


class _Quiet(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, *arguments: Any) -> None:
        """Write nothing: the log holds events of images only."""
