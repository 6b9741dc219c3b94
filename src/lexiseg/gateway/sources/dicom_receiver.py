"""A port that other systems send images to: a service class provider of C-STORE and C-ECHO."""

from __future__ import annotations

from functools import partial
from threading import Event as Flag

from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from lexiseg.errors import DataError, LexisegError, UsageError
from lexiseg.gateway.configuration import DicomSource
from lexiseg.gateway.connections.tls_contexts import server_context
from lexiseg.gateway.sources.dicom_server import NETWORK_TIMEOUT_S, DicomServer, end_with_process
from lexiseg.gateway.sources.incoming_data_set import (
    IncomingDataSet,
    discard_unfinished,
    limit_pdus,
    write_to_files,
)
from lexiseg.gateway.sources.intake import NO_ROOM, Intake
from lexiseg.gateway.state import GatewayState

#: Status of C-STORE (PS3.4 B.2.3). Senders try again after the second one; the third one is final.
SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000

_ANY_PEER = "*"


class DicomReceiver:
    """Receives images by C-STORE; each is in the queue before its sender gets the status of success.

    Images go to the disk while they arrive, so that memory does not grow with their size. Where the queue or
    the disk is full, the sender gets the status "out of resources" and tries again later. An image above the
    limit of size gets the status "cannot understand"; the other images of its association are taken.

    Args:
        state: The shared parts of the gateway.
        name: Name of the source.
        settings: Port, AE titles and TLS.
        intake: Takes its images.

    Attributes:
        port: The port that it listens on.

    Raises:
        UsageError: The port is in use, the address is none of this machine, or a file of `tls` is missing.
    """

    def __init__(self, state: GatewayState, name: str, settings: DicomSource, intake: Intake) -> None:
        self._state, self._name, self._intake = state, name, intake
        self._stopping = Flag()
        context = None if settings.tls is None else server_context(settings.tls)
        try:
            server = _entity(settings).make_server(
                (settings.host, settings.port),
                contexts=_contexts(),
                ssl_context=context,
                server_class=DicomServer,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, end_with_process),
                    (evt.EVT_CONN_OPEN, limit_pdus),
                    (evt.EVT_PDU_RECV, write_to_files, [partial(intake.begin, name)]),
                    (evt.EVT_CONN_CLOSE, discard_unfinished),
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_ABORTED, self._aborted),
                ],
            )
        except OSError as error:
            raise UsageError(
                f"The source {name!r} cannot listen on {settings.host}, port {settings.port}: "
                f"{error.strerror or error}. Choose another port.",
                code="LEX-USE-1241",
            ) from error
        assert isinstance(server, DicomServer)
        self._settings, self._server = settings, server
        self.port = int(server.server_address[1])
        server.start()

    def close(self) -> None:
        """Take no more images, and abort the associations.

        An image whose sender has not heard of success comes again; senders try again after an abort.
        """
        self._stopping.set()
        self._server.stop()

    def _store(self, event: Event) -> Dataset | int:
        """Take one image; return the status for its sender."""
        assert isinstance(event.request, C_STORE)
        data_set = event.request.DataSet
        assert isinstance(data_set, IncomingDataSet)
        if self._stopping.is_set():
            data_set.discard()
            return _status(OUT_OF_RESOURCES, "The gateway stops. Send it again later.")
        try:
            with data_set.complete() as incoming:
                self._intake.finish(
                    incoming, source=self._name, sop_uid=str(event.request.AffectedSOPInstanceUID or "")
                )
        except DataError as error:
            self._note("too_large", event, error)
            return _status(CANNOT_UNDERSTAND, "The image is larger than this gateway takes.")
        except NO_ROOM as error:
            self._note("put_off", event, error)
            return _status(OUT_OF_RESOURCES, "There is no room at the moment. Send it again later.")
        return SUCCESS

    def _note(self, name: str, event: Event, error: Exception) -> None:
        self._state.log.write(
            name,
            level="warning",
            source=self._name,
            peer=str(event.assoc.requestor.ae_title),
            code=error.code if isinstance(error, LexisegError) else None,
            error=type(error).__name__,
        )

    def _rejected(self, event: Event) -> None:
        requestor = event.assoc.requestor
        peer, called = str(requestor.ae_title), str(getattr(requestor.primitive, "called_ae_title", ""))
        if called.strip() != self._settings.ae_title.strip():
            error = "the called AE title is not the ae_title of this source"
        elif _ANY_PEER not in self._settings.allow and peer not in self._settings.allow:
            error = "the calling AE title is not in allow"
        else:
            error = "there are too many connections"
        self._state.log.write("peer_rejected", level="warning", source=self._name, peer=peer, error=error)

    def _aborted(self, event: Event) -> None:
        if self._stopping.is_set():
            return  # it was no peer
        peer = str(event.assoc.requestor.ae_title)
        self._state.log.write("peer_aborted", level="warning", source=self._name, peer=peer)


def _entity(settings: DicomSource) -> AE:
    """Return the application entity of a source."""
    entity = AE(ae_title=settings.ae_title)
    entity.require_called_aet = True
    if _ANY_PEER not in settings.allow:
        entity.require_calling_aet = list(settings.allow)
    entity.maximum_associations = settings.associations
    entity.network_timeout = NETWORK_TIMEOUT_S
    return entity


def _status(status: int, comment: str) -> Dataset:
    """Return a status with a comment, which archives show to a person."""
    answer = Dataset()
    answer.Status, answer.ErrorComment = status, comment
    return answer


class _SharedContext(PresentationContext):
    """A context that all associations share, as they only read it.

    pynetdicom copies all contexts for each association: ten thousand UIDs, which take 2 MB until they are
    collected as garbage.
    """

    def __deepcopy__(self, memo: dict[int, object]) -> _SharedContext:
        return self


def _contexts() -> list[PresentationContext]:
    """Return contexts for images of all kinds in all transfer syntaxes, and for C-ECHO."""
    found: list[PresentationContext] = []
    for known in AllStoragePresentationContexts:
        context = _SharedContext()
        context.abstract_syntax = known.abstract_syntax
        context.transfer_syntax = [str(syntax) for syntax in AllTransferSyntaxes]
        found.append(context)
    echo = _SharedContext()
    echo.abstract_syntax = Verification
    echo.transfer_syntax = [str(syntax) for syntax in AllTransferSyntaxes[:3]]
    return [*found, echo]
