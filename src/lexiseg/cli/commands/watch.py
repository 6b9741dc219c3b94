"""The command `lexiseg watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexiseg.cli.commands.watch_quarantine import QuarantineAction, manage_quarantine
from lexiseg.cli.terminal.messages import say, warn
from lexiseg.errors import PartialFailureError, UsageError
from lexiseg.extras import load_module, require_extra
from lexiseg.printable import counted

if TYPE_CHECKING:
    from lexiseg.gateway.configuration import GatewayConfiguration


def watch(
    configuration: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Configuration of the gateway, a YAML file.")
    ],
    quarantine: Annotated[
        QuarantineAction | None,
        typer.Option(
            "--quarantine",
            help="list: show the objects in quarantine, what is wrong with each, and what to do. retry: "
            "segment and send them again. drop: remove those that --image names. The gateway may run "
            "meanwhile.",
        ),
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="ID",
            help="An object for --quarantine: its id, or the first digits of it. Repeat it.",
        ),
    ] = None,
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
    # The gateway also needs packages of the extra dicom; a message about these would name the wrong extra.
    require_extra("gateway")
    if (once and quarantine is not None) or (chosen and quarantine is None):
        raise UsageError(
            "--image belongs to --quarantine, and --quarantine does not go with --once. Leave one out.",
            code="LEX-USE-1406",
        )
    settings = load_module("lexiseg.gateway.configuration_file").read_configuration(configuration)
    if quarantine is not None:
        manage_quarantine(settings, quarantine, chosen or ())
        return
    if once:
        if images is None or out is None:
            raise UsageError("--once needs the folders --in and --out.", code="LEX-USE-1244")
        _predict_once(settings, images, out)
        return
    _require_work(settings, configuration)
    service = load_module("lexiseg.gateway.service")
    log = load_module("lexiseg.gateway.event_log").EventLog(sys.stdout)
    with service.opened_state(settings, log) as state:
        gateway = service.Gateway(state)
        try:
            if gateway.monitoring_port is not None:
                warn(f"Health: http://{settings.monitoring.host}:{gateway.monitoring_port}/health")
            gateway.run()
        finally:
            gateway.close()


def _require_work(settings: GatewayConfiguration, configuration: Path) -> None:
    """Refuse a gateway to which no image can come or which sends nothing; name rules that send nothing."""
    if not settings.sources:
        raise UsageError(
            f"{configuration} has no sources, so no image can come. Add a folder, a DICOM port or a DICOMweb "
            "service under `sources`, or segment one folder with --once.",
            code="LEX-USE-1245",
        )
    silent = [rule.name for rule in settings.rules if not rule.send_to]
    if len(silent) == len(settings.rules):
        raise UsageError(
            f"No rule of {configuration} sends its results anywhere. Name a destination in `send_to` of a "
            "rule; for a trial, a destination of the kind folder.",
            code="LEX-USE-1403",
        )
    for name in silent:
        warn(f"The rule {name!r} has no `send_to`: its results stay in {settings.state / 'results'}.")


def _predict_once(settings: GatewayConfiguration, images: Path, out: Path) -> None:
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
