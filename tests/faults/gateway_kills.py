"""SIGKILL of a gateway at random moments under load: nothing is lost, nothing comes twice.

`python -m tests.faults.gateway_kills --kills 50 --seed 1` prints a line per kill and a summary. Images are
sent to the gateway by C-STORE until it confirms them; an archive counts the objects that come back.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event

from gateway_setup import image_bytes
from lexiseg.gateway.configuration import read_configuration
from lexiseg.gateway.event_log import EventLog
from lexiseg.gateway.service import opened_state

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
#: Longest time from the start of the work to a kill in seconds.
LONGEST_LIFE_S = 12.0
#: Share of the kills that come while the gateway starts.
DURING_START = 0.2
IMAGES_PER_KILL = 5


@dataclass
class Archive:
    """What came back: the content of each object, by UID, and how often it came."""

    objects: dict[str, bytes] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    changed: list[str] = field(default_factory=list)

    def take(self, event: Event) -> int:
        """Store one object; note one that comes again with another content."""
        uid, content = str(event.dataset.SOPInstanceUID), event.encoded_dataset(include_meta=False)
        if self.objects.setdefault(uid, content) != content:
            self.changed.append(uid)
        self.times[uid] += 1
        return 0


@contextmanager
def archive_on(port: int = 0) -> Iterator[tuple[Archive, int]]:
    """Run an archive; yield it and its port."""
    found, entity = Archive(), AE(ae_title="ARCHIVE")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax))
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, found.take)]
    )
    assert server is not None
    try:
        yield found, int(server.server_address[1])
    finally:
        server.shutdown()


class Feeder(threading.Thread):
    """Sends images one by one; each until the gateway confirms it."""

    def __init__(self, port: int, images: list[Dataset], pause_s: float) -> None:
        super().__init__(daemon=True)
        self.confirmed = 0
        self._port, self._images, self._pause_s = port, images, pause_s

    def run(self) -> None:
        """Send all images."""
        entity = AE(ae_title="ARCHIVE")
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 5.0
        entity.add_requested_context(COMPUTED_RADIOGRAPHY, ExplicitVRLittleEndian)
        while self.confirmed < len(self._images):
            peer = entity.associate("127.0.0.1", self._port, ae_title="LEXISEG")
            while peer.is_established and self.confirmed < len(self._images):
                answer = peer.send_c_store(self._images[self.confirmed])
                if "Status" not in answer or answer.Status != 0:
                    break
                self.confirmed += 1
                time.sleep(self._pause_s)
            if peer.is_established:
                peer.release()
            time.sleep(0.1)


@dataclass(frozen=True)
class Outcome:
    """What a campaign found; all must hold.

    Attributes:
        images: Images that were confirmed.
        states: Images in each state at the end.
        missing: Images without a segmentation or a report.
        objects: Different objects that came back.
        repeats: Objects that came back more than once.
        changed: Objects that came again with another content.
        scraps: Files in the state folder that should not be there.
    """

    images: int
    states: dict[str, int]
    missing: int
    objects: int
    repeats: int
    changed: int
    scraps: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing came twice as another object."""
        return (
            self.states == {"done": self.images}
            and self.missing == 0
            and self.objects == 2 * self.images
            and self.changed == 0
            and self.scraps == []
        )


def campaign(folder: Path, kills: int, seed: int) -> Outcome:
    """Kill a gateway under load many times, let it finish, and look at what came back.

    Args:
        folder: An empty folder.
        kills: Number of kills.
        seed: Of the moments.
    """
    draw = random.Random(f"gateway:{seed}")
    count = max(4, IMAGES_PER_KILL * kills)
    images = [dcmread(io.BytesIO(image_bytes(number))) for number in range(1, count + 1)]
    with archive_on() as (archive, archive_port):
        file = _write_configuration(folder, archive_port)
        feeder = Feeder(_port_of(file), images, pause_s=0.3)
        feeder.start()
        for number in range(1, kills + 1):
            moment = _life(file, draw)
            so_far = f"confirmed {feeder.confirmed}, back {len(archive.objects)}"
            print(f"kill {number:3d} {moment}; {so_far}", flush=True)
        process = _start(file)
        try:
            _wait_until_done(file, process, feeder, count, archive)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)
        return _judge(file, archive, count)


