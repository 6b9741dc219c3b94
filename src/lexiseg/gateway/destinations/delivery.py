"""The delivery worker: it sends results to one destination, and tries again what failed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from lexiseg.errors import DataError
from lexiseg.gateway.configuration import Retries
from lexiseg.gateway.destinations.destination import DestinationClient, Parcel, Undelivered
from lexiseg.gateway.queue.durable_queue import DueDelivery
from lexiseg.gateway.state import GatewayState

_SECONDS_PER_HOUR = 3600.0
# Waits differ by this share, so that many parcels do not come at one moment.
_SPREAD = 0.1


def longest_wait(retries: Retries) -> float:
    """Return the seconds that no delivery waits longer for its next try."""
    return retries.longest_s * (1 + _SPREAD)


class DeliveryWorker:
    """Sends the results that are due to one destination.

    Args:
        state: The shared parts of the gateway.
        name: Name of the destination.
        client: Sends to it.
    """

    def __init__(self, state: GatewayState, name: str, client: DestinationClient) -> None:
        self._state, self._name, self._client = state, name, client

    def step(self) -> bool:
        """Send what is due, a batch at a time; return whether there was any.

        Raises:
            DiskError: There is no space or no permission for the queue or the quarantine.
        """
        due = self._state.queue.due(self._name, self._state.configuration.batch)
        if not due:
            return False
        spool = self._state.spool
        parcels = [
            Parcel(id=one.image.id, image=spool.image(one.image.id), results=spool.results(one.image.id))
            for one in due
        ]
        self._deliver(due, parcels)
        return True

    def _deliver(self, due: Sequence[DueDelivery], parcels: Sequence[Parcel]) -> None:
        for delivery, outcome in zip(due, self._client.deliver(parcels), strict=True):
            if outcome is None:
                self._arrived(delivery)
            elif outcome.final:
                self._refused(delivery, outcome)
            else:
                self._failed(delivery, outcome)

    def _arrived(self, delivery: DueDelivery) -> None:
        state, image = self._state, delivery.image
        settled = state.queue.delivered(image.id, self._name)
        seconds = time.time() - image.received
        state.figures.sent.labels(self._name).inc()
        state.figures.seconds.labels(self._name).observe(max(0.0, seconds))
        state.log.write("sent", image=image.id, destination=self._name, rule=image.rule, seconds=seconds)
        if settled == "quarantined":
            state.note_quarantine(image.id, image.code, source=image.source, rule=image.rule)

    def _failed(self, delivery: DueDelivery, outcome: Undelivered) -> None:
        state, image, retries = self._state, delivery.image, self._state.configuration.retries
        if time.time() - image.changed > retries.give_up_h * _SECONDS_PER_HOUR:
            error = DataError(
                f"{self._name} did not take the results within {retries.give_up_h:g} h: {outcome.error}",
                code="LEX-DATA-1242",
            )
            self._refused(delivery, Undelivered(error=error, final=True))
            return
        wait = min(retries.longest_s, retries.first_s * 2 ** min(delivery.attempts, 30))
        wait *= 1 + random.uniform(-_SPREAD, _SPREAD)
        state.queue.postpone(image.id, self._name, wait)
        state.figures.put_back.labels(self._name).inc()
        state.log.write(
            "delivery_failed",
            level="warning",
            image=image.id,
            destination=self._name,
            code=outcome.error.code,
            seconds=wait,
        )

    def _refused(self, delivery: DueDelivery, outcome: Undelivered) -> None:
        state, image, error = self._state, delivery.image, outcome.error
        state.explain(image.id, error, source=image.source, rule=image.rule, destination=self._name)
        if state.queue.refused(image.id, self._name, error.code) == "quarantined":
            code = image.code or error.code
            state.note_quarantine(image.id, code, source=image.source, rule=image.rule)
