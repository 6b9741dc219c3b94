"""The command `lexiseg serve`."""

from __future__ import annotations

from lexiseg.cli.commands.serve.limits import (
    MEGABYTE,
    JobDiskMb,
    KeepJobs,
    KeepMinutes,
    MaxFileMb,
    MaxJobMb,
    MaxJobs,
    MaxJobSeconds,
    MaxPixels,
    MaxSeconds,
    MaxSlices,
    MaxUnpackedMb,
    MaxVolumeMb,
    MaxVoxels,
    MaxWaiting,
    WatchSeconds,
)
from lexiseg.cli.commands.serve.options import (
    AllowImagesFrom,
    BehindProxy,
    Decoders,
    Host,
    MaxWaitMs,
    Port,
    Runs,
    StopSeconds,
    TlsCertificate,
    TlsKey,
    TokenFile,
    Trace,
)
from lexiseg.cli.commands.serve.result import ServeResult
from lexiseg.cli.options.common import BatchSize, Device, Engine, FlipAverage, Precision
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.extras import load_module


def serve(
    runs: Runs,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    behind_proxy: BehindProxy = False,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    allow_images_from: AllowImagesFrom = None,
    max_file_mb: MaxFileMb = 64,
    max_pixels: MaxPixels = 40_000_000,
    max_seconds: MaxSeconds = 60,
    max_waiting: MaxWaiting = 64,
    max_jobs: MaxJobs = 16,
    max_job_mb: MaxJobMb = 2000,
    max_job_seconds: MaxJobSeconds = 900,
    max_volume_mb: MaxVolumeMb = 1000,
    max_unpacked_mb: MaxUnpackedMb = 4000,
    max_voxels: MaxVoxels = 500_000_000,
    max_slices: MaxSlices = 2000,
    keep_jobs: KeepJobs = 200,
    keep_minutes: KeepMinutes = 60,
    job_disk_mb: JobDiskMb = 16_000,
    watch_seconds: WatchSeconds = 5,
    max_wait_ms: MaxWaitMs = 5,
    decoders: Decoders = 2,
    stop_seconds: StopSeconds = 30,
    trace: Trace = False,
    batch_size: BatchSize = 8,
    device: Device = "cpu",
    engine: Engine = "auto",
    precision: Precision = "fp32",
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
            engine=engine,
            precision=precision,
            flip_average=flip_average,
            batch_size=batch_size,
        ),
        max_wait=max_wait_ms / 1000,
        decoders=decoders,
        limits=limits.Limits(
            file_bytes=int(max_file_mb * MEGABYTE),
            request_bytes=int(4 * max_file_mb * MEGABYTE),
            pixels=max_pixels,
            seconds=max_seconds,
            waiting=max_waiting,
            jobs=max_jobs,
            job_bytes=int(max_job_mb * MEGABYTE),
            job_seconds=max_job_seconds,
            volume_bytes=int(max_volume_mb * MEGABYTE),
            unpacked_bytes=int(max_unpacked_mb * MEGABYTE),
            voxels=max_voxels,
            slices=max_slices,
            kept_jobs=keep_jobs,
            job_minutes=keep_minutes,
            job_disk_bytes=int(job_disk_mb * MEGABYTE),
        ),
        image_hosts=tuple(addresses.AllowedHost.parse(text) for text in allow_images_from or ()),
        stop_seconds=stop_seconds,
        watch_seconds=watch_seconds,
        trace=trace,
    )
    if tls_certificate is None and not behind_proxy and not options.is_loopback(host):
        warn("Tokens and images cross the network unencrypted: add --tls-certificate and --tls-key.")

    def started(address: str) -> None:
        show_result(ServeResult(address=address, runs=tuple(map(str, runs))))
        say(f"Serving {', '.join(str(run) for run in runs)} at {address} (Ctrl-C ends it).")

    server.serve(chosen, on_start=started)
    say("The server has ended.")
