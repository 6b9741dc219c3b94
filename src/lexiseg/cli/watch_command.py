"""The command `lexiseg watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lexiseg.cli.common_options import warn
from lexiseg.extras import load_module


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
) -> None:
    """Run a gateway beside an archive: images in, predictions out. Its log is on the standard output."""
    # First the module that needs a package of the extra, so that the message names it.
    load_module("lexiseg.gateway.monitoring")
    service = load_module("lexiseg.gateway.service")
    settings = load_module("lexiseg.gateway.configuration").read_configuration(configuration)
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
