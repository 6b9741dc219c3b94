"""The command `lexiseg serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import (
    RUN_HELP,
    BatchSize,
    Device,
    EngineName,
    EngineOption,
    FlipAverage,
    PrecisionName,
    PrecisionOption,
    say,
    warn,
)
from lexiseg.cli.output_mode import show_result
from lexiseg.extras import load_module


def serve(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS", help=f"{RUN_HELP} The first is the default.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="Ask every request for a token of this file; see `lexiseg token new`.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of the server decides who may use it.")
    ] = False,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate for TLS, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")] = None,
    allow_images_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="Fetch images by their address from this host. Repeat it for several hosts."
        ),
    ] = None,
    max_file_mb: Annotated[float, typer.Option(min=0.001, help="Largest image, in megabytes.")] = 64,
    max_pixels: Annotated[int, typer.Option(min=1, help="Most pixels of an image.")] = 40_000_000,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Longest request, in seconds.")] = 60,
    max_waiting: Annotated[int, typer.Option(min=1, help="Most images that wait for a model.")] = 64,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Longest time that an image waits for others of its batch.")
    ] = 5,
    decoders: Annotated[int, typer.Option(min=1, help="Processes that decode images.")] = 2,
    stop_seconds: Annotated[
        int, typer.Option(min=1, help="Seconds that running requests have to end when the server stops.")
    ] = 30,
    trace: Annotated[
        bool, typer.Option("--trace", help="Trace requests with OpenTelemetry, where it is installed.")
    ] = False,
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: EngineOption = EngineName.AUTO,
    precision: PrecisionOption = PrecisionName.FLOAT32,
    flip_average: FlipAverage = False,
) -> None:
    """Serve models over HTTP: an interface for programs, and a page on which a person corrects words."""
    from lexiseg.inference.options import PredictionOptions

    addresses, limits, options, server = (
        load_module(f"lexiseg.serving.{name}") for name in ("image_addresses", "limits", "options", "server")
    )
    chosen = options.ServeOptions(
        runs=tuple(runs),
        host=host,
        port=port,
        token_file=token_file,
        behind_proxy=behind_proxy,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        prediction=PredictionOptions(
            device=device,
            engine=engine.value,
            precision=precision.value,
            flip_average=flip_average,
            batch_size=batch_size,
        ),
        max_wait=max_wait_ms / 1000,
        decoders=decoders,
        limits=limits.Limits(
            file_bytes=int(max_file_mb * 1_000_000),
            request_bytes=int(4 * max_file_mb * 1_000_000),
            pixels=max_pixels,
            seconds=max_seconds,
            waiting=max_waiting,
        ),
        image_hosts=tuple(addresses.AllowedHost.parse(text) for text in allow_images_from or ()),
        stop_seconds=stop_seconds,
        trace=trace,
    )
    if tls_certificate is None and not behind_proxy and not options.is_loopback(host):
        warn("Tokens and images cross the network unencrypted: add --tls-certificate and --tls-key.")

    def started(address: str) -> None:
        show_result({"address": address, "runs": runs})
        say(f"Serving {', '.join(str(run) for run in runs)} at {address} (Ctrl-C ends it).")

    server.serve(chosen, on_start=started)
    say("The server has ended.")
