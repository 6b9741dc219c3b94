"""SIGKILL of a gateway at random moments under load: nothing is lost, nothing comes twice.

`python -m tests.faults.gateway_kills --kills 50 --seed 1` prints a line per kill and a summary. Images are
sent to the gateway by C-STORE until it confirms them; an archive counts the objects that come back.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import random
import select
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
from lexiseg.gateway.configuration_file import read_configuration
from lexiseg.gateway.event_log import EventLog
from lexiseg.gateway.service import opened_state

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
#: A kill comes after so many events of the log at most, or after this time.
MOST_EVENTS, LONGEST_WAIT_S = 20, 20.0
#: Share of the kills that come while the gateway starts.
DURING_START = 0.2
IMAGES_PER_KILL = 3


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
    # All show the same picture: of another one the laterality guard may rightly refuse the results.
    images = [dcmread(io.BytesIO(image_bytes(number, seed=1))) for number in range(1, count + 1)]
    with archive_on() as (archive, archive_port):
        file = _write_configuration(folder, archive_port)
        gateways = Gateways(file)
        feeder = Feeder(_port_of(file), images, pause_s=0.3)
        feeder.start()
        for number in range(1, kills + 1):
            moment = _life(gateways, draw)
            so_far = f"confirmed {feeder.confirmed}, back {len(archive.objects)}"
            print(f"kill {number:3d} {moment}; {so_far}", flush=True)
        gateways.start()
        _wait_until_done(gateways, feeder, count, archive)
        gateways.end(signal.SIGTERM)
        gateways.close()
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


class Gateways:
    """Gateways in forks of a process that has imported everything, so that each starts in a moment.

    Args:
        file: The configuration; the log is beside it.
    """

    def __init__(self, file: Path) -> None:
        self.log = file.parent / "gateway.log"
        self.log.touch()
        command = [sys.executable, "-m", "tests.faults.gateway_kills", "--serve", str(file)]
        # The modules of tests, where pytest is not there to add their folder.
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )

    def start(self) -> None:
        """Start a gateway."""
        assert self._server.stdin is not None
        self._server.stdin.write(b"start\n")
        self._pid = int(self._answer())

    def runs(self) -> bool:
        """Return whether the gateway runs."""
        return not select.select([self._server.stdout], [], [], 0)[0]

    def end(self, number: signal.Signals) -> None:
        """Send a signal to the gateway and wait until it has ended."""
        assert self.runs(), self.log.read_text()[-3000:]
        os.kill(self._pid, number)
        self._answer()

    def close(self) -> None:
        """End the process that forks."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)

    def _answer(self) -> bytes:
        assert self._server.stdout is not None
        return self._server.stdout.readline()


def serve(file: Path) -> None:
    """Fork a gateway for each line of the standard input; print its process, and that it has ended."""
    for name in (
        "highdicom",
        "lexiseg.cli.app",
        "lexiseg.gateway.service",
        "lexiseg.inference.predictor",
        "lexiseg.inference.writers.seg",
        "lexiseg.inference.writers.sr",
        "onnxruntime",
    ):
        importlib.import_module(name)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            log = os.open(file.parent / "gateway.log", os.O_WRONLY | os.O_APPEND)
            for number in (1, 2):
                os.dup2(log, number)
            sys.argv = ["lexiseg", "watch", str(file)]
            importlib.import_module("lexiseg.cli").main()
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


def _life(gateways: Gateways, draw: random.Random) -> str:
    """Start the gateway and kill it at a random moment; return when that was.

    The moment is some events after the start and a part of a second: so kills hit each step, on a quick
    machine and on a busy one.
    """
    begun = gateways.log.read_bytes().count(b"\n")
    gateways.start()
    events = 0 if draw.random() < DURING_START else draw.randint(1, MOST_EVENTS)
    end = time.monotonic() + LONGEST_WAIT_S
    while gateways.log.read_bytes().count(b"\n") < begun + events and time.monotonic() < end:
        time.sleep(0.005)
    wait = draw.uniform(0.0, 0.5)
    time.sleep(wait)
    gateways.end(signal.SIGKILL)
    return f"{wait:.2f} s after {events} events"


def _wait_until_done(gateways: Gateways, feeder: Feeder, count: int, archive: Archive) -> None:
    last, since = -1, time.monotonic()
    while feeder.confirmed < count or len(archive.objects) < 2 * count:
        assert gateways.runs(), gateways.log.read_text()[-3000:]
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
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = campaign(Path(folder), options.kills, options.seed)
    print(json.dumps(outcome.__dict__ | {"holds": outcome.holds, "seconds": round(time.monotonic() - began)}))
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
