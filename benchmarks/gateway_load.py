"""Load of a gateway on loopback: studies per second, latency, memory.

`python benchmarks/gateway_load.py --minutes 60 --studies-per-second 2` sends studies of one image to a
gateway in a process of its own, by C-STORE, and receives its results in an archive. It prints, as JSON, what
was sent and what was lost, the latency from the confirmation of an image to its last object (median and 95th
percentile), and the memory of the gateway: the highest of each minute, and how it grew per hour over the
second half of the time. After each minute a line on the standard error says how far it is. The exit code is 1
if anything was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, quantiles
from typing import Any

import numpy as np
import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event

import lexiseg

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
OBJECTS_PER_IMAGE = 2
LONGEST_REST_S = 120.0
#: A shorter time says nothing about the growth of memory.
LEAST_SECONDS = 590.0


def image(number: int, size: int) -> Dataset:
    """Return a radiograph of grey blocks, a study of its own."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": COMPUTED_RADIOGRAPHY, "SOPInstanceUID": f"2.25.3{number:09d}", "StudyInstanceUID":
        f"2.25.1{number:09d}", "SeriesInstanceUID": f"2.25.2{number:09d}", "StudyID": "1", "SeriesNumber": 1,
        "InstanceNumber": 1, "Modality": "CR", "PatientID": f"load{number}", "PatientName": "Load^Test",
        "PatientBirthDate": "", "PatientSex": "", "StudyDate": "20260102", "StudyTime": "030405",
        "AccessionNumber": "", "ReferringPhysicianName": "", "Manufacturer": "Load",
        "BodyPartExamined": "CHEST", "ViewPosition": "PA", "PatientOrientation": ["L", "F"],
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    pixels = np.kron(coarse, np.ones((size // 8, size // 8), np.uint8))
    dataset.set_pixel_data(pixels, "MONOCHROME2", 8, generate_instance_uid=False)
    return dataset


@dataclass
class Archive:
    """When the objects of each study came."""

    came: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, event: Event) -> int:
        """Note an object."""
        with self.lock:
            self.came.setdefault(str(event.dataset.StudyInstanceUID), []).append(time.monotonic())
        return 0


def configuration(folder: Path, port: int, archive_port: int) -> Path:
    """Write the configuration of the gateway."""
    file = folder / "gateway.yaml"
    content = {
        "state": "state",
        "sources": {"port": {"kind": "dicom", "port": port, "allow": ["ARCHIVE"]}},
        "rules": [{"name": "all", "run": "covid-xray", "write": ["seg", "sr"], "send_to": ["archive"]}],
        "destinations": {
            "archive": {"kind": "dicom", "host": "127.0.0.1", "port": archive_port, "ae_title": "ARCHIVE"}
        },
        "limits": {"free_disk_mb": 100},
        "monitoring": None,
        # As beside an archive that keeps what it got; without it, the disk fills.
        "delete_after_days": 0,
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def memory_mb(process: int) -> float:
    """Return the resident memory of a process in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Load:
    """What was sent, and the memory of the gateway meanwhile.

    Attributes:
        confirmed: When each study was confirmed, by its UID.
        memory: Seconds since the start and resident memory in MB, at each study.
    """

    confirmed: dict[str, float] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)

    def by_minute(self) -> list[int]:
        """Return the highest memory of each minute in MB."""
        highest: dict[int, float] = {}
        for second, megabytes in self.memory:
            highest[int(second // 60)] = max(megabytes, highest.get(int(second // 60), 0.0))
        return [round(highest[minute]) for minute in sorted(highest)]

    def growth_per_hour(self) -> int | None:
        """Return the slope of the memory over the second half in MB per hour; None below ten minutes."""
        last = self.memory[-1][0]
        if last < LEAST_SECONDS:
            return None
        half = [(second, value) for second, value in self.memory if second > last / 2]
        seconds, values = zip(*half, strict=True)
        return round(linear_regression(seconds, values).slope * 3600)


def send_load(port: int, minutes: float, per_second: float, size: int, process: int) -> Load:
    """Send studies at a steady rate."""
    entity = AE(ae_title="ARCHIVE")
    entity.add_requested_context(COMPUTED_RADIOGRAPHY, ExplicitVRLittleEndian)
    found = Load()
    began = time.monotonic()
    peer = entity.associate("127.0.0.1", port, ae_title="LEXISEG")
    number, said = 0, 0
    while time.monotonic() - began < 60 * minutes:
        number += 1
        dataset = image(number, size)
        while True:
            if not peer.is_established:
                peer = entity.associate("127.0.0.1", port, ae_title="LEXISEG")
            answer = peer.send_c_store(dataset) if peer.is_established else Dataset()
            if "Status" in answer and answer.Status == 0:
                break
            time.sleep(0.5)
        now = time.monotonic()
        found.confirmed[str(dataset.StudyInstanceUID)] = now
        found.memory.append((now - began, memory_mb(process)))
        if int((now - began) // 60) > said:
            said += 1
            print(f"minute {said}: {number} studies, {found.memory[-1][1]:.0f} MB", file=sys.stderr)
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
    peer.release()
    return found


def main() -> None:
    """Run the load and print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Load of a gateway on loopback.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--studies-per-second", type=float, default=2.0)
    parser.add_argument("--size", type=int, default=256, help="Height and width of the images in pixels.")
    given = parser.parse_args()
    archive, entity = Archive(), AE(ae_title="ARCHIVE")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax))
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, archive.take)]
    )
    free = AE().start_server(("127.0.0.1", 0), block=False, contexts=AllStoragePresentationContexts[:1])
    assert server is not None
    assert free is not None
    port = int(free.server_address[1])
    free.shutdown()
    with tempfile.TemporaryDirectory() as folder:
        file = configuration(Path(folder), port, int(server.server_address[1]))
        process = subprocess.Popen(
            [sys.executable, "-m", "lexiseg", "watch", str(file)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if '"started"' in line:
                break
        # The log is read to its end, so that the gateway never waits for its reader.
        threading.Thread(target=drain, args=[process.stdout], daemon=True).start()
        began = time.monotonic()
        sent = send_load(port, given.minutes, given.studies_per_second, given.size, process.pid)
        end = time.monotonic() + LONGEST_REST_S
        while time.monotonic() < end and not _all_back(sent.confirmed, archive):
            time.sleep(0.2)
        seconds = time.monotonic() - began
        last_memory = memory_mb(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
    server.shutdown()
    result = figures(sent, archive, seconds) | {
        "memory_mb": {
            "by_minute": sent.by_minute(),
            "growth_per_hour": sent.growth_per_hour(),
            "end": round(last_memory),
        },
        "minutes": given.minutes,
        "asked_per_second": given.studies_per_second,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "version": lexiseg.__version__,
    }
    print(json.dumps(result, indent=2))
    raise SystemExit(int(result["lost"] > 0))


def figures(sent: Load, archive: Archive, seconds: float) -> dict[str, Any]:
    """Return what came back, and how fast."""
    latency = [max(archive.came[study]) - at for study, at in sent.confirmed.items() if study in archive.came]
    cuts = quantiles(latency, n=100) if len(latency) > 1 else [0.0] * 99
    return {
        "studies": len(sent.confirmed),
        "lost": sum(len(archive.came.get(study, [])) < OBJECTS_PER_IMAGE for study in sent.confirmed),
        "studies_per_second": round(len(sent.confirmed) / seconds, 2),
        "latency_s": {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2)},
    }


def drain(lines: Iterable[str]) -> None:
    """Read lines to their end and keep none."""
    for _ in lines:
        pass


def _all_back(confirmed: dict[str, float], archive: Archive) -> bool:
    with archive.lock:
        return all(len(archive.came.get(study, [])) >= OBJECTS_PER_IMAGE for study in confirmed)


if __name__ == "__main__":
    main()
