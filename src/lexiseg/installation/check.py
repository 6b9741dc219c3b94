"""Check of the installation: facts, a self-test, and what to do where something is broken."""

from __future__ import annotations

import os
import platform

from lexiseg._version import __version__
from lexiseg.engines.threads import cpu_threads
from lexiseg.extras import install_command
from lexiseg.installation.machine import device_findings, devices, folder_findings, folders
from lexiseg.installation.packages import by_extra, extra_states, package_findings, requirements, version_of
from lexiseg.installation.report import Finding, InstallationReport
from lexiseg.installation.self_test import engine_findings, engine_tests


def check_installation() -> InstallationReport:
    """Check the installation: packages, engines, devices, disks, and a prediction by each engine.

    It takes some seconds, most of them to import torch. Nothing is written, and nothing is downloaded.

    Returns:
        What was found; `problems` is what is broken.
    """
    needed = by_extra(requirements())
    found_devices, found_folders, engines = devices(), folders(), engine_tests()
    findings = [
        *package_findings(needed),
        *_unknown_packages(bool(needed)),
        *engine_findings(engines),
        *device_findings(found_devices),
        *folder_findings(found_folders),
    ]
    base = {package.name: version_of(package.name) for package in needed.get("", ())}
    return InstallationReport(
        lexiseg=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: version for name, version in base.items() if version is not None},
        extras=extra_states(needed),
        devices=found_devices,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=cpu_threads(),
        folders=found_folders,
        engines=engines,
        findings=tuple(sorted(findings, key=lambda finding: finding.kind != "problem")),
    )


def _unknown_packages(known: bool) -> list[Finding]:
    """Return that the packages cannot be compared with what Lexiseg needs, where it is no package itself."""
    if known:
        return []
    return [
        Finding(
            kind="note",
            text="Lexiseg is not installed as a package, so the versions of other packages are not checked.",
            remedy=install_command(),
        )
    ]
