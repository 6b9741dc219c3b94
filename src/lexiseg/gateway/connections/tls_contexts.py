"""TLS of DICOM connections: what the configuration names, as contexts of the ssl module."""

from __future__ import annotations

import ssl
from pathlib import Path

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import Tls
from lexiseg.open_files import open_errors


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of a receiver; with `authorities` it asks every peer for a certificate.

    Raises:
        UsageError: A file is missing, or is no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls)
    if tls.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of a sender; certificate and name of the peer are always checked.

    Raises:
        UsageError: A file is missing, or is no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.authorities is None:
        context.load_default_certs()
    _load(context, tls)
    return context


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    named = [file for file in (tls.certificate, tls.key, tls.authorities) if file is not None]
    missing = [file for file in named if not Path(file).is_file()]
    if missing:
        raise UsageError(
            f"The file {missing[0]} does not exist; `tls` names it. Correct the path.", code="LEX-USE-1239"
        )
    try:
        if tls.authorities is not None:
            with open_errors(tls.authorities):
                context.load_verify_locations(tls.authorities)
        if tls.certificate is not None:
            with open_errors(tls.certificate):
                context.load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"{', '.join(map(str, named))}: not certificates and a key that fit together ({error}). `tls` "
            "expects PEM files.",
            code="LEX-USE-1240",
        ) from error
