"""How a server is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.inference.options import PredictionOptions
from lexiseg.serving.image_addresses import AllowedHost
from lexiseg.serving.limits import Limits
from lexiseg.web_address import LOOPBACK_NAMES, is_loopback


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a server is set up.

    Attributes:
        runs: Run folders, or names of models that come with Lexiseg; the first one is the default.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token_file: File of the tokens that requests must hold; None for none.
        behind_proxy: Whether a proxy in front of the server decides who may use it.
        tls_certificate: File of the certificate, for TLS.
        tls_key: File of its key.
        prediction: How images are predicted; its batch size is that of requests.
        max_wait: Seconds that an image waits for others of its batch.
        decoders: Processes that decode images.
        limits: Limits of the server.
        image_hosts: Hosts from which images are fetched by their address; empty: none are fetched.
        stop_seconds: Seconds that requests have to end when the server stops.
        watch_seconds: Seconds between two looks at the run folders; a model whose files have changed is
            replaced; 0: never look.
        trace: Whether requests are traced with OpenTelemetry.

    Raises:
        UsageError: The server could be reached by anybody, or only one of certificate and key is given.
    """

    runs: tuple[str | Path, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    behind_proxy: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    max_wait: float = 0.005
    decoders: int = 2
    limits: Limits = field(default_factory=Limits)
    image_hosts: tuple[AllowedHost, ...] = ()
    stop_seconds: int = 30
    watch_seconds: float = 5.0
    trace: bool = False

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.token_file is None and not self.behind_proxy:
            raise UsageError(
                f"At {self.host}, other machines can reach the server. Let it ask for tokens with "
                "--token-file (`lexiseg token new` makes one), or state --behind-proxy if a proxy decides "
                "who may use it.",
                code="LEX-USE-1109",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UsageError("TLS needs both --tls-certificate and --tls-key.", code="LEX-USE-1110")
        if self.prediction.average_with is not None:
            raise UsageError(
                "A server computes one run per model, not an average of two.", code="LEX-USE-1111"
            )

    @property
    def names(self) -> frozenset[str] | None:
        """Names under which requests call the server; None where tokens or a proxy keep others away."""
        if self.token_file is not None or self.behind_proxy:
            return None
        return LOOPBACK_NAMES | {self.host.lower()}
