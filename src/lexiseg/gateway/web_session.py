"""Connections to DICOMweb services."""

from __future__ import annotations

from pathlib import Path

import requests
from dicomweb_client.web import DICOMwebClient

from lexiseg.clinic.dicomweb_client import dicomweb_client
from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import WebAccess


def web_client(access: WebAccess, *, largest_mb: float | None = None) -> DICOMwebClient:
    """Return a client of a DICOMweb service; it does not try again by itself, as the queue does.

    Args:
        access: How the service is reached.
        largest_mb: Largest answer in MB; None is no limit.

    Raises:
        UsageError: A file that the configuration names cannot be read, or holds no credentials.
    """
    session = requests.Session()
    if access.tls is not None:
        if access.tls.authorities is not None:
            session.verify = str(access.tls.authorities)
        if access.tls.certificate is not None:
            key = access.tls.key or access.tls.certificate
            session.cert = (str(access.tls.certificate), str(key))
    if access.user_file is not None:
        name, colon, password = _secret(access.user_file).partition(":")
        if not colon:
            raise UsageError(
                f"{access.user_file} must hold `name:password` in one line.", code="LEX-USE-1242"
            )
        session.auth = (name, password)
    return dicomweb_client(
        access.url,
        timeout_s=access.timeout_s,
        token="" if access.token_file is None else _secret(access.token_file),
        session=session,
        largest_mb=largest_mb,
    )


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", code="LEX-USE-1243") from error
