"""A DICOMweb service as destination (STOW-RS)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import requests
from pydicom.dataset import Dataset

from lexiseg.clinic.dicomweb_client import BROKEN_ANSWER
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import DicomwebDestination
from lexiseg.gateway.connections.web_session import web_client
from lexiseg.gateway.destinations.destination import Parcel, Undelivered

# Answers after which the same object is refused again. Others, such as a missing right, can be mended at the
# service.
_FINAL = (400, 406, 409, 413, 415, 422)
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_PROCESSING_FAILURE = 0x0110


class DicomwebSender:
    """Sends results by STOW-RS, the objects of an image in one request.

    Args:
        settings: The service.

    Raises:
        UsageError: A file that the configuration names cannot be read.
    """

    def __init__(self, settings: DicomwebDestination) -> None:
        self._settings, self._client = settings, web_client(settings)

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Undelivered | None]:
        """Send parcels; see `lexiseg.gateway.destinations.destination.DestinationClient`."""
        for parcel in parcels:
            try:
                objects = parcel.read_objects()
            except DataError as error:
                yield Undelivered(error=error, final=True)
                continue
            yield self._send(objects)

    def _send(self, objects: Sequence[Dataset]) -> Undelivered | None:
        try:
            return self._failed(self._client.store_instances(objects))
        except requests.HTTPError as error:
            code = 0 if error.response is None else error.response.status_code
            refused = DataError(
                f"The service {self._settings.url} refused the objects of an image: HTTP {code}.",
                code="LEX-DATA-1247",
            )
            return Undelivered(error=refused, final=code in _FINAL)
        except (requests.RequestException, *BROKEN_ANSWER) as error:
            unreached = DataError(
                f"The service {self._settings.url} was not reached, or gave an answer that is no DICOMweb "
                f"({type(error).__name__}).",
                code="LEX-DATA-1248",
            )
            return Undelivered(error=unreached, final=False)

    def _failed(self, answer: Dataset) -> Undelivered | None:
        """Return what the service says of objects that it did not store."""
        reasons = [int(item.get("FailureReason") or 0) for item in answer.get("FailedSOPSequence") or []]
        if not reasons:
            return None
        shown = ", ".join(f"0x{reason:04X}" for reason in reasons)
        error = DataError(
            f"The service {self._settings.url} did not store all objects of an image: reason {shown}.",
            code="LEX-DATA-1249",
        )
        waits = all(reason in _OUT_OF_RESOURCES or reason == _PROCESSING_FAILURE for reason in reasons)
        return Undelivered(error=error, final=not waits)
