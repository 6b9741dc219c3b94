"""What all parts of a gateway share: its configuration, queue, files, log, figures and site key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from lexiseg.errors import LexisegError
from lexiseg.gateway.configuration import GatewayConfiguration
from lexiseg.gateway.event_log import EventLog
from lexiseg.gateway.monitoring import Figures, Health
from lexiseg.gateway.queue.durable_queue import Queue
from lexiseg.gateway.queue.quarantine_record import QuarantineRecord, identity_of, reason_and_advice
from lexiseg.gateway.queue.spool import Spool
from lexiseg.gateway.site_key import SiteKey


@dataclass(frozen=True, kw_only=True)
class GatewayState:
    """The shared parts of a gateway.

    Attributes:
        configuration: What the user wrote.
        queue: The durable queue.
        spool: The files.
        key: The site key.
        log: The log.
        figures: The figures.
    """

    configuration: GatewayConfiguration
    queue: Queue
    spool: Spool
    key: SiteKey
    log: EventLog
    figures: Figures

    def quarantine(self, id: str, error: LexisegError, *, source: str, rule: str = "") -> None:
        """Put an image into quarantine, with the reason.

        Args:
            id: The image.
            error: The reason.
            source: Name of its source.
            rule: Name of its rule; empty where none was applied.

        Raises:
            DiskError: There is no space or no permission.
        """
        self.explain(id, error, source=source, rule=rule)
        self.queue.settle(id, "quarantined", code=error.code, rule=rule)
        self.note_quarantine(id, error.code, source=source, rule=rule)

    def explain(
        self, id: str, error: LexisegError, *, source: str, rule: str = "", destination: str = ""
    ) -> None:
        """Write the reason of an image that goes into quarantine, before the queue says that it is there.

        Args:
            id: The image.
            error: The reason.
            source: Name of its source.
            rule: Name of its rule; empty where none was applied.
            destination: Name of the destination that has not got its results; empty where the reason is
                another one.

        Raises:
            DiskError: There is no space or no permission.
        """
        reason, advice = reason_and_advice(error, self.spool.state)
        image = self.spool.image(id)
        self.spool.explain(
            id,
            QuarantineRecord(
                image=image.name,
                object=identity_of(image),
                source=source,
                rule=rule,
                destination=destination,
                code=error.code,
                reason=reason,
                advice=advice,
            ),
        )

    def note_quarantine(self, id: str, code: str, *, source: str, rule: str) -> None:
        """Move an image that the queue says is in quarantine, and write it into log and figures."""
        self.spool.to_quarantine(id)
        self.figures.quarantined.labels(code).inc()
        self.log.write("quarantined", level="warning", image=id, source=source, rule=rule or None, code=code)

    def full(self) -> str | None:
        """Return why no more images are taken at the moment; None if they are."""
        limits = self.configuration.limits
        if self.spool.free_bytes() < limits.free_disk_mb * 1e6:
            return "disk full"
        if self.queue.open_images() >= limits.queue:
            return "queue full"
        return None

    def health(
        self, failures: tuple[str, ...] = (), *, not_fetched: Mapping[str, int] | None = None
    ) -> Health:
        """Return the state of the gateway at this moment.

        Args:
            failures: What else is wrong.
            not_fetched: Number of images that each DICOMweb source lists and does not give.
        """
        full, oldest = self.full(), self.queue.oldest_open()
        return Health(
            problems=failures if full is None else (*failures, full),
            images={str(state): count for state, count in self.queue.counts().items()},
            oldest_open_s=0.0 if oldest is None else max(0.0, time.time() - oldest),
            free_bytes=self.spool.free_bytes(),
            not_fetched=not_fetched or {},
        )
