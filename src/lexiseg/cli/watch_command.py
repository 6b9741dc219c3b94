"""The command `lexiseg watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import say, warn
from lexiseg.errors import PartialFailureError, UsageError
from lexiseg.extras import load_module
from lexiseg.printable import counted


def watch(
    configuration: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Configuration of the gateway, a YAML file.")
    ],
    requeue: Annotated[
        bool,
        typer.Option(
            "--requeue", help="Before the start, put all images of the quarantine into the queue again."
        ),
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Segment the images of one folder by the rules and end, as a processing module of mercure "
            "does; needs --in and --out.",
        ),
    ] = False,
    images: Annotated[
        Path | None,
        typer.Option("--in", envvar="MERCURE_IN_DIR", help="Folder of images for --once."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            envvar="MERCURE_OUT_DIR",
            help="Folder for DICOM objects and result.json of --once.",
        ),
    ] = None,
) -> None:
    """Run a gateway beside an archive: images in, predictions out. Its log is on the standard output."""
    # First the module that needs a package of the extra, so that the message names it.
    load_module("lexiseg.gateway.dicom_receiver")
    settings = load_module("lexiseg.gateway.configuration").read_configuration(configuration)
    if once:
        if images is None or out is None:
            raise UsageError("--once needs the folders --in and --out.", code="LEX-USE-1244")
        _predict_once(settings, images, out)
        return
    if not settings.sources:
        raise UsageError(
            f"{configuration} has no sources, so no image can come. Add a folder, a DICOM port or a DICOMweb "
            "service under `sources`, or segment one folder with --once.",
            code="LEX-USE-1245",
        )
    service = load_module("lexiseg.gateway.service")
    log = load_module("lexiseg.gateway.event_log").EventLog(sys.stdout)
    with service.opened_state(settings, log) as state:
        if requeue:
            service.requeue_quarantine(state)
        gateway = service.Gateway(state)
        try:
            if gateway.monitoring_port is not None:
                warn(f"Health: http://{settings.monitoring.host}:{gateway.monitoring_port}/health")
            gateway.run()
        finally:
            gateway.close()


def _predict_once(settings: object, images: Path, out: Path) -> None:
    """Segment one folder; fail only if no image gave a result, because mercure then drops all results."""
    summary = load_module("lexiseg.gateway.single_pass").predict_folder(settings, images, out)
    for name, reason in summary.failed:
        warn(f"{name}: {reason}")
    say(
        f"{counted(summary.predicted, 'image')} segmented, {summary.flagged} flagged for review, "
        f"{summary.left_out} left out, {counted(len(summary.failed), 'problem')}. Results: {out}"
    )
    if summary.failed and summary.predicted == 0:
        raise PartialFailureError(
            f"No image could be segmented; the reasons are named above and in {out / 'result.json'}.",
            code="LEX-PART-1230",
        )
