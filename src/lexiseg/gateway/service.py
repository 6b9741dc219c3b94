"""The gateway as a whole: it starts all parts, watches them, and stops them in order."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import assert_never

from lexiseg.errors import DiskError, LexisegError, UsageError
from lexiseg.files import disk_errors, make_folder
from lexiseg.gateway.configuration import (
    Destination,
    DicomDestination,
    DicomSource,
    DicomwebDestination,
    DicomwebSource,
    FolderDestination,
    FolderSource,
    GatewayConfiguration,
    Source,
)
from lexiseg.gateway.destinations.delivery import DeliveryWorker, longest_wait
from lexiseg.gateway.destinations.destination import DestinationClient
from lexiseg.gateway.destinations.dicom import DicomSender
from lexiseg.gateway.destinations.dicomweb import DicomwebSender
from lexiseg.gateway.destinations.folder import FolderClient
from lexiseg.gateway.destinations.missing import MISSING, MissingDestination
from lexiseg.gateway.event_log import EventLog
from lexiseg.gateway.monitoring import Figures, Health, MonitoringServer
from lexiseg.gateway.prediction.batch import load_predictors
from lexiseg.gateway.prediction.worker import MACHINE_FAILURES, PredictionWorker
from lexiseg.gateway.quarantine import answer_requests
from lexiseg.gateway.queue.age import begin_queue, note_age
from lexiseg.gateway.queue.durable_queue import QUEUE_FILE, Queue
from lexiseg.gateway.queue.faults import queue_errors
from lexiseg.gateway.queue.spool import Spool
from lexiseg.gateway.site_key import SiteKey
from lexiseg.gateway.sources.dicom_receiver import DicomReceiver
from lexiseg.gateway.sources.dicomweb import DicomwebReader
from lexiseg.gateway.sources.folder import FolderReader
from lexiseg.gateway.sources.intake import Intake
from lexiseg.gateway.sources.unreadable import UnreadableSourceError
from lexiseg.gateway.state import GatewayState
from lexiseg.outputs.folder_lock import FolderLock

# How names of parts that read a source begin.
_SOURCE = "source "
_LOCK_FILE = ".lexiseg.lock"
_IDLE_S = 0.2
_AFTER_FAILURE_S = 5.0
_SECONDS_PER_DAY = 86_400.0


@contextmanager
def opened_state(configuration: GatewayConfiguration, log: EventLog) -> Iterator[GatewayState]:
    """Open the state folder, and make its files fit the queue after a kill.

    Args:
        configuration: What the user wrote.
        log: Where events go.

    Raises:
        UsageError: Another gateway uses the folder, another program has locked the queue, or the site key
            cannot be used.
        DataError: The queue is missing beside images or results, is damaged or older than the last one, or is
            of another version.
        DiskError: There is no space or no permission, or the disk has a fault.
    """
    folder = configuration.state
    with disk_errors(folder):
        make_folder(folder)
    lock = FolderLock(folder / _LOCK_FILE)
    holder = lock.take()
    if holder is not None:
        raise UsageError(
            f"{folder} is in use: {holder} runs a gateway with it. Stop that one, or name another `state` "
            "folder.",
            code="LEX-USE-1237",
        )
    try:
        spool = Spool(folder)
        key = SiteKey.of_file(configuration.site_key_file, folder)
        # A new queue knows no image: beside files of an earlier one, it would have all of them removed.
        may_be_new = spool.is_empty()
        queue = Queue(folder / QUEUE_FILE, create=may_be_new)
        try:
            with queue_errors(folder / QUEUE_FILE):
                begin_queue(queue, folder, may_be_new=may_be_new)
                kept = queue.ids("waiting", "predicted", "done", "left_out")
                quarantined = queue.ids("quarantined")
                with_results = [*queue.ids("predicted", "done"), *quarantined]
            spool.tidy(with_image=kept, with_results=with_results, quarantined=quarantined)
            yield GatewayState(
                configuration=configuration, queue=queue, spool=spool, key=key, log=log, figures=Figures()
            )
            with contextlib.suppress(DiskError, sqlite3.OperationalError):
                note_age(queue, folder)
        finally:
            queue.close()
    finally:
        lock.release()


def delete_old(state: GatewayState) -> int:
    """Delete the files of images that are done or left out and old enough; return how many there are.

    Their hashes are forgotten later. An image that comes again after that is predicted again; its results
    have the same UIDs, so an archive gets no duplicate.
    """
    settings, now = state.configuration, time.time()
    if settings.delete_after_days is None:
        return 0
    ids = state.queue.ids("done", "left_out", before=now - settings.delete_after_days * _SECONDS_PER_DAY)
    for id in ids:
        # First the queue: files without a place in it are removed at the next start.
        state.queue.delete(id)
        state.spool.drop(id)
    if ids:
        state.log.write("deleted", count=len(ids))
    forgotten = state.queue.forget_deleted(now - settings.forget_after_days * _SECONDS_PER_DAY)
    if forgotten:
        state.log.write("forgotten", count=forgotten)
    return len(ids)


def correct_times(state: GatewayState) -> None:
    """Correct the times of the queue that cannot be, and log how many there were."""
    corrected = state.queue.correct_times(longest_wait(state.configuration.retries))
    if corrected.images:
        state.log.write("clock_set_back", level="warning", count=corrected.images)
    if corrected.waits:
        # The clock may be right: `retries.longest_s` is less than at the last start.
        state.log.write("waits_shortened", level="warning", count=corrected.waits)


def keep_age(state: GatewayState) -> None:
    """Note how far the queue is, so that an older copy of it is noticed also after a kill."""
    note_age(state.queue, state.spool.state)


#: What is done now and then, and the seconds between.
_TASKS: Mapping[Callable[[GatewayState], object], float] = {
    answer_requests: 2.0,
    correct_times: 30.0,
    keep_age: 30.0,
    delete_old: 60.0,
}


class Gateway:
    """Runs sources, prediction, deliveries and monitoring in threads, until it is stopped.

    Args:
        state: The shared parts, opened.

    Attributes:
        monitoring_port: Port of the monitoring; None without one.
        ports: Port of each DICOM source, by name.

    Raises:
        RunError: A run is missing or damaged.
        UsageError: A port is in use, or a file that the configuration names is missing.
    """

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._failing: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self._stack = ExitStack()
        self._dicomweb: dict[str, DicomwebReader] = {}
        self.monitoring_port: int | None = None
        self.ports: dict[str, int] = {}
        configuration = state.configuration
        # No result gets another destination than those of the configuration: these do not become more.
        self._missing = sorted(state.queue.pending().keys() - configuration.destinations.keys())
        predictors = load_predictors(configuration)
        workers: dict[str, tuple[Callable[[], bool], float]] = {
            "prediction": (PredictionWorker(state, predictors).step, _IDLE_S)
        }
        for name, destination in configuration.destinations.items():
            client = _client(destination)
            workers[f"destination {name}"] = (DeliveryWorker(state, name, client).step, _IDLE_S)
        for name in self._missing:
            missing = MissingDestination(name)
            workers[f"destination {name}"] = (DeliveryWorker(state, name, missing).step, _IDLE_S)
        try:
            self._start(configuration, workers)
        except BaseException:
            self.close()
            raise

    def _start(
        self, configuration: GatewayConfiguration, workers: Mapping[str, tuple[Callable[[], bool], float]]
    ) -> None:
        intake = Intake(self._state)
        if configuration.monitoring is not None:
            server = MonitoringServer(configuration.monitoring, self._state.figures, self.health)
            self._stack.callback(server.close)
            self.monitoring_port = server.port
        for name, (step, pause) in workers.items():
            self._run(name, step, pause)
        for name, source in configuration.sources.items():
            self._start_source(name, source, intake)
        for rule in configuration.rules:
            if not rule.send_to:
                self._state.log.write("rule_sends_nowhere", level="warning", rule=rule.name)
        for name, count in self._waiting_for_missing().items():
            self._state.log.write(
                "destination_missing", level="warning", destination=name, count=count, code=MISSING
            )
        self._state.log.write("started", count=self._state.queue.open_images())

    def _start_source(self, name: str, source: Source, intake: Intake) -> None:
        match source:
            case FolderSource():
                _require_folder(name, source.path)
                self._run(
                    f"{_SOURCE}{name}", FolderReader(self._state, name, source, intake).step, source.every_s
                )
            case DicomSource():
                receiver = DicomReceiver(self._state, name, source, intake)
                self._stack.callback(receiver.close)
                self.ports[name] = receiver.port
            case DicomwebSource():
                reader = DicomwebReader(self._state, name, source, intake)
                self._dicomweb[name] = reader
                self._run(f"{_SOURCE}{name}", reader.step, source.every_s)
            case _:
                assert_never(source)

    def health(self) -> Health:
        """Return the state of the gateway at this moment."""
        failures = [f"{name}: {error}" for name, error in sorted(self._failing.copy().items())]
        for name, count in self._waiting_for_missing().items():
            failures.append(
                f"destination {name}: {count} images wait for it, and the configuration does not have it; "
                f"add it, or they go into quarantine after retries.give_up_h ({MISSING})"
            )
        if self._failure is not None:
            failures.append(f"stopped: {type(self._failure).__name__}")
        not_fetched = {name: reader.not_fetched for name, reader in self._dicomweb.copy().items()}
        return self._state.health(tuple(failures), not_fetched=not_fetched)

    def _waiting_for_missing(self) -> dict[str, int]:
        """Return how many images wait for each destination that the configuration does not have."""
        pending = self._state.queue.pending() if self._missing else {}
        return {name: pending[name] for name in self._missing if name in pending}

    def run(self) -> None:
        """Work until `stop` is called.

        Raises:
            BaseException: What ended a part of the gateway that nothing handles.
        """
        due = dict.fromkeys(_TASKS, 0.0)
        while not self._stop.wait(_IDLE_S):
            for task in [task for task, moment in due.items() if time.monotonic() >= moment]:
                due[task] = time.monotonic() + _TASKS[task]
                with contextlib.suppress(*MACHINE_FAILURES):  # it is tried again after the pause
                    task(self._state)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ask all parts to end after their present step."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait until all parts have ended."""
        self._stop.set()
        self._stack.close()
        for thread in self._threads:
            thread.join()
        if self._threads:
            self._state.log.write("stopped", count=self._state.queue.open_images())
            self._threads = []

    def _run(self, name: str, step: Callable[[], bool], pause: float) -> None:
        """Repeat a step in a thread; without work it pauses."""

        def work() -> None:
            try:
                while not self._stop.is_set():
                    self._stop.wait(self._step(name, step, pause))
            except BaseException as error:
                self._failure = error
                self._stop.set()

        thread = threading.Thread(target=work, name=f"lexiseg {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _step(self, name: str, step: Callable[[], bool], pause: float) -> float:
        """Do one step; return the seconds until the next one."""
        try:
            worked = step()
        except UnreadableSourceError as error:
            # Once, as passes may come every second; health names it as long as it lasts.
            if self._failing.get(name) != error.reason:
                self._failing[name] = error.reason
                source = name.removeprefix(_SOURCE)
                self._state.log.write(
                    "source_unreachable", level="warning", source=source, error=error.reason
                )
            return pause
        except MACHINE_FAILURES as error:
            self._failing[name] = type(error).__name__
            code = error.code if isinstance(error, LexisegError) else None
            self._state.log.write("failing", level="error", error=type(error).__name__, code=code)
            return _AFTER_FAILURE_S
        self._failing.pop(name, None)
        return 0.0 if worked else pause


def _client(destination: Destination) -> DestinationClient:
    match destination:
        case FolderDestination():
            return FolderClient(destination)
        case DicomDestination():
            return DicomSender(destination)
        case DicomwebDestination():
            return DicomwebSender(destination)
        case _:
            assert_never(destination)


def _require_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(
            f"The folder {folder} of source {name!r} does not exist. Create it, or correct `path`.",
            code="LEX-USE-1238",
        )
