"""Claims: which process works on which trial, in a folder that machines share.

A claim is a lease of the package filelock: a file that its owner touches regularly (the heartbeat). Another
process takes the claim over if the owner's process has died, or if the heartbeat has stopped for too long. An
owner whose claim was taken over, for example while its machine slept, stops its work.
"""

from __future__ import annotations

import _thread
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from lexiseg.errors import UsageError
from lexiseg.files import disk_errors, make_folder

#: Minutes without a heartbeat after which a claim may be taken over.
STALE_MINUTES = 10.0
#: Longest time between two heartbeats, in seconds.
_LONGEST_BEAT = 30.0


class Claims:
    """The claims on the trials of one study.

    Args:
        folder: Where the files are; made if needed.
        stale_minutes: Minutes without a heartbeat after which a claim may be taken over; the same in every
            process that shares the folder.
        say: Receives a message about every claim that is taken over.
    """

    def __init__(
        self, folder: Path, *, stale_minutes: float = STALE_MINUTES, say: Callable[[str], None] = print
    ) -> None:
        self.folder = folder
        self.stale_seconds = 60 * stale_minutes
        self.say = say
        # A lease measures how long it has seen another's claim unchanged, so each is kept.
        self._leases: dict[str, SoftFileLease] = {}
        self._claims: dict[str, Claim] = {}
        with disk_errors(folder):
            make_folder(folder)

    def take(self, name: str) -> Claim | None:
        """Claim a trial; None if another process holds it.

        Raises:
            DiskError: The folder cannot be written to.
            UsageError: The other process uses another `stale_minutes`.
        """
        lease = self._lease(name)
        before = self.holder(name)
        self._claims[name] = claim = Claim(self, name, lease)
        with disk_errors(Path(lease.lock_file)):
            try:
                # Time for two attempts: one removes the file of a dead process, the next makes a new one.
                lease.acquire(timeout=0.05, poll_interval=0.02)
            except Timeout:
                return None
            except LeaseSettingsMismatch as error:
                raise UsageError(
                    f"Another process works on {name} with a different --stale-minutes ({error}). Start all "
                    f"processes with the same --stale-minutes.",
                    code="LEX-USE-551",
                ) from error
        if before is not None:
            self.say(f"{name}: taken over from {before}, which has died or sends no heartbeat.")
        return claim

    def holder(self, name: str) -> str | None:
        """Return which process holds a trial, for a person; None if nobody does."""
        lease = self._lease(name)
        owner = lease.owner
        if owner is not None:
            return f"process {owner.pid} on {owner.hostname}"
        return "an unknown process" if Path(lease.lock_file).exists() else None

    def _lease(self, name: str) -> SoftFileLease:
        if name not in self._leases:
            self._leases[name] = SoftFileLease(
                str(self.folder / f"{name}.claim"),
                lease_duration=self.stale_seconds,
                heartbeat_interval=min(_LONGEST_BEAT, self.stale_seconds / 4),
                on_compromise=lambda _: self._claims[name].lose(),
                thread_local=False,
            )
        return self._leases[name]


class Claim:
    """A claimed trial: a context that releases the claim at its end.

    If another process takes the trial over, the work inside is interrupted; the context suppresses that
    interrupt and sets `lost`. It must run in the main thread, because only that can be interrupted.
    """

    def __init__(self, claims: Claims, name: str, lease: SoftFileLease) -> None:
        self.claims, self.name, self.lease = claims, name, lease
        self.lost = False
        self._inside = False

    def lose(self) -> None:
        """Interrupt the work; the heartbeat calls this when the claim is another process's."""
        self.lost = True
        if self._inside:
            _thread.interrupt_main()

    def __enter__(self) -> Claim:
        self._handler = signal.getsignal(signal.SIGINT)
        if self._handler == signal.SIG_IGN:  # as under nohup: nobody could interrupt the work, this claim too
            signal.signal(signal.SIGINT, self._interrupt)
        self._inside = True
        if self.lost:
            _thread.interrupt_main()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._inside = False
        self.lease.release()
        # Lightning answers an interrupt by ignoring all further ones; this process has more to do.
        if self.lost or self._handler == signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._handler)
        if self.lost:
            self.claims.say(f"{self.name}: another process has taken this over, so this process leaves it.")
        return self.lost and kind is not None and issubclass(kind, KeyboardInterrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.lost:
            raise KeyboardInterrupt


def share_out(
    names: Sequence[str],
    *,
    is_done: Callable[[str], bool],
    work: Callable[[str], str | None],
    claims: Claims,
    poll_seconds: float = 10.0,
) -> None:
    """Do all pieces of work that are not done, together with any other process that does the same.

    Args:
        names: The pieces, in the order they should be done.
        is_done: Whether a piece is done, by any process; its files tell.
        work: Does a piece; called while it is claimed. It returns None, or who keeps it from being done now.
        claims: The claims on them.
        poll_seconds: Pause before looking again at pieces that others work on.

    Raises:
        LexisegError: Whatever `work` raises; the piece is released by then.
    """
    announced: set[str] = set()
    while True:
        others: dict[str, str | None] = {}
        for name in names:
            if is_done(name):
                continue
            claim = claims.take(name)
            if claim is None:
                others[name] = claims.holder(name)
                continue
            with claim:
                # It may have been finished between the first look and the claim.
                hindered = None if is_done(name) else work(name)
                if hindered is not None:
                    others[name] = hindered
        if all(is_done(name) for name in names):
            return
        for name, holder in others.items():
            if holder is not None and name not in announced:
                claims.say(f"{name}: worked on by {holder}; waiting for it.")
                announced.add(name)
        time.sleep(poll_seconds)
