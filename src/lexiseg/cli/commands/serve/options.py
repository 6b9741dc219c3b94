"""The options of `lexiseg serve` besides its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.options.common import RUN_HELP

Runs = Annotated[list[Path], typer.Argument(metavar="RUNS", help=f"{RUN_HELP} The first is the default.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]
TokenFile = Annotated[
    Path | None, typer.Option(help="Ask every request for a token of this file; see `lexiseg token new`.")
]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy in front of the server decides who may use it.")
]
TlsCertificate = Annotated[Path | None, typer.Option(help="Certificate for TLS, PEM.")]
TlsKey = Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")]
AllowImagesFrom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST", help="Fetch images by their address from this host. Repeat it for several hosts."
    ),
]
MaxWaitMs = Annotated[
    float, typer.Option(min=0, help="Longest time that an image waits for others of its batch.")
]
Decoders = Annotated[int, typer.Option(min=1, help="Processes that decode images.")]
StopSeconds = Annotated[
    int, typer.Option(min=1, help="Seconds that running requests have to end when the server stops.")
]
Trace = Annotated[
    bool, typer.Option("--trace", help="Trace requests with OpenTelemetry, where it is installed.")
]
