"""An archive as destination: a service class user of C-STORE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from lexiseg.clinic.segmentation_object import SEGMENTATION_CLASSES
from lexiseg.errors import DataError
from lexiseg.gateway.configuration import DicomDestination
from lexiseg.gateway.connections.tls_contexts import client_context
from lexiseg.gateway.destinations.destination import Parcel, Undelivered

_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

# Status of C-STORE (PS3.4 B.2.3, PS3.7 C): stored, also with changes of values; and what helps to wait for.
_STORED = (0x0000, 0xB000, 0xB006, 0xB007)
_TEMPORARY = (0x0110, 0x0124, 0x0210, 0x0212)
_OUT_OF_RESOURCES = range(0xA700, 0xA800)

# Names of SOP classes that pydicom does not know.
_NAMES = {SEGMENTATION_CLASSES[True]: "Label Map Segmentation Storage"}


class DicomSender:
    """Sends results to an archive by C-STORE, a batch in one association.

    Args:
        settings: The archive.

    Raises:
        UsageError: A file of `tls` is missing, or is no certificate or key.
    """

    def __init__(self, settings: DicomDestination) -> None:
        self._settings = settings
        self._tls = None if settings.tls is None else client_context(settings.tls)
        self._entity: ApplicationEntity = AE(ae_title=settings.calling_ae_title)
        for timeout in ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout"):
            setattr(self._entity, timeout, settings.timeout_s)

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Undelivered | None]:
        """Send parcels; see `lexiseg.gateway.destinations.destination.DestinationClient`."""
        objects = [_read(parcel) for parcel in parcels]
        read = [batch for batch in objects if not isinstance(batch, Undelivered)]
        if not read:
            yield from (one for one in objects if isinstance(one, Undelivered))
            return
        self._entity.requested_contexts = []
        for kind in sorted({str(one.SOPClassUID) for batch in read for one in batch}):
            self._entity.add_requested_context(kind, _SYNTAXES)
        settings = self._settings
        association = self._entity.associate(
            settings.host,
            settings.port,
            ae_title=settings.ae_title,
            tls_args=None if self._tls is None else (self._tls, settings.host),
        )
        if not association.is_established:
            away = self._unreachable(association)
            yield from (batch if isinstance(batch, Undelivered) else away for batch in objects)
            return
        try:
            for batch in objects:
                yield batch if isinstance(batch, Undelivered) else self._send(association, batch)
        finally:
            # Also where the receiver of these answers stops early.
            if association.is_established:
                association.release()

    def _send(self, association: Association, objects: Sequence[Dataset]) -> Undelivered | None:
        for one in objects:
            problem = self._store(association, one)
            if problem is not None:
                return problem
        return None

    def _store(self, association: Association, one: Dataset) -> Undelivered | None:
        where = f"The archive {self._settings.ae_title}"
        if not association.is_established:
            return self._ended()
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        if str(one.SOPClassUID) not in accepted:
            error = DataError(
                f"{where} does not accept {_name(one.SOPClassUID)} ({one.SOPClassUID}). Let it accept this "
                "SOP class, or write another format.",
                code="LEX-DATA-1243",
            )
            return Undelivered(error=error, final=True)
        answer = association.send_c_store(one)
        if "Status" not in answer:
            return self._ended()
        status = int(answer.Status)
        if status in _STORED:
            return None
        error = DataError(f"{where} refused an object: status 0x{status:04X}.", code="LEX-DATA-1244")
        return Undelivered(error=error, final=not (status in _OUT_OF_RESOURCES or status in _TEMPORARY))

    def _ended(self) -> Undelivered:
        error = DataError(
            f"The archive {self._settings.ae_title} ended the connection before it confirmed an object.",
            code="LEX-DATA-1245",
        )
        return Undelivered(error=error, final=False)

    def _unreachable(self, association: Association) -> Undelivered:
        settings = self._settings
        why = "it rejected the association" if association.is_rejected else "there was no connection"
        error = DataError(
            f"The archive {settings.ae_title} at {settings.host}, port {settings.port} was not reached: "
            f"{why}. Check address, AE titles and TLS.",
            code="LEX-DATA-1246",
        )
        return Undelivered(error=error, final=False)


def _read(parcel: Parcel) -> list[Dataset] | Undelivered:
    try:
        return parcel.read_objects()
    except DataError as error:
        return Undelivered(error=error, final=True)


def _name(sop_class: UID) -> str:
    return _NAMES.get(sop_class, sop_class.name)
