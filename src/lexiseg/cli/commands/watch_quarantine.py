"""The quarantine of a gateway on the command line: `lexiseg watch CONFIG --quarantine ...`."""

from __future__ import annotations

import io
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Literal

from lexiseg.cli.terminal.messages import say
from lexiseg.cli.terminal.output_mode import show_result
from lexiseg.errors import UsageError
from lexiseg.extras import load_module

if TYPE_CHECKING:
    from lexiseg.gateway.configuration import GatewayConfiguration
    from lexiseg.gateway.quarantine import Action, QuarantinedObject


#: What is done with the quarantine: it is listed, or one of the actions of `lexiseg.gateway.quarantine`, a
#: module that the base installation cannot import.
QuarantineAction = Literal["list", "retry", "drop"]

#: Code of the error where a gateway runs with the state folder.
_IN_USE = "LEX-USE-1237"

_RUNNING = {
    "retry": "Objects that the running gateway tries again within seconds",
    "drop": "Objects that the running gateway removes within seconds",
}
_STOPPED = {
    "retry": "Objects that the gateway tries again when it starts",
    "drop": "Objects that are removed",
}
# Why `retry` leaves an object where it is.
_STAY = (
    "Objects stay in quarantine while the gateway knows another one with the same SOP instance UID, because "
    "the results would have one UID. Where both are in quarantine, drop the wrong one; else correct the UID "
    "in the system that made the object, and send it again"
)


def manage_quarantine(
    settings: GatewayConfiguration, action: QuarantineAction, wanted: Sequence[str]
) -> None:
    """List the quarantine of a gateway, or let objects of it be tried again or removed.

    Args:
        settings: The configuration of the gateway, which may run.
        action: What is done.
        wanted: Ids of objects, or their first digits; all if empty.

    Raises:
        UsageError: There is no such id, or objects shall be removed and none is named.
        DataError: The queue is damaged.
        DiskError: There is no space or no permission.
    """
    quarantine = load_module("lexiseg.gateway.quarantine")
    found: list[QuarantinedObject] = quarantine.quarantined_objects(settings.state)
    ids: list[str] = quarantine.chosen_ids(found, wanted)
    if action == "list":
        _show([one for one in found if one.id in set(ids)])
        return
    if action == "drop" and not wanted:
        raise UsageError(
            "--quarantine drop removes objects for good. Name each one with --image ID; `--quarantine list` "
            "shows the ids.",
            code="LEX-USE-1405",
        )
    if not ids:
        say("The quarantine is empty.")
        show_result([])
        return
    conflicts = {one.id for one in found if one.why is not None and one.why.code == quarantine.CONFLICT}
    show_result(_act(settings, ids, action, conflicts))


def _act(
    settings: GatewayConfiguration, ids: Sequence[str], action: Action, conflicts: Set[str]
) -> list[str]:
    """Act on objects, or ask the gateway that runs to do so; return those that were acted on or asked for.

    Args:
        settings: The configuration of the gateway.
        ids: The objects.
        action: What is done.
        conflicts: Objects that came with the UID of another one.
    """
    quarantine, service = load_module("lexiseg.gateway.quarantine"), load_module("lexiseg.gateway.service")
    log = load_module("lexiseg.gateway.event_log").EventLog(io.StringIO())
    try:
        with service.opened_state(settings, log) as state:
            done: list[str] = quarantine.act(state, ids, action)
    except UsageError as error:
        if error.code != _IN_USE:
            raise
        quarantine.request(settings.state, ids, action)
        say(f"{_RUNNING[action]}: {len(ids)}.")
        if action == "retry" and conflicts & set(ids):
            say(f"{_STAY}.")
        return list(ids)
    say(f"{_STOPPED[action]}: {len(done)}.")
    kept = (conflicts & set(ids)) - set(done)
    if action == "retry" and kept:
        say(f"{_STAY}: {len(kept)}.")
    return done


def _show(found: Sequence[QuarantinedObject]) -> None:
    show_result(found)
    for one in found:
        say(f"{one.id}, since {one.since:%Y-%m-%d %H:%M} UTC")
        if one.why is None:
            say("  The reason is lost. Try it again: if it fails again, the reason is stated.")
            continue
        why, about = one.why, one.why.object
        came = [f"source {why.source}", why.rule and f"rule {why.rule}"]
        came.append(why.destination and f"destination {why.destination}")
        say(f"  [{why.code}] {', '.join(filter(None, came))}")
        named = [
            about.sop_class,
            about.sop_instance_uid and f"SOP instance UID {about.sop_instance_uid}",
            about.study_instance_uid and f"study instance UID {about.study_instance_uid}",
        ]
        say(f"  {', '.join(filter(None, named)) or 'It states no UID.'}")
        say(f"  {why.reason}")
        say(f"  {why.advice}")
    say(
        f"Objects in quarantine: {len(found)}. `--quarantine retry` tries all again, or one with `--image "
        "ID`; `--quarantine drop --image ID` removes one for good."
        if found
        else "The quarantine is empty."
    )
