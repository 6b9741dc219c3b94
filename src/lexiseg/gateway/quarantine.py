"""The quarantine as a person sees it: which objects are in it, and what shall become of them.

Only one process at a time changes a state folder. While a gateway runs, a request is a file beside the image,
and the gateway does what it asks for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lexiseg.errors import DataError, UsageError
from lexiseg.files import write_text
from lexiseg.gateway.queue.quarantine_record import QuarantineRecord
from lexiseg.gateway.queue.spool import IMAGE_SUFFIX, QUARANTINE, REASON_SUFFIX
from lexiseg.gateway.state import GatewayState
from lexiseg.json_records import Record, read_record

#: What a person asks for: the image is segmented and sent again; the image and its results are removed.
Action = Literal["retry", "drop"]

# First what is removed: another object with the same UID can be tried again afterwards.
_ACTIONS: tuple[Action, ...] = ("drop", "retry")

#: Code of an object whose UID an object with another content has.
CONFLICT = "LEX-DATA-1232"


class QuarantinedObject(Record):
    """An object in quarantine.

    Attributes:
        id: Its id, as in the log.
        since: When it came into quarantine, as far as the disk knows.
        why: What is wrong with it; None where the file of the reason is missing or damaged.
    """

    id: str
    since: datetime
    why: QuarantineRecord | None


def quarantined_objects(state: Path) -> list[QuarantinedObject]:
    """Return what is in quarantine, oldest first.

    Args:
        state: The state folder.
    """
    found = []
    # A reason without its image is that of an image whose other results are still on their way.
    for image in (state / QUARANTINE).glob(f"*{IMAGE_SUFFIX}"):
        try:
            why = read_record(image.with_suffix(REASON_SUFFIX), QuarantineRecord, remedy="")
        except DataError:
            why = None
        # The gateway may move it away at any moment.
        with contextlib.suppress(FileNotFoundError):
            since = datetime.fromtimestamp(image.stat().st_ctime, UTC)
            found.append(QuarantinedObject(id=image.stem, since=since, why=why))
    return sorted(found, key=lambda one: (one.since, one.id))


def chosen_ids(found: Sequence[QuarantinedObject], wanted: Sequence[str]) -> list[str]:
    """Return the ids that a person chose; all if none was chosen.

    Args:
        found: What is in quarantine.
        wanted: Ids, or their first digits.

    Raises:
        UsageError: No id, or more than one, starts like this.
    """
    chosen = []
    for start in wanted:
        fitting = [one.id for one in found if one.id.startswith(start)]
        if len(fitting) != 1:
            raise UsageError(
                f"{len(fitting)} objects in quarantine have an id that starts with {start!r}; expected one. "
                "`--quarantine list` shows the ids.",
                code="LEX-USE-1404",
            )
        chosen += fitting
    return list(dict.fromkeys(chosen)) if wanted else [one.id for one in found]


def request(state: Path, ids: Iterable[str], action: Action) -> None:
    """Ask the gateway that runs with a state folder to act on objects in quarantine.

    Raises:
        DiskError: There is no space or no permission.
    """
    for id in ids:
        write_text(state / QUARANTINE / f"{id}.{action}", "")


def answer_requests(state: GatewayState) -> None:
    """Do what was asked for with `request` since the last call."""
    for action in _ACTIONS:
        files = list((state.spool.state / QUARANTINE).glob(f"[!.]*.{action}"))
        act(state, [file.stem for file in files], action)
        for file in files:
            file.unlink(missing_ok=True)


def act(state: GatewayState, ids: Sequence[str], action: Action) -> list[str]:
    """Let objects of the quarantine be segmented again, or remove them.

    An object whose UID another object has is not segmented: the results of both would have one UID.

    Args:
        state: The shared parts of the gateway.
        ids: The objects; those that are not in quarantine any more are left alone.
        action: What becomes of them.

    Returns:
        The objects that were acted on.
    """
    present = set(state.queue.ids("quarantined"))
    done = []
    for id in filter(present.__contains__, ids):
        if action == "drop":
            # First the queue: files without a place in it are removed at the next start.
            state.queue.forget(id)
            state.spool.drop(id)
        elif _is_in_conflict(state, id):
            state.log.write("stays_in_quarantine", level="warning", image=id, code=CONFLICT)
            continue
        else:
            state.spool.from_quarantine(id)
            state.queue.requeue(id)
        done.append(id)
    if done:
        state.log.write("requeued" if action == "retry" else "dropped", count=len(done))
    return done


def _is_in_conflict(state: GatewayState, id: str) -> bool:
    image = state.queue.get(id)
    return image is not None and image.code == CONFLICT and state.queue.shares_uid(id)