def _write_configuration(folder: Path, archive_port: int) -> Path:
    with archive_on() as (_, free):
        pass  # a port that nothing listens on any more
    file = folder / "gateway.yaml"
    content: dict[str, Any] = {
        "state": "state",
        "sources": {"port": {"kind": "dicom", "port": free, "allow": ["ARCHIVE"]}},
        "rules": [{"name": "all", "run": "covid-xray", "write": ["seg", "sr"], "send_to": ["archive"]}],
        "destinations": {
            "archive": {"kind": "dicom", "host": "127.0.0.1", "port": archive_port, "ae_title": "ARCHIVE"}
        },
        "batch": 4,
        "limits": {"free_disk_mb": 1},
        # An image may be the one that is predicted at many kills.
        "retries": {"predictions": 1000, "first_s": 0.2, "longest_s": 1.0},
        "monitoring": None,
    }
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def _port_of(file: Path) -> int:
    return int(yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]["port"]["port"])


def _start(file: Path) -> subprocess.Popen[bytes]:
    with open(file.parent / "gateway.log", "ab") as log:
        command = [sys.executable, "-m", "lexiseg", "watch", str(file)]
        return subprocess.Popen(command, stdout=log, stderr=log)


def _life(file: Path, draw: random.Random) -> str:
    """Start the gateway and kill it at a random moment; return when that was."""
    log = file.parent / "gateway.log"
    begun = log.read_bytes().count(b'"started"') if log.exists() else 0
    process = _start(file)
    if draw.random() < DURING_START:
        wait, when = draw.uniform(0.0, 3.0), "while it starts"
    else:
        while log.read_bytes().count(b'"started"') == begun:
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        wait, when = draw.uniform(0.0, LONGEST_LIFE_S), "while it works"
    time.sleep(wait)
    assert process.poll() is None, log.read_text()
    process.kill()
    process.wait()
    return f"{when}, after {wait:.2f} s"


def _wait_until_done(
    file: Path, process: subprocess.Popen[bytes], feeder: Feeder, count: int, archive: Archive
) -> None:
    last, since = -1, time.monotonic()
    while feeder.confirmed < count or len(archive.objects) < 2 * count:
        assert process.poll() is None, (file.parent / "gateway.log").read_text()[-3000:]
        now = feeder.confirmed + len(archive.objects)
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > 60:
            return  # the judgement says what is missing
        time.sleep(0.2)
    time.sleep(1.0)


def _judge(file: Path, archive: Archive, count: int) -> Outcome:
    kinds: dict[str, set[str]] = {}
    for content in archive.objects.values():
        found = dcmread(io.BytesIO(content), force=True)
        source = {str(item.ReferencedSOPInstanceUID) for item in _items(found) if _is_image(item)}
        for uid in source:
            kinds.setdefault(uid, set()).add(str(found.Modality))
    missing = [n for n in range(1, count + 1) if kinds.get(f"2.25.1000{n}") != {"SEG", "SR"}]
    with opened_state(read_configuration(file), EventLog(io.StringIO())) as state:
        states = {str(name): images for name, images in state.queue.counts().items()}
        known = set(state.queue.ids("waiting", "predicted", "done", "left_out", "quarantined"))
        folders = [state.spool.state / name for name in ("received", "results", "quarantine", "work")]
        scraps = [str(path) for each in folders for path in each.iterdir() if path.name[:32] not in known]
    return Outcome(
        images=count,
        states=states,
        missing=len(missing),
        objects=len(archive.objects),
        repeats=sum(times - 1 for times in archive.times.values()),
        changed=len(archive.changed),
        scraps=scraps,
    )


def _items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _items(item)


def _is_image(item: Dataset) -> bool:
    return item.get("ReferencedSOPClassUID") == COMPUTED_RADIOGRAPHY


def main() -> int:
    """Run a campaign and print what it found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = campaign(Path(folder), options.kills, options.seed)
    print(json.dumps(outcome.__dict__ | {"holds": outcome.holds, "seconds": round(time.monotonic() - began)}))
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
