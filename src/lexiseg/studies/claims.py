"""Claims: which process works on which arm, told by files in a folder that machines share.

The claim on an arm is a file `NAME.1`, made with O_EXCL, so that only one process can make it. Its owner
touches it again and again (the heartbeat). Where the heartbeat has stopped for too long, another process
takes over by making `NAME.2`, which again only one can; the highest number holds the arm. An owner that
finds a higher number than its own, as after its machine slept, stops.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import platform
import re
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from lexiseg.errors import DiskError
from lexiseg.files import disk_errors

#: Minutes without a heartbeat after which an arm may be taken over.
STALE_MINUTES = 10.0
_LONGEST_BEAT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A claim file, as others see it.

    Attributes:
        file: The file.
        number: How often the arm was claimed or taken over.
        who: Its content: host, pid, time; empty where it could not be read.
        silent: Seconds since the last heartbeat, by the clock of the folder's file system.
    """

    file: Path
    number: int
    who: dict[str, Any]
    silent: float

    @property
    def shown(self) -> str:
        """Who holds it, for a person."""
        if not self.who:
            return "an unknown process"
        return f"process {self.who.get('pid')} on {self.who.get('host')}, since {self.who.get('since')}"


class Claims:
    """The claims on the arms of one audit.

    Args:
        folder: Where the files are; made if needed.
        stale_minutes: Minutes without a heartbeat after which a claim may be taken over.
        say: Told of every take-over.
    """

    def __init__(
        self, folder: Path, *, stale_minutes: float = STALE_MINUTES, say: Callable[[str], None] = print
    ) -> None:
        self.folder = folder
        self.stale_seconds = 60 * stale_minutes
        self.say = say
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> Claim | None:
        """Claim an arm, taking over a claim that has died; None if it is another process's.

        Raises:
            DiskError: The folder cannot be written to.
        """
        holder = self.holder(name)
        number = 1
        if holder is not None:
            died = _died(holder.who)
            if not died and holder.silent < self.stale_seconds:
                return None
            number = holder.number + 1
        claim = Claim(self, name, number)
        if not claim.make():
            return None
        if holder is not None:
            why = "has died" if _died(holder.who) else f"has been silent for {holder.silent / 60:.1f} minutes"
            self.say(f"{name}: taken over from {holder.shown}, which {why}.")
        return claim

    def holder(self, name: str) -> Holder | None:
        """Return who holds an arm; None if nobody does."""
        pattern = re.compile(re.escape(name) + r"\.(\d+)")
        numbers = [int(m[1]) for m in map(pattern.fullmatch, _names(self.folder)) if m is not None]
        if not numbers:
            return None
        file = self.folder / f"{name}.{max(numbers)}"
        try:
            silent = self._now() - file.stat().st_mtime
        except FileNotFoundError:  # released just now
            return self.holder(name)
        return Holder(file=file, number=max(numbers), who=_read(file), silent=silent)

    def _now(self) -> float:
        """Return the time by the clock of the file system, since those of two machines may differ."""
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".now-") as probe:
                return os.fstat(probe.fileno()).st_mtime
        except OSError as error:
            raise DiskError(
                f"No permission or no space to write in {self.folder}: {error}.", code="LEX-DISK-006"
            ) from error


class Claim:
    """One arm, held; a context that keeps the heartbeat going and ends with the release.

    Where another process has taken the arm over, the work inside is interrupted, and the context swallows
    that interrupt and sets `lost`. It must run in the main thread, as only that can be interrupted.
    """

    def __init__(self, claims: Claims, name: str, number: int) -> None:
        self.claims, self.name, self.number = claims, name, number
        self.file = claims.folder / f"{name}.{number}"
        self.lost = False
        self._token = uuid.uuid4().hex  # numbers start again once an arm is released, so they tell no owner
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"heartbeat of {name}")

    def make(self) -> bool:
        """Make the file; returns False if another process was faster."""
        who = {**_myself(), "token": self._token, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            with disk_errors(self.file), open(self.file, "x", encoding="utf-8") as file:
                json.dump(who, file)
        except FileExistsError:
            return False
        holder = self.claims.holder(self.name)
        if holder is None or holder.number != self.number:
            self._remove()
            return False
        for number in range(1, self.number):
            (self.claims.folder / f"{self.name}.{number}").unlink(missing_ok=True)
        return True

    def __enter__(self) -> Claim:
        self._handler = signal.getsignal(signal.SIGINT)
        if self._handler == signal.SIG_IGN:  # as under nohup: nobody could interrupt the work, this claim too
            signal.signal(signal.SIGINT, self._interrupt)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._end.set()
        self._thread.join()
        self._remove()
        # Lightning answers an interrupt by ignoring all further ones; this process has more to do.
        if self.lost or self._handler == signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._handler)
        if self.lost:
            self.claims.say(f"{self.name}: another process has taken this arm over, so it was left to it.")
        return self.lost and kind is not None and issubclass(kind, KeyboardInterrupt)

    def _beat(self) -> None:
        seconds = min(_LONGEST_BEAT_SECONDS, self.claims.stale_seconds / 4)
        while not self._end.wait(seconds):
            # A folder that cannot be reached for a while costs heartbeats, and in the end the claim.
            with contextlib.suppress(OSError, DiskError):
                holder = self.claims.holder(self.name)
                if holder is None or holder.number != self.number or not self._owned():
                    self.lost = True
                    _thread.interrupt_main()
                    return
                os.utime(self.file)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.lost:
            raise KeyboardInterrupt

    def _owned(self) -> bool:
        return _read(self.file).get("token") == self._token

    def _remove(self) -> None:
        if self._owned():
            self.file.unlink(missing_ok=True)


def share_out(
    names: list[str],
    *,
    is_done: Callable[[str], bool],
    work: Callable[[str], None],
    claims: Claims,
    poll_seconds: float = 10.0,
) -> None:
    """Do all pieces of work that are not done, together with any other process that does the same.

    Args:
        names: The pieces, in the order they should be done.
        is_done: Whether a piece is done, by anybody; told by its files.
        work: Does a piece; called while it is claimed.
        claims: The claims on them.
        poll_seconds: Pause before looking again at pieces that others work on.

    Raises:
        LexisegError: Whatever `work` raises; the piece is released by then.
    """
    told: set[str] = set()
    while True:
        others = []
        for name in names:
            if is_done(name):
                continue
            claim = claims.take(name)
            if claim is None:
                others.append(name)
                continue
            with claim:
                # It may have been finished between the first look and the claim.
                if not is_done(name):
                    work(name)
        if all(is_done(name) for name in names):
            return
        for name in set(others) - told:
            holder = claims.holder(name)
            if holder is not None:
                claims.say(f"{name}: worked on by {holder.shown}; waiting for it.")
                told.add(name)
        time.sleep(poll_seconds)


def _names(folder: Path) -> list[str]:
    with disk_errors(folder):
        return os.listdir(folder)


def _read(file: Path) -> dict[str, Any]:
    """Return a claim's content; empty if it is just being written or is damaged."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _myself() -> dict[str, Any]:
    return {"host": platform.node(), "pid": os.getpid(), "processes": _process_space()}


def _process_space() -> str | None:
    """Return what tells one running system, or container, from another of the same name; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _died(who: dict[str, Any]) -> bool:
    """Say whether a claim's process is known to be gone: one of this system that does not run any more."""
    space, pid = who.get("processes"), who.get("pid")
    if space is None or space != _process_space() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
