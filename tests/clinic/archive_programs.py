"""Real programs of archives for tests: Orthanc with DICOMweb, and the tools of dcmtk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_S = 60.0


def require(*programs: str) -> None:
    """Skip the test where a program is not installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (apt-get install orthanc orthanc-dicomweb dcmtk)")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*command: str | Path | int, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program of dcmtk; it listens on nothing."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
    return done


@dataclass(frozen=True)
class Orthanc:
    """A running archive.

    Attributes:
        dicom_port: Its DICOM port.
        http_port: Its HTTP port.
    """

    dicom_port: int
    http_port: int

    @property
    def dicomweb(self) -> str:
        """The address of its DICOMweb service."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def get(self, path: str) -> Any:
        """Return what its own interface says."""
        return requests.get(f"http://127.0.0.1:{self.http_port}{path}", timeout=30).json()

    def instances(self) -> list[dict[str, str]]:
        """Return the tags of all objects in it, the shared ones of study and series included."""
        return [self.get(f"/instances/{id}/simplified-tags") for id in self.get("/instances")]

    def modalities(self) -> list[str]:
        """Return the modality of each object in it, sorted."""
        return sorted(tags["Modality"] for tags in self.instances())

    def put(self, content: bytes) -> None:
        """Store an object."""
        requests.post(
            f"http://127.0.0.1:{self.http_port}/instances", data=content, timeout=30
        ).raise_for_status()


@contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """Run Orthanc with an empty store.

    Args:
        folder: Where its store and its configuration are.
        **settings: More of its configuration.
    """
    require("Orthanc")
    found = Orthanc(dicom_port=free_port(), http_port=free_port())
    configuration = {
        "Name": "Tests",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "Plugins": [str(_DICOMWEB)] if _DICOMWEB.exists() else [],
        "HttpPort": found.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ARCHIVE",
        "DicomPort": found.dicom_port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "DicomWeb": {"Enable": True},
        **settings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    with open(folder / "orthanc.log", "wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(file)], stdout=log, stderr=log, preexec_fn=os.setsid
        )  # fmt: skip
        try:
            _wait_for(found, process, folder)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait_for(archive: Orthanc, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "orthanc.log").read_text()
        try:
            archive.get("/system")
            return
        except requests.RequestException:
            time.sleep(0.1)
    raise TimeoutError((folder / "orthanc.log").read_text())


def send(files: Sequence[Path], port: int, *options: str, called: str = "LEXISEG") -> None:
    """Send files with storescu, as an archive with the AE title ARCHIVE."""
    require("storescu")
    run("storescu", "-R", *options, "-aet", "ARCHIVE", "-aec", called, "127.0.0.1", port, *files)
