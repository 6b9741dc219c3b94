"""A destination that results wait for and that the configuration does not have any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexiseg.errors import DataError
from lexiseg.gateway.destinations.destination import Parcel, Undelivered

#: Code of what waits for it.
MISSING = "LEX-DATA-1840"


class MissingDestination:
    """Takes nothing: its parcels wait until it is in the configuration again, or until they are given up.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Undelivered | None]:
        """Refuse parcels for now; see `lexiseg.gateway.destinations.destination.DestinationClient`."""
        for _ in parcels:
            error = DataError(
                f"The configuration has no destination {self._name!r}. Add one of this name; or try the "
                "image again, and its results go where its rule sends them.",
                code="LEX-DATA-1840",
            )
            yield Undelivered(error=error, final=False)
