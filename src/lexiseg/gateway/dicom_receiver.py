"""A port that other systems send images to: a service class provider of C-STORE and C-ECHO."""

from __future__ import annotations

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from lexiseg.errors import LexisegError, UsageError
from lexiseg.gateway.configuration import DicomSource
from lexiseg.gateway.intake import NO_ROOM, Intake
from lexiseg.gateway.state import GatewayState
from lexiseg.gateway.tls_contexts import server_context

#: Status of C-STORE (PS3.4 B.2.3).
SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000

_ANY_PEER = "*"
_MOST_ASSOCIATIONS = 25
_NETWORK_TIMEOUT_S = 60.0


class DicomReceiver:
    """Receives images by C-STORE; each is in the queue before its sender gets the status of success.

    Where a limit is reached, the sender gets the status "out of resources" and tries again later.

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
        context = None if settings.tls is None else server_context(settings.tls)
        try:
            server = _entity(settings).start_server(
                (settings.host, settings.port),
                block=False,
                ssl_context=context,
                evt_handlers=[
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
        assert isinstance(server, ThreadedAssociationServer)
        self._settings, self._server = settings, server
        self.port = int(server.server_address[1])

    def close(self) -> None:
        """Take no more images."""
        self._server.shutdown()

    def _store(self, event: Event) -> int:
        """Take one image; return the status for its sender."""
        peer = str(event.assoc.requestor.ae_title)
        most = self._state.configuration.limits.largest_image_mb
        assert isinstance(event.request, C_STORE)
        content = event.encoded_dataset()
        if len(content) > most * 1e6:
            self._state.log.write("too_large", level="warning", source=self._name, peer=peer)
            return CANNOT_UNDERSTAND
        try:
            self._intake.take(
                content, source=self._name, sop_uid=str(event.request.AffectedSOPInstanceUID or "")
            )
        except NO_ROOM as error:
            code = error.code if isinstance(error, LexisegError) else None
            self._state.log.write(
                "put_off",
                level="warning",
                source=self._name,
                peer=peer,
                code=code,
                error=type(error).__name__,
            )
            return OUT_OF_RESOURCES
        return SUCCESS

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
        peer = str(event.assoc.requestor.ae_title)
        self._state.log.write("peer_aborted", level="warning", source=self._name, peer=peer)


def _entity(settings: DicomSource) -> AE:
    """Return an application entity that takes images of all kinds in all transfer syntaxes."""
    entity = AE(ae_title=settings.ae_title)
    entity.require_called_aet = True
    if _ANY_PEER not in settings.allow:
        entity.require_calling_aet = list(settings.allow)
    entity.maximum_associations = _MOST_ASSOCIATIONS
    entity.network_timeout = _NETWORK_TIMEOUT_S
    entity.supported_contexts = _contexts()
    return entity


def _contexts() -> list[PresentationContext]:
    found = []
    for known in AllStoragePresentationContexts:
        context = PresentationContext()
        context.abstract_syntax = known.abstract_syntax
        context.transfer_syntax = [str(syntax) for syntax in AllTransferSyntaxes]
        found.append(context)
    echo = PresentationContext()
    echo.abstract_syntax = Verification
    echo.transfer_syntax = [str(syntax) for syntax in AllTransferSyntaxes[:3]]
    return [*found, echo]
