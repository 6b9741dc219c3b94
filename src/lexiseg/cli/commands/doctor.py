"""The command `lexiseg doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lexiseg.cli.terminal.messages import say, warn
from lexiseg.cli.terminal.output_mode import show_result

if TYPE_CHECKING:
    from lexiseg.installation.report import InstallationReport


def doctor() -> None:
    """Check the installation: packages, engines, devices, disks, and a prediction by each engine.

    Exit code 1 if something is broken; each problem is named with what to do.
    """
    from lexiseg import check_installation

    found = check_installation()
    show_result(found)
    _show(found)
    for finding in found.findings:
        warn(f"{finding.kind.capitalize()}: {finding.text} {finding.remedy}")
    if found.problems:
        raise typer.Exit(1)
    say("Nothing is broken.")


def _show(found: InstallationReport) -> None:
    """Print the facts, one line per subject."""
    from lexiseg.extras import install_command

    say(f"Lexiseg {found.lexiseg}, Python {found.python}, {found.platform}")
    say(f"Packages: {_versions(found.packages)}")
    for extra in found.extras:
        say(f"Extra {extra.name}: {_versions(extra.installed) if extra.installed else 'not installed'}")
    if any(extra.missing for extra in found.extras):
        say(f"To add an extra, such as dicom: {install_command('dicom')}")
    for device in found.devices:
        memory = "" if device.memory_gb is None else f", {device.memory_gb:.1f} GB"
        say(f"Device {device.name}: {device.title}{memory}")
    say(f"Processor cores: {found.cores}; threads of an engine: {found.threads}")
    for folder in found.folders:
        state = "" if folder.exists else ", not made yet"
        say(f"{folder.purpose}: {folder.path}, {folder.free_gb:.1f} GB free{state}")
    for engine in found.engines:
        if engine.dice is not None and engine.image_seconds is not None:
            words = "equal words" if engine.words_equal else "other words"
            say(
                f"Self-test of {engine.description}: {1000 * engine.image_seconds:.0f} ms per image, ready "
                f"after {engine.load_seconds:.1f} s; Dice with the stored mask {engine.dice:.4f}, {words}"
            )


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())
